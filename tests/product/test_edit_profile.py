"""What people say of themselves, and their picture."""

from __future__ import annotations

import re

import pytest

from calotype.product.accounts.types import Person
from calotype.web.site import Site
from tests.client import Client
from tests.web_fixtures import Someone, picture


async def test_a_profile_is_shown_as_it_was_entered_and_escaped(ann: Someone, browser: Client) -> None:
    fields = {
        "name": "Ann <b>Bold</b> 🦊",
        "bio": "One\nTwo <script>alert(1)</script>",
        "website": "https://ann.example/?a=1&b=2",
    }
    answer = await ann.browser.post("/settings/profile/", fields)
    assert answer.status == 303, answer.text
    page = (await browser.get(f"/@{ann.username}/")).text
    assert "<script>alert" not in page
    assert "<b>Bold" not in page
    assert "Ann &lt;b&gt;Bold&lt;/b&gt; 🦊" in page
    assert 'href="https://ann.example/?a=1&amp;b=2"' in page


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Nul\0l"},
        {"name": "evil \u202egnp.exe"},
        {"name": "x" * 51},
        {"bio": "x" * 301},
        {"website": "javascript:alert(1)"},
        {"website": "ftp://files.example"},
        {"website": "https://" + "x" * 300 + ".example"},
    ],
)
async def test_a_profile_that_cannot_be_kept_is_refused_and_nothing_changes(
    fields: dict[str, str], ann: Someone, web_site: Site
) -> None:
    answer = await ann.browser.post("/settings/profile/", {"name": "", "bio": "", "website": "", **fields})
    assert answer.status == 422
    node = await web_site.graph.obj_get(Person, ann.id)
    assert node is not None
    assert node.version == 1


async def test_a_picture_is_shown_from_then_on_and_can_be_removed(ann: Someone, browser: Client) -> None:
    empty = {"name": "", "bio": "", "website": ""}
    answer = await ann.browser.post(
        "/settings/profile/", empty, files=[("avatar", ("me.png", picture(400, 300)))]
    )
    assert answer.status == 303, answer.text
    found = re.search(r"/media/avatars/\d+/\d+\.jpeg", (await browser.get(f"/@{ann.username}/")).text)
    assert found is not None
    image = await browser.get(found[0])
    assert (image.status, image.headers["content-type"]) == (200, "image/jpeg")
    await ann.browser.post("/settings/profile/", {**empty, "remove_avatar": "on"})
    assert "/media/avatars/" not in (await browser.get(f"/@{ann.username}/")).text


async def test_a_broken_picture_is_refused_in_words(ann: Someone) -> None:
    empty = {"name": "", "bio": "", "website": ""}
    answer = await ann.browser.post(
        "/settings/profile/", empty, files=[("avatar", ("me.jpg", b"not a picture"))]
    )
    assert answer.status == 422
