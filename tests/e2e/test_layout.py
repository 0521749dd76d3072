"""How pages lie: with words of another direction, far zoomed in, and with what floats over them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage, module
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

ZOOMED = {"200%": (640, 450), "400%": (320, 256)}
"""What is left of a window of 1280 by 900 or 1024 pixels."""


def box(page: Page, selector: str) -> dict[str, float]:
    found: dict[str, float] = page.locator(selector).first.evaluate(
        "(element) => element.getBoundingClientRect().toJSON()"
    )
    return found


def test_words_of_another_direction_stand_beside_whose_they_are(
    open_page: OpenPage, post_of_jan: str
) -> None:
    page = open_page(390, signed_in=True, language="ar")
    page.goto(post_of_jan)
    page.locator("#say").fill("From left to right")
    page.locator("#say").press("Control+Enter")
    comment = page.locator("li.comment", has_text="From left to right")
    expect(comment).to_have_attribute("id", re.compile(r"comment-\d+"))
    gap = comment.evaluate("""(comment) => {
        const words = document.createRange();
        words.selectNodeContents(comment.querySelector(".said"));
        return comment.querySelector(".avatar").getBoundingClientRect().left - words.getBoundingClientRect().right;
    }""")
    assert 0 <= gap <= 24
    comment.locator("summary").click()
    comment.get_by_role("button").click()
    expect(comment).to_have_count(0)


@pytest.mark.parametrize("zoom", ZOOMED)
def test_a_photo_is_seen_whole_however_far_one_zooms_in(
    zoom: str, open_page: OpenPage, post_of_jan: str
) -> None:
    width, height = ZOOMED[zoom]
    page = open_page(width, signed_in=True)
    page.set_viewport_size({"width": width, "height": height})
    for address in ("/", post_of_jan, "/explore/", "/@mara/", "/@mara/followers/", "/people/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    page.goto(post_of_jan)
    room = height
    for bar in (".bar", ".tabs"):
        if page.locator(bar).evaluate("(bar) => getComputedStyle(bar).position") == "sticky":
            room -= int(box(page, bar)["height"])
    assert box(page, ".slides .photo")["height"] <= room


@pytest.mark.parametrize("width", [390, 768])
def test_what_floats_leaves_the_field_for_a_comment_free(
    width: int, open_page: OpenPage, post_of_jan: str
) -> None:
    page = open_page(width, signed_in=True, expects=["net::ERR"])
    page.set_viewport_size({"width": width, "height": 500})  # so the field sticks to its foot
    page.emulate_media(reduced_motion="reduce")
    page.goto(post_of_jan)
    page.route("**/comments/", lambda route: route.abort())
    page.locator("#say").fill("Not lost")
    page.locator("#say").press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("still here")
    page.evaluate("scrollTo(0, 0)")
    assert box(page, ".toast")["bottom"] <= box(page, ".say")["top"]


def test_a_note_stays_as_long_as_somebody_is_at_it(open_page: OpenPage, site: RunningSite) -> None:
    page = open_page(1280, signed_in=True)
    page.clock.install()
    page.goto("/people/")
    page.evaluate(
        """async (address) => {
            const { toast } = await import(address);
            toast("Plain");
            toast("With a button", { action: { label: "See it", run: () => {} } });
        }""",
        module(site, "say"),
    )
    plain, pressed = page.get_by_text("Plain"), page.get_by_role("button", name="See it")
    plain.hover()
    page.clock.run_for(10_000)
    expect(plain).to_be_visible()
    pressed.hover()
    page.clock.run_for(10_000)
    expect(plain).to_have_count(0)
    pressed.focus()
    page.mouse.move(0, 0)
    page.clock.run_for(20_000)
    expect(pressed).to_be_focused()
    page.get_by_role("link", name="Home").first.focus()
    page.clock.run_for(20_000)
    expect(pressed).to_have_count(0)


@pytest.mark.parametrize("width", [360, 390, 720])
def test_long_words_of_another_language_do_not_lie_over_what_is_beside_them(
    width: int, open_page: OpenPage, post_of_jan: str
) -> None:
    page = open_page(width, signed_in=True, language="ar")
    page.goto(f"{post_of_jan}edit/")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    for row in page.locator(".describe > li").all():
        picture, field = row.locator(".thumb").bounding_box(), row.locator("textarea").bounding_box()
        button = row.locator("[data-edit-photo]").bounding_box()
        assert picture and field and button
        assert field["x"] + field["width"] <= min(picture["x"], button["x"])
