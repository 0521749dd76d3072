"""Photographs of a post: turned in their row, and over the whole window with zoom, swipes, keys and the posts beside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.e2e.conftest import OpenPage, delete, share
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

DIALOG = "dialog.viewer"


@pytest.fixture(scope="module")
def posts(chromium: Browser, site: RunningSite, session_of_jan: StorageState) -> Iterator[tuple[str, str]]:
    """Two posts of Jan's: the older of one photo, the newer of three."""
    context = chromium.new_context(base_url=site.url, storage_state=session_of_jan, java_script_enabled=False)
    page = context.new_page()
    older, newer = share(page, "steelblue"), share(page, "tomato", "seagreen", "orchid")
    yield older, newer
    for address in (older, newer):
        delete(page, address)
    context.close()


def shown(page: Page) -> int:
    """Which photo of the row is in its middle, from 1 on."""
    found: int = page.locator(".slides").first.evaluate("""row => {
            const middle = row.getBoundingClientRect().left + row.clientWidth / 2;
            const holds = each => each.getBoundingClientRect().left <= middle && each.getBoundingClientRect().right >= middle;
            return [...row.children].findIndex(holds) + 1;
        }""")
    return found


def is_marked(page: Page, number: int) -> None:
    """The dot comes to have a colour that no other has."""
    page.wait_for_function(
        """number => {
            const dots = [...document.querySelector(".dots").children];
            const colours = dots.map(dot => getComputedStyle(dot, "::before").backgroundColor);
            return colours.findIndex(colour => colours.filter(each => each === colour).length === 1) + 1 === number;
        }""",
        arg=number,
    )


def comes_to(page: Page, number: int) -> None:
    expect(page.locator(".dots a").nth(number - 1)).to_have_attribute("aria-current", "true")
    assert shown(page) == number
    is_marked(page, number)


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_photos_are_turned_by_arrows_dots_and_keys_and_heard(
    direction: str, open_page: OpenPage, posts: tuple[str, str]
) -> None:
    page = open_page()
    page.goto(posts[1])
    page.evaluate(f"document.documentElement.dir = '{direction}'")
    is_marked(page, 1)
    page.locator(".strip").hover()
    page.get_by_role("link", name="Next photo").first.click()
    comes_to(page, 2)
    expect(page.locator("[data-say][aria-live]")).to_have_text(re.compile("^2 of 3: Photo by "))
    page.locator(".dots a").nth(2).click()
    comes_to(page, 3)
    page.locator(".slides").focus()
    back, on = ("ArrowLeft", "ArrowRight") if direction == "ltr" else ("ArrowRight", "ArrowLeft")
    page.keyboard.press(back)
    comes_to(page, 2)
    page.keyboard.press(on)
    comes_to(page, 3)
    assert "#" not in page.url


def view(page: Page) -> dict[str, Any]:
    """How the picture in the viewer is zoomed, and what of it lies in the middle of the window."""
    found: dict[str, Any] = page.evaluate("""() => {
        const style = getComputedStyle(document.querySelector(".viewer-photo"));
        const matrix = new DOMMatrix(style.transform);
        return {scale: matrix.a, x: matrix.e, y: matrix.f};
    }""")
    return found


def under(page: Page, x: float, y: float) -> tuple[float, float]:
    """The point of the picture, from its middle and unzoomed, that lies at a point of the window."""
    at = view(page)
    size = page.viewport_size
    assert size is not None
    return (
        (x - size["width"] / 2 - at["x"]) / at["scale"],
        (y - size["height"] / 2 - at["y"]) / at["scale"],
    )


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.locator(".photo").first.hover()
    page.get_by_role("link", name=re.compile("full size")).first.click()
    expect(page.locator(DIALOG)).to_be_visible()


def test_the_wheel_zooms_around_the_pointer_and_dragging_moves(
    open_page: OpenPage, posts: tuple[str, str]
) -> None:
    page = open_page()
    opened(page, posts[0])
    page.mouse.move(700, 400)
    before = under(page, 700, 400)
    for _ in range(5):
        page.mouse.wheel(0, -150)
    page.wait_for_function(
        "() => new DOMMatrix(getComputedStyle(document.querySelector('.viewer-photo')).transform).a > 4"
    )
    assert under(page, 700, 400) == pytest.approx(before, abs=1)
    sizes = page.locator(".viewer-photo picture img").get_attribute("sizes")
    assert sizes == "9999px"
    held = under(page, 700, 400)
    page.mouse.down()
    page.mouse.move(640, 380, steps=4)
    page.mouse.up()
    assert under(page, 640, 380) == pytest.approx(held, abs=1)
    page.mouse.wheel(0, 5_000)
    page.wait_for_function(
        "() => new DOMMatrix(getComputedStyle(document.querySelector('.viewer-photo')).transform).a === 1"
    )
    assert view(page) == {"scale": 1, "x": 0, "y": 0}


def test_a_picture_never_leaves_the_window(open_page: OpenPage, posts: tuple[str, str]) -> None:
    page = open_page()
    opened(page, posts[0])
    page.mouse.dblclick(640, 450)
    page.mouse.move(640, 450)
    page.mouse.down()
    page.mouse.move(6_000, 4_500, steps=3)
    page.mouse.up()
    at = view(page)
    box = page.locator(".viewer-photo picture img").bounding_box()
    assert at["scale"] == 2.5
    assert box is not None
    assert box["x"] <= 0 <= box["x"] + box["width"]
    assert box["x"] + box["width"] >= 1280


def test_two_taps_zoom_there_and_back(open_page: OpenPage, posts: tuple[str, str]) -> None:
    page = open_page()
    opened(page, posts[0])
    before = under(page, 800, 500)
    page.mouse.dblclick(800, 500)
    assert view(page)["scale"] == 2.5
    assert under(page, 800, 500) == pytest.approx(before, abs=1)
    page.wait_for_timeout(350)  # or it is a third tap
    page.mouse.dblclick(800, 500)
    assert view(page) == {"scale": 1, "x": 0, "y": 0}


def test_fingers_pinch_swipe_and_pull_away(
    chromium: Browser, site: RunningSite, posts: tuple[str, str]
) -> None:
    context = chromium.new_context(
        base_url=site.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(posts[1])
    page.locator("[data-full]").first.tap()
    expect(page.locator(DIALOG)).to_be_visible()
    session = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    def drawn(*path: tuple[float, float]) -> None:
        touch("touchStart", path[0])
        for point in path[1:]:
            touch("touchMove", point)
        touch("touchEnd")

    words = page.locator(".viewer-words")
    expect(words).to_contain_text("1 of 3")
    drawn((300, 420), (220, 425), (120, 430))
    expect(words).to_contain_text("2 of 3")
    drawn((100, 420), (180, 425), (300, 430))
    expect(words).to_contain_text("1 of 3")

    before = under(page, 200, 422)
    touch("touchStart", (180, 422), (220, 422))
    for spread in (40, 60, 80):
        touch("touchMove", (200 - spread, 422), (200 + spread, 422))
    touch("touchEnd")
    assert view(page)["scale"] == pytest.approx(4, abs=0.2)
    assert under(page, 200, 422) == pytest.approx(before, abs=3)
    drawn((300, 420), (120, 430))
    expect(words).to_contain_text("1 of 3")  # what is zoomed is moved, not turned

    page.keyboard.press("0")
    drawn((200, 300), (205, 400), (205, 520))
    expect(page.locator(DIALOG)).to_be_hidden()
    context.close()


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_keys_turn_the_photos_go_to_the_posts_beside_and_close(
    direction: str, open_page: OpenPage, posts: tuple[str, str]
) -> None:
    page = open_page()
    page.goto(posts[1])
    page.evaluate(f"document.documentElement.dir = '{direction}'")
    link = page.locator("[data-full]").first
    link.focus()
    page.keyboard.press("Enter")
    words = page.locator(".viewer-words")
    expect(words).to_contain_text("1 of 3")
    on, back = ("ArrowRight", "ArrowLeft") if direction == "ltr" else ("ArrowLeft", "ArrowRight")
    page.keyboard.press(on)
    expect(words).to_contain_text("2 of 3")
    page.keyboard.press(back)
    expect(words).to_contain_text("1 of 3")
    page.keyboard.press("Escape")
    expect(page.locator(DIALOG)).to_be_hidden()
    expect(link).to_be_focused()

    page.keyboard.press("Enter")
    expect(page.locator(DIALOG)).to_be_visible()
    page.keyboard.press("j")
    expect(words).not_to_contain_text("of 3")
    page.keyboard.press("k")
    expect(words).to_contain_text("3 of 3")
    page.keyboard.press("j")
    expect(words).not_to_contain_text("of 3")
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(posts[0]))


def test_in_the_feed_the_posts_beside_are_those_of_the_feed(
    open_page: OpenPage, posts: tuple[str, str]
) -> None:
    page = open_page(signed_in=True)
    page.goto("/")
    ids = [page.locator("[data-post]").nth(number).get_attribute("data-post") for number in range(2)]
    page.keyboard.press("j")
    page.keyboard.press("f")
    expect(page.locator(DIALOG)).to_be_visible()
    for _ in range(page.locator(f'[data-post="{ids[0]}"] .photo').count()):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.locator(f'[data-post="{ids[1]}"]')).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_viewer(theme: str, open_page: OpenPage, posts: tuple[str, str]) -> None:
    page = open_page(theme=theme)
    opened(page, posts[1])
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [each["id"] for each in found] == []


def test_without_a_script_a_photo_opens_alone_and_dots_lead_to_the_others(
    open_page: OpenPage, posts: tuple[str, str]
) -> None:
    page = open_page(javascript=False)
    page.goto(posts[1])
    page.locator(".dots a").nth(1).click()
    assert page.url.endswith("-photo-2")
    full = page.locator("[data-full]").first.get_attribute("href")
    assert page.request.get(f"{full}").headers["content-type"] == "image/jpeg"
