"""Paths and views."""

from __future__ import annotations

import pytest
from django.test import override_settings
from django.urls import NoReverseMatch, Resolver404, get_resolver, resolve, reverse
from django.utils import translation

from calotype.web.patches.addresses import RESOLVE, REVERSE
from tests.web.patches.both_ways import both, outcome

ARGUMENTS = [
    (),
    (1,),
    (True,),
    ("a b",),
    ("ü/%s?#",),
    ("",),
    ("/x",),
    (None,),
    (1, 2),
    (1.5,),
    (7, "deep-word"),
]
VIEWS = [
    "post",
    "like",
    "home",
    "profile",
    "avatar",
    "media",
    "timeline",
    "nothing",
    "admin:index",
    "admin:accounts_account_change",
]


def addresses_of(views: list[str]) -> list[object]:
    return [outcome(lambda: reverse(view, args=args)) for view in views for args in ARGUMENTS]  # noqa: B023


def test_addresses_are_written_as_django_writes_them() -> None:
    theirs, ours = both(REVERSE, lambda: addresses_of(VIEWS))
    assert theirs == ours
    assert sum(isinstance(each, tuple) and each[0] is str for each in ours) > 8


def test_addresses_of_every_kind_of_pattern_are_written_as_django_writes_them() -> None:
    views = ["translated", "with_more", "one", "slashes", "either", "deep", "space:inside", "space:nothing"]

    def written() -> list[object]:
        found = []
        with override_settings(ROOT_URLCONF="tests.web.patches.addresses"):
            for language in ("en", "fr", "en"):
                with translation.override(language):
                    found += addresses_of(views)
                    found += [
                        outcome(lambda: reverse("deep", kwargs={"number": 1, "word": "a"})),
                        outcome(lambda: reverse("with_more", kwargs={"more": [1]})),
                        outcome(lambda: reverse("one", args=["x"], query={"q": 1}, fragment="f")),
                        outcome(lambda: reverse("one", args=["x"], current_app="app")),
                    ]
        return found

    theirs, ours = both(REVERSE, written)
    assert theirs == ours
    assert (str, "/accueil/") in ours


def test_the_prefix_of_a_site_that_is_not_at_the_root_is_heeded(either: None) -> None:
    from django.urls import set_script_prefix

    try:
        set_script_prefix("/a%b")
        assert reverse("post", args=[5]) == "/a%25b/p/5/"
        set_script_prefix("/photos/")
        assert reverse("post", args=[5]) == "/photos/p/5/"
    finally:
        set_script_prefix("/")
    assert reverse("post", args=[5]) == "/p/5/"


PATHS = [
    "/",
    "/p/5/",
    "/p/99999999999999999999/",
    "/api/v1/timelines/home",
    "/admin/",
    "/nothing/",
    "/@ada/",
    "/@ada/follow/",
    "",
]


def test_paths_lead_where_django_leads_them() -> None:
    def led() -> list[object]:
        return [where(path) for path in [*PATHS, *PATHS]]

    theirs, ours = both(RESOLVE, led)
    assert theirs == ours


def where(path: str) -> object:
    try:
        match = resolve(path)
    except Resolver404:
        return None
    return repr(match), match.func, match.route, match.view_name, match.args, match.kwargs


def test_paths_in_another_language_lead_where_django_leads_them(either: None) -> None:
    with override_settings(ROOT_URLCONF="tests.web.patches.addresses"):
        for language, path, absent in (("en", "/home/", "/accueil/"), ("fr", "/accueil/", "/home/")) * 2:
            with translation.override(language):
                assert resolve(path).url_name == "translated"
                with pytest.raises(Resolver404):
                    resolve(absent)
    with pytest.raises(Resolver404):
        resolve("/home/")


def test_each_request_has_a_match_of_its_own(either: None) -> None:
    with override_settings(ROOT_URLCONF="tests.web.patches.addresses"):
        resolve("/with/").kwargs["more"] = "changed"
        resolve("/with/").kwargs["and"] = 1
        assert resolve("/with/").kwargs == {"more": [1]}


def test_kept_routes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calotype.web.patches.addresses.ROUTES_KEPT", 2)
    RESOLVE.apply()
    with override_settings(ROOT_URLCONF="tests.web.patches.addresses"):
        for path in ("/home/", "/with/", "/either/", "/one/x/"):
            resolve(path)
        resolver = get_resolver()
        assert 0 < len(vars(resolver)["_calotype_routes"]) <= 2


def test_names_that_do_not_exist_are_not_kept() -> None:
    REVERSE.apply()
    with override_settings(ROOT_URLCONF="tests.web.patches.addresses"):
        for number in range(5):
            with pytest.raises(NoReverseMatch):
                reverse(f"nothing{number}")
        assert vars(get_resolver())["_calotype_forms"] == {}
