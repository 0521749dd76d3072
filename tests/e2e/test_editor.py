"""The photo editor in Chromium: its crop, its keyboard, its colours, and what happens when the graphics context goes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from io import BytesIO
from typing import Any, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import FloatRect, Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.editing import center, name_of, opened, posting

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

Pixel = tuple[int, ...]

posted = pytest.fixture(posting)

LOSE = """() => {
    const canvas = document.querySelector(".editor-frame canvas");
    window.lost = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
    window.lost.loseContext();
}"""


def frame_of(page: Page) -> FloatRect:
    return cast(FloatRect, page.locator(".editor-frame").bounding_box())


def recipe_of(page: Page) -> dict[str, Any]:
    """As it is stored, after "Done"."""
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("The edited photo is saved.").first).to_be_visible()
    return dict(json.loads(page.locator("[data-photo]").get_attribute("data-recipe") or "{}"))


def test_a_crop_is_dragged_by_its_corner_its_side_and_as_a_whole_with_a_mouse(posted: OpenPage) -> None:
    page = opened(posted())
    frame = frame_of(page)
    status = page.locator(".editor-status")

    def drag(name: str, across: float, down: float) -> None:
        x, y = center(page.get_by_role("button", name=name, exact=True))
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + across * frame["width"] / 2, y + down * frame["height"] / 2)
        page.mouse.move(x + across * frame["width"], y + down * frame["height"], steps=3)
        page.mouse.up()

    drag("Upper left corner", 0.25, 0.5)
    expect(status).to_have_text("300 × 150")
    drag("Right side", -0.25, 0.3)
    expect(status).to_have_text("200 × 150")
    drag("The whole crop", -0.45, -0.7)
    expect(status).to_have_text("200 × 150")
    drag("Left side", 0.6, 0)  # no further than it may go
    expect(status).to_have_text("20 × 150")
    page.get_by_role("button", name="Undo").click()  # one drag is one step
    expect(status).to_have_text("200 × 150")
    page.mouse.move(*center(page.get_by_role("button", name="Right side")))
    page.mouse.move(frame["x"], frame["y"])  # not held: nothing follows
    assert recipe_of(page)["crop"] == [0, 0, 0.5, 0.5]


def test_a_crop_is_dragged_by_a_finger_and_keeps_its_shape(posted: OpenPage) -> None:
    page = opened(posted(390))
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    frame = frame_of(page)

    def drag(name: str, across: float, down: float) -> None:
        x, y = center(page.get_by_role("button", name=name, exact=True))
        for kind, part in (("touchStart", 0), ("touchMove", 0.5), ("touchMove", 1), ("touchEnd", 1)):
            at = {"x": x + across * part * frame["width"], "y": y + down * part * frame["height"]}
            session.send(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else [at]}
            )

    page.get_by_text("1:1").click()
    expect(page.locator(".editor-status")).to_have_text("300 × 300")
    drag("Lower right corner", -0.375, -0.1)
    expect(page.locator(".editor-status")).to_have_text("150 × 150")
    drag("The whole crop", 0.6, 0.6)
    recipe = recipe_of(page)
    assert recipe["aspect"] == "1:1"
    assert recipe["crop"] == [0.625, 0.5, 0.375, 0.5]


def test_a_crop_is_moved_by_keys_in_steps_and_never_leaves_the_photo(posted: OpenPage) -> None:
    page = opened(posted())
    status = page.locator(".editor-status")
    page.get_by_role("button", name="Lower right corner").focus()
    for key in ("Shift+ArrowLeft", "Shift+ArrowUp", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    expect(status).to_have_text("376 × 282")
    whole = page.get_by_role("button", name="The whole crop")
    whole.focus()
    expect(whole).to_have_accessible_description(re.compile("arrow keys"))
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(status).to_have_text("376 × 282")
    page.keyboard.press("Control+z")
    page.keyboard.press("ArrowUp")  # is at the top already
    page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Lower side").focus()
    for _ in range(30):
        page.keyboard.press("Shift+ArrowUp")
    expect(status).to_have_text("376 × 15")
    assert recipe_of(page)["crop"] == [0.06, 0.01, 0.94, 0.05]


def expect_preview(page: Page, wanted: Callable[[Pixel], bool]) -> Pixel:
    """The pixel of the upper right as soon as it is as wanted: a change is drawn with some later frame."""
    for _ in range(100):
        picture = Image.open(BytesIO(page.locator(".editor-frame").screenshot())).convert("RGB")
        pixel = cast(Pixel, picture.getpixel((3 * picture.width // 4, picture.height // 4)))
        if wanted(pixel):
            return pixel
        page.wait_for_timeout(50)
    raise AssertionError(f"the preview stays {pixel}")


def is_red(pixel: Pixel) -> bool:
    return name_of(pixel) == "red"


def test_the_original_is_seen_while_its_button_is_held_and_by_key_until_it_is_pressed_again(
    posted: OpenPage,
) -> None:
    page = opened(posted())
    page.get_by_role("button", name="Rotate").click()
    page.get_by_role("tab", name="Filters").click()
    page.get_by_text("Cyanotype", exact=True).click()
    status, compare = page.locator(".editor-status"), page.get_by_role("button", name="Original")
    expect(page.get_by_text("Prussian blue on white")).to_be_visible()
    edited = expect_preview(page, lambda pixel: pixel[2] > pixel[0])
    compare.hover()
    page.mouse.down()
    expect(compare).to_have_attribute("aria-pressed", "true")
    expect(status).to_have_text("The original")
    expect_preview(page, is_red)  # turned as it is
    page.mouse.up()
    expect(compare).to_have_attribute("aria-pressed", "false")
    expect(status).to_have_text("300 × 400")
    expect_preview(page, lambda pixel: pixel == edited)
    compare.focus()
    page.keyboard.press("Space")
    expect(status).to_have_text("The original")
    expect_preview(page, is_red)
    page.keyboard.press("Space")
    expect(status).to_have_text("300 × 400")
    expect_preview(page, lambda pixel: pixel == edited)


def edges(page: Page, selector: str) -> list[str]:
    """What of these could not be told from the ground: neither a border, nor an outline, nor a ground of its own."""
    script = """(elements) => elements.filter((element) => element.checkVisibility() && ![null, "::before"].some((part) => {
        const { borderTopWidth, borderTopStyle, outlineStyle, outlineWidth, backgroundColor } = getComputedStyle(element, part);
        return (borderTopStyle !== "none" && parseFloat(borderTopWidth) > 0) || (outlineStyle !== "none" && parseFloat(outlineWidth) > 0)
            || (part && backgroundColor !== "rgba(0, 0, 0, 0)");
    })).map((element) => element.outerHTML.slice(0, 120))"""
    return list(page.locator(selector).evaluate_all(script))


def test_forced_colours_show_what_is_chosen_what_is_cut_off_and_where_one_can_drag(posted: OpenPage) -> None:
    page = posted()
    page.emulate_media(forced_colors="active")
    opened(page)
    page.get_by_role("button", name="Left side").focus()
    for _ in range(6):
        page.keyboard.press("Shift+ArrowRight")
    for selector in (
        ".handle:not(.all)",
        ".crop-box",
        ".pills label span",
        ".turns .button",
        ".editor-do .button",
    ):
        assert edges(page, selector) == []
    picture = Image.open(BytesIO(page.locator(".editor-frame").screenshot())).convert("RGB")
    cut, kept = (picture.getpixel((part * picture.width // 20, picture.height // 4)) for part in (2, 8))
    assert name_of(kept) == "red"  # type: ignore[arg-type]
    assert cut[0] < kept[0] - 60  # type: ignore[index]
    chosen = "(element) => { const { outlineStyle, borderTopColor } = getComputedStyle(element); return outlineStyle + borderTopColor; }"
    pills = page.locator(".pills label > span")
    looks = [pills.nth(at).evaluate(chosen) for at in range(pills.count())]
    assert looks.count(looks[0]) == 1
    pressed = page.get_by_role("button", name="Original")
    before = pressed.evaluate("(element) => getComputedStyle(element).backgroundColor")
    pressed.focus()
    page.keyboard.press("Space")
    assert pressed.evaluate("(element) => getComputedStyle(element).backgroundColor") != before
    page.get_by_role("tab", name="Filters").click()
    page.get_by_text("Cyanotype", exact=True).click()
    rings = page.locator(".filters label > span canvas").evaluate_all(
        "(all) => all.filter((canvas) => getComputedStyle(canvas).outlineStyle !== 'none').length"
    )
    assert rings == 1
    if folder := os.environ.get("CALOTYPE_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/editor-forced-filters.png")
        page.get_by_role("tab", name="Crop").click()
        page.screenshot(path=f"{folder}/editor-forced-crop.png")


def test_an_edit_by_keyboard_is_saved_and_the_next_one_begins_with_it(posted: OpenPage) -> None:
    page = posted()
    button = page.get_by_role("button", name=re.compile("^Edit photo"))
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Done")).to_be_enabled()
    left = page.get_by_role("button", name="Left side")
    left.focus()
    for _ in range(10):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".editor-status")).to_have_text("200 × 300")
    page.keyboard.press("Control+z")
    expect(page.locator(".editor-status")).to_have_text("220 × 300")
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_role("tab", name="Crop").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Light")).to_be_focused()
    exposure = page.get_by_role("slider", name="Exposure")
    exposure.focus()
    page.keyboard.press("ArrowRight")
    expect(exposure).to_have_attribute("aria-valuetext", "+1")
    page.get_by_role("button", name="Done").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The edited photo is saved.").first).to_be_visible()
    expect(button).to_be_focused()
    item = page.locator("[data-photo]")
    recipe = json.loads(item.get_attribute("data-recipe") or "")
    assert recipe["crop"] == [0.5, 0, 0.5, 1]
    assert recipe["exposure"] == 1
    page.reload()
    expect(page.locator("[data-photo] img")).to_have_attribute("width", "200")
    opened(page)
    expect(page.locator(".editor-status")).to_have_text("200 × 300")
    page.get_by_role("button", name="Reset").click()
    page.get_by_role("button", name="Done").click()
    expect(page.locator("[data-photo]")).to_have_attribute("data-recipe", "")


def test_escape_asks_before_changes_are_lost(posted: OpenPage) -> None:
    page = opened(posted())
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    opened(page)
    page.get_by_role("button", name="Mirror").click()
    page.keyboard.press("Escape")
    question = page.get_by_role("dialog", name=re.compile("Discard"))
    expect(question).to_be_visible()
    question.get_by_role("button", name="Keep editing").click()
    expect(question).to_have_count(0)
    expect(page.get_by_role("dialog", name="Edit photo")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Discard").click()
    expect(page.locator("dialog")).to_have_count(0)


def test_a_lost_context_comes_back_or_is_done_without_and_the_recipe_stays(posted: OpenPage) -> None:
    page = opened(posted())
    page.get_by_role("button", name="Rotate").click()
    expect(page.locator(".editor-status")).to_have_text("300 × 400")
    page.evaluate(LOSE)
    page.evaluate("window.lost.restoreContext()")
    page.wait_for_timeout(300)
    page.get_by_role("tab", name="Filters").click()
    page.get_by_text("Cyanotype").click()
    page.evaluate(LOSE)
    page.wait_for_function('() => document.querySelector(".editor-frame canvas").getContext("2d") !== null')
    expect(page.locator(".editor-status")).to_have_text("300 × 400")
    page.wait_for_timeout(200)
    red, _green, blue = page.evaluate("""() => {
        const canvas = document.querySelector(".editor-frame canvas");
        return [...canvas.getContext("2d").getImageData(20, 20, 1, 1).data.slice(0, 3)];
    }""")
    assert blue >= red
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("The edited photo is saved.").first).to_be_visible()
    assert '"cyanotype"' in (page.locator("[data-photo]").get_attribute("data-recipe") or "")


def test_the_filters_have_their_names_in_the_language_of_the_page(posted: OpenPage) -> None:
    page = posted(language="de")
    page.locator("[data-edit-photo]").click()
    page.get_by_role("tab", name="Filter", exact=True).click()
    page.get_by_text("Cyanotypie", exact=True).click()
    expect(page.get_by_text("Preußischblau auf Weiß")).to_be_visible()


def test_every_icon_of_the_editor_is_drawn(posted: OpenPage) -> None:
    page = opened(posted())
    for tab in ("Crop", "Light", "Filters"):
        page.get_by_role("tab", name=tab).click()
        empty = page.locator(".editor svg.icon").evaluate_all(
            """(icons) => icons.filter((icon) => icon.checkVisibility()
            && icon.getBBox().width < 8).map((icon) => icon.innerHTML)"""
        )
        assert empty == []


def test_a_file_that_this_browser_cannot_open_is_said(posted: OpenPage) -> None:
    page = posted()
    page.evaluate("""() => void import("/static/photos/editor/editor.js").then(
        ({ edit }) => edit(new Blob(["no photo"]), null)).then(made => { window.made = made; })""")
    expect(page.get_by_text("This browser cannot open this photo")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_function("() => window.made === null")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_in_the_open_editor(width: int, theme: str, posted: OpenPage) -> None:
    page = opened(posted(width, theme=theme))
    folder = os.environ.get("CALOTYPE_SCREENSHOTS")
    found = []
    for tab in ("Crop", "Light", "Filters"):
        page.get_by_role("tab", name=tab).click()
        if tab == "Filters":
            page.get_by_text("Cyanotype", exact=True).click()
        page.wait_for_timeout(300)
        if folder:
            page.screenshot(path=f"{folder}/editor-{tab.lower()}-{theme}-{width}.png")
        response = Axe().run(page, options={"resultTypes": ["violations"]}).response
        found += [f"{tab} {each['id']}: {each['nodes'][0]['html'][:160]}" for each in response["violations"]]
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0
    assert found == []


def test_without_a_script_nothing_is_offered(posted: OpenPage) -> None:
    page = posted(javascript=False)
    expect(page.get_by_role("button", name=re.compile("^Edit photo"))).to_have_count(0)
    expect(page.get_by_role("button", name="Save")).to_be_visible()
