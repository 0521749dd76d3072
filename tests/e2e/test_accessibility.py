"""axe-core finds nothing on any page, in both themes and at both widths."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.e2e.conftest import WIDTHS, OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SIGNED_OUT = (
    "/",
    "/sign-up/",
    "/log-in/",
    "/password-reset/",
    "/@mara/",
    "/about/photos/",
    "/explore/",
    "/tags/macro/",
    "/nothing/here/",
)
SIGNED_IN = (
    "/",
    "/people/",
    "/explore/",
    "/tags/macro/",
    "/tags/nobody_has_used_this/",
    "/new/",
    "/@mara/",
    "/@jan/",
    "/@mara/followers/",
    "/settings/profile/",
    "/settings/password/",
    "/settings/notifications/",
    "/notifications/",
)


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{page.url} {each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_axe_finds_nothing(width: int, theme: str, open_page: OpenPage) -> None:
    page = open_page(width, theme=theme)
    found: list[str] = []
    for path in SIGNED_OUT:
        page.goto(path)
        found += violations(page)
    page = open_page(width, theme=theme, signed_in=True)
    for path in SIGNED_IN:
        page.goto(path)
        found += violations(page)
    page.goto("/@jan/")
    post = page.locator('a[href^="/p/"]').first.get_attribute("href")
    for path in (f"{post}", f"{post}edit/", f"{post}delete/"):
        page.goto(path)
        found += violations(page)
    page.goto("/sign-up/")
    assert found == []


def test_axe_finds_nothing_on_a_refused_form(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/sign-up/")
    page.get_by_label("User name").fill("a b")
    page.get_by_label("E-mail").fill("someone@mail.example")
    page.get_by_label("Password", exact=True).fill("short")
    page.get_by_role("button", name=re.compile("create|sign up", re.I)).click()
    assert violations(page) == []


def test_the_keyboard_reaches_everything_from_the_skip_link_on(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
    seen: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.outerHTML.slice(0, 120)"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    assert len(seen) > 25
