"""Single keys, what they do, and that they can be switched off."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def focused_post(page: Page) -> str | None:
    found: str | None = page.evaluate("document.activeElement.dataset.post ?? null")
    return found


def posts(page: Page) -> list[str | None]:
    return [each.get_attribute("data-post") for each in page.locator("[data-post]").all()]


def test_j_and_k_go_from_post_to_post(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/")
    ids = posts(page)
    for key, number in (("j", 0), ("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        assert focused_post(page) == ids[number]
        box = page.locator(f'[data-post="{ids[number]}"]').bounding_box()
        assert box is not None
        assert -5 < box["y"] < 120
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_keyboard_alone_likes_comments_looks_and_finds(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/")
    page.keyboard.press("j")
    post = page.locator(f'[data-post="{focused_post(page)}"]')
    heart = post.locator("[data-like] button")
    was = heart.get_attribute("aria-pressed")
    for pressed in ("true" if was == "false" else "false", was):
        with page.expect_response(re.compile("like/$")):
            page.keyboard.press("l")
        expect(heart).to_have_attribute("aria-pressed", str(pressed))
    page.keyboard.press("c")
    expect(post.locator("[name=text]")).to_be_focused()
    page.keyboard.type("jkl?")
    expect(post.locator("[name=text]")).to_have_value("jkl?")
    post.locator("[name=text]").fill("")
    page.keyboard.press("Escape")
    expect(post).to_be_focused()
    page.keyboard.press("f")
    expect(page.locator("dialog.viewer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(post).to_be_focused()
    page.keyboard.press("Control+l")
    expect(heart).to_have_attribute("aria-pressed", str(was))
    page.keyboard.press("/")
    page.wait_for_url(re.compile("/explore/|/search/"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_sheet_lists_them_and_hands_the_focus_back(theme: str, open_page: OpenPage) -> None:
    page = open_page(390, theme=theme, signed_in=True)
    page.goto("/people/")
    button = page.get_by_role("button", name="Keyboard shortcuts")
    button.click()
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_be_visible()
    for key in ("j", "k", "l", "c", "f", "/", "?", "Esc"):
        expect(sheet.locator("kbd", has_text=re.compile(rf"^{re.escape(key)}$"))).to_be_visible()
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [each["id"] for each in found] == []
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(button).to_be_focused()


def test_they_can_be_switched_off_for_good(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/")
    page.keyboard.press("?")
    box = page.get_by_label("Use these keys in this browser")
    box.uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert focused_post(page) is None
    page.reload()
    page.keyboard.press("?")
    page.keyboard.press("j")
    assert focused_post(page) is None
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_label("Use these keys in this browser").check()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert focused_post(page) in posts(page)


def test_esc_closes_a_menu_and_goes_back_to_its_button(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/@jan/")
    page.locator('a[href^="/p/"]').first.click()
    menu = page.locator(".post-head summary")
    menu.click()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.locator(".post-head details")).not_to_have_attribute("open", "")
    expect(menu).to_be_focused()


def test_one_who_is_not_signed_in_has_no_keys(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/@mara/")
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_have_count(0)
