"""The page of components: who sees it, and that nothing is missing from it."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseBase
from django.test import RequestFactory

from calotype.product.accounts.models import Account
from calotype.product.design.samples import SAMPLES
from calotype.product.design.tokens import KINDS, groups, icons, tokens
from calotype.product.design.views import design


def asked_by(user: Account | AnonymousUser) -> HttpResponseBase:
    request = RequestFactory().get("/design/")
    request.user = user
    return design(request)


@pytest.fixture(scope="module")
def html(web_site: object) -> str:
    """As staff see it; the site gives static files their addresses."""
    answer = asked_by(Account(username="jan", is_staff=True))
    assert isinstance(answer, HttpResponse)
    return answer.content.decode()


def test_somebody_unknown_is_sent_to_log_in() -> None:
    answer = asked_by(AnonymousUser())
    assert answer.status_code == 302
    assert answer["Location"] == "/log-in/?next=/design/"


@pytest.mark.parametrize("user", [{}, {"is_staff": True, "is_active": False}])
def test_others_than_staff_are_refused(user: dict[str, bool]) -> None:
    with pytest.raises(PermissionDenied):
        asked_by(Account(username="pat", **user))


def test_it_shows_every_token_and_every_icon_in_both_themes(html: str) -> None:
    for token in tokens():
        assert html.count(f"<code>--{token.name}</code>") == 2, token
    for name in icons():
        assert html.count(f"<code>{name}</code>") == 2, name


def test_each_token_is_drawn_as_what_it_is() -> None:
    assert sum(len(group.tokens) for group in groups()) == len(tokens()) > 40
    assert {group.kind for group in groups()} == {kind for kind, _, _ in KINDS}


def test_each_sample_that_lies_there_is_on_the_page() -> None:
    folder = files("calotype.product.design").joinpath("templates/design/samples")
    assert {path.name for path in folder.iterdir()} == {f"{name}.html" for name, _ in SAMPLES}


def test_an_id_stands_once(html: str) -> None:
    found = re.findall(r'\sid="([^"]+)"', html)
    assert sorted(found) == sorted(set(found))


def test_the_code_beside_a_component_is_what_drew_it(html: str) -> None:
    assert html.count("data-theme=") == 2 * len(SAMPLES)
    assert html.count("{% include &quot;feed/_post.html&quot; with eager=False %}") == 1
