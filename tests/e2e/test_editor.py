"""The photo editor in Chromium: its pixels, its export, its keyboard, and what happens when the graphics context goes."""

from __future__ import annotations

import base64
import json
import os
import re
import statistics
from collections.abc import Iterator
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageCms, ImageOps
from playwright.sync_api import FilePayload, FloatRect, Locator, Page, Worker, expect

from calotype.product import demo
from tests.e2e.conftest import OpenPage
from tests.infra.imaging.samples import display_p3

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

EXPORT_MS = 2_000
"""For 12 megapixels, from "Done" to the rendition: starting a worker, decoding, drawing, encoding and handing it over."""

PHOTO = Path(demo.__file__).parent / "photos/picos-de-europa.jpg"

TONED = {"exposure": 25, "contrast": 30, "warmth": 40, "saturation": -20, "vignette": 50}

EXPORT = """async ([data, recipe, engine]) => {
    const file = new Blob([Uint8Array.from(atob(data), character => character.charCodeAt(0))]);
    const { PLAIN } = await import("/static/photos/editor/recipe.js");
    const address = document.querySelector("[data-editor]").dataset.editor;
    const worker = window.exporter ??= new Worker(address, { type: "module" });
    const start = performance.now();
    const answer = await new Promise(done => {
        worker.onmessage = event => "lock" in event.data || done(event.data);
        worker.onerror = event => done({ error: event.message });
        worker.postMessage({ file, recipe: { ...PLAIN, ...recipe }, engine });
    });
    if (answer.error) throw new Error(answer.error);
    const ms = performance.now() - start;
    const bytes = new Uint8Array(await answer.blob.arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return { ms, type: answer.blob.type, data: btoa(text) };
}"""

BESIDE = """async ([data, recipe]) => {
    const file = new Blob([Uint8Array.from(atob(data), character => character.charCodeAt(0))]);
    const { PLAIN } = await import("/static/photos/editor/recipe.js");
    const { exportedBeside } = await import("/static/photos/editor/exporting.js");
    const address = document.querySelector("[data-editor]").dataset.editor;
    const times = [];
    let blob;
    for (let run = 0; run < 3; run++) {
        const start = performance.now();
        blob = await exportedBeside(address, file, { ...PLAIN, ...recipe }, new AbortController().signal);
        times.push(performance.now() - start);
    }
    const { width, height } = await createImageBitmap(blob);
    return { times, type: blob.type, size: [width, height] };
}"""

LOSE = """() => {
    const canvas = document.querySelector(".editor-frame canvas");
    window.lost = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
    window.lost.loseContext();
}"""


def saved(picture: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    out = BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def quarters(width: int = 400, height: int = 300) -> Image.Image:
    """Red, lime, blue and white, clockwise from the upper left."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("lime", (width // 2, 0, width, height // 2))
    picture.paste("white", (0, height // 2, width // 2, height))
    picture.paste("blue", (width // 2, height // 2, width, height))
    return picture


def colors() -> Image.Image:
    picture = Image.new("RGB", (6, 4))
    picture.putdata([(40 * at % 256, 97 * at % 256, 255 - 11 * at) for at in range(24)])
    return picture.resize((360, 240), Image.Resampling.BICUBIC)


def name_of(pixel: tuple[int, ...]) -> str:
    known = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
    return min(known, key=lambda name: sum(abs(a - b) for a, b in zip(pixel, known[name], strict=True)))


def corners(picture: Image.Image) -> list[str]:
    """Clockwise from the upper left."""
    picture = picture.convert("RGB")
    right, bottom = picture.width - 6, picture.height - 6
    return [name_of(picture.getpixel(at)) for at in ((5, 5), (right, 5), (right, bottom), (5, bottom))]  # type: ignore[arg-type]


def exported(page: Page, data: bytes, recipe: dict[str, Any], engine: str = "") -> tuple[Image.Image, float]:
    arguments = [base64.b64encode(data).decode(), recipe, engine or None]
    answer = page.evaluate(EXPORT, arguments)
    assert answer["type"] == "image/jpeg"
    return Image.open(BytesIO(base64.b64decode(answer["data"]))), answer["ms"]


@pytest.fixture
def posted(open_page: OpenPage) -> Iterator[OpenPage]:
    """Opens the page where Jan changes a post with one photo, of four colours; the post is deleted afterwards."""
    opener = open_page(javascript=False, signed_in=True)
    opener.goto("/new/")
    photo = FilePayload(name="quarters.png", mimeType="image/png", buffer=saved(quarters()))
    opener.locator('input[type="file"]').set_input_files([photo])
    opener.get_by_role("button", name="Post", exact=True).click()
    expect(opener).to_have_url(re.compile(r"/edit/"))
    path = opener.url.split("?")[0]

    def make(width: int = 1280, **options: Any) -> Page:
        page = open_page(width, signed_in=True, **options)
        page.goto(path)
        return page

    yield make
    opener.goto(path.replace("/edit/", "/delete/"))
    opener.get_by_role("button", name="Delete the post").click()


def opened(page: Page) -> Page:
    """With the editor open on its photo."""
    page.get_by_role("button", name=re.compile("^Edit photo")).click()
    expect(page.get_by_role("dialog", name="Edit photo")).to_be_visible()
    expect(page.get_by_role("button", name="Done")).to_be_enabled()
    return page


def test_webgl_and_canvas_make_the_same_pixels(posted: OpenPage) -> None:
    page = posted()
    filters = page.evaluate(
        'import("/static/photos/editor/filters.js").then(module => module.FILTERS.map(each => each.id))'
    )
    for recipe in ({}, TONED, {"exposure": -60, "straighten": 4}, *({"filter": each} for each in filters)):
        gl, _ = exported(page, saved(colors()), recipe, "gl")
        flat, _ = exported(page, saved(colors()), recipe, "2d")
        assert gl.size == flat.size
        inner = (4, 4, gl.width - 4, gl.height - 4)
        pairs = zip(gl.crop(inner).tobytes(), flat.crop(inner).tobytes(), strict=True)
        apart = sorted(abs(left - right) for left, right in pairs)
        assert apart[int(len(apart) * 0.999)] <= 4, recipe
        assert sum(apart) / len(apart) < 0.7, recipe


def test_each_filter_is_a_look_of_its_own_and_keeps_the_shadows_of_a_face(posted: OpenPage) -> None:
    page = posted()
    with Image.open(PHOTO.with_name("eileen-collins.jpg")) as photo:
        portrait = photo.convert("RGB").resize((300, 300), Image.Resampling.LANCZOS)
    filters = page.evaluate(
        'import("/static/photos/editor/filters.js").then(module => module.FILTERS.map(each => each.id))'
    )
    made = {"": portrait} | {
        each: exported(page, saved(portrait), {"filter": each}, "2d")[0].convert("RGB") for each in filters
    }
    for one, other in combinations(made, 2):
        apart = [abs(a - b) for a, b in zip(made[one].tobytes(), made[other].tobytes(), strict=True)]
        assert statistics.fmean(apart) > 6, (one, other)
    face = (100, 20, 200, 120)
    for each, picture in made.items():
        darkest, brightest = picture.crop(face).convert("L").getextrema()
        assert darkest > 0 or not each, each  # type: ignore[operator]
        assert brightest - darkest > 130, each  # type: ignore[operator]


@pytest.mark.parametrize("engine", ["gl", "2d"])
def test_geometry_puts_each_quarter_where_it_belongs(engine: str, posted: OpenPage) -> None:
    page = posted()
    data = saved(quarters())
    for recipe, size, seen in (
        ({}, (400, 300), ["red", "lime", "blue", "white"]),
        ({"turn": 1}, (300, 400), ["white", "red", "lime", "blue"]),
        ({"turn": 2}, (400, 300), ["blue", "white", "red", "lime"]),
        ({"turn": 3}, (300, 400), ["lime", "blue", "white", "red"]),
        ({"flip": True}, (400, 300), ["lime", "red", "white", "blue"]),
        ({"turn": 1, "flip": True}, (300, 400), ["red", "white", "blue", "lime"]),
        ({"crop": [0.5, 0.5, 0.5, 0.5]}, (200, 150), ["blue"] * 4),
        ({"crop": [0.25, 0, 0.5, 0.5]}, (200, 150), ["red", "lime", "lime", "red"]),
        ({"straighten": 45, "crop": [0.45, 0.05, 0.1, 0.1]}, None, ["red"] * 4),
        ({"straighten": -45, "crop": [0.45, 0.05, 0.1, 0.1]}, None, ["lime"] * 4),
    ):
        made, _ = exported(page, data, recipe, engine)
        assert corners(made) == seen, recipe
        if size:
            assert made.size == size


def test_the_orientation_that_a_camera_wrote_is_applied_once(posted: OpenPage) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its left side: a quarter clockwise stands it up
    made, _ = exported(posted(), saved(quarters(), "JPEG", quality=95, exif=exif), {"contrast": 1})
    assert made.size == (300, 400)
    assert corners(made) == ["white", "red", "lime", "blue"]
    assert made.getexif().get(0x0112) in (None, 1)


@pytest.mark.parametrize("engine", ["gl", "2d"])
def test_display_p3_stays_display_p3_and_srgb_stays_srgb(engine: str, posted: OpenPage) -> None:
    page = posted()
    wide = saved(Image.new("RGB", (64, 64), (255, 0, 0)), "PNG", icc_profile=display_p3())
    made, _ = exported(page, wide, {"vignette": 1}, engine)
    assert b"P3" in made.info["icc_profile"].replace(b"\0", b"")
    red, green, blue = made.convert("RGB").getpixel((32, 32))  # type: ignore[misc]
    assert red >= 250
    assert max(green, blue) <= 6
    plain, _ = exported(page, saved(quarters()), {"vignette": 1}, engine)
    assert b"P3" not in plain.info.get("icc_profile", b"").replace(b"\0", b"")


def far_apart(made: Image.Image, wanted: Image.Image) -> tuple[float, int]:
    """In levels of 255, on average and at most, over squares of 4 pixels: within them a JPEG may err."""
    pairs = zip(made.convert("RGB").reduce(4).tobytes(), wanted.reduce(4).tobytes(), strict=True)
    apart = [abs(left - right) for left, right in pairs]
    return statistics.fmean(apart), max(apart)


def p3_to_srgb(picture: Image.Image) -> Image.Image:
    p3, srgb = ImageCms.ImageCmsProfile(BytesIO(display_p3())), ImageCms.createProfile("sRGB")
    return cast(Image.Image, ImageCms.profileToProfile(picture, p3, srgb, outputMode="RGB"))


@pytest.mark.parametrize("engine", ["gl", "2d"])
def test_a_photograph_in_display_p3_keeps_its_numbers_and_its_profile_and_stands_upright(
    engine: str, posted: OpenPage
) -> None:
    with Image.open(PHOTO.with_name("fig.jpg")) as photo:  # in a bowl whose red sRGB could not hold
        wanted = ImageOps.fit(photo.convert("RGB"), (480, 360))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = wanted.transpose(Image.Transpose.ROTATE_90)
    data = saved(lying, "JPEG", quality=98, subsampling=0, exif=exif, icc_profile=display_p3())
    made, _ = exported(posted(), data, {"flip": True}, engine)
    assert made.size == (480, 360)
    assert made.getexif().get(0x0112) in (None, 1)
    assert b"P3" in made.info["icc_profile"].replace(b"\0", b"")
    average, worst = far_apart(ImageOps.mirror(made), wanted)
    assert average < 1.5
    assert worst < 20
    assert far_apart(p3_to_srgb(wanted), wanted)[0] > 4  # what a lost profile would cost


@pytest.mark.parametrize("engine", ["gl", "2d"])
def test_a_photograph_in_display_p3_that_srgb_can_hold_becomes_srgb_and_looks_the_same(
    engine: str, posted: OpenPage
) -> None:
    with Image.open(PHOTO) as photo:
        grey = ImageOps.fit(photo.convert("L"), (480, 360))
    muted = ImageOps.colorize(grey, (40, 30, 20), (230, 190, 150))
    data = saved(muted, "JPEG", quality=98, subsampling=0, icc_profile=display_p3())
    made, _ = exported(posted(), data, {"flip": True}, engine)
    assert b"P3" not in made.info.get("icc_profile", b"").replace(b"\0", b"")
    average, worst = far_apart(ImageOps.mirror(made), p3_to_srgb(muted))
    assert average < 1.5
    assert worst < 20
    assert far_apart(p3_to_srgb(muted), muted)[0] > 2.5  # what a lost profile would cost


def of_three_runs(page: Page, data: bytes, recipe: dict[str, Any]) -> float:
    """The median in ms, each as a person has it: by a worker that is new."""
    answer = page.evaluate(BESIDE, [base64.b64encode(data).decode(), recipe])
    assert (answer["type"], answer["size"]) == ("image/jpeg", [4000, 3000])
    print(f"export of 12 MP: {', '.join(f'{ms:.0f} ms' for ms in answer['times'])}")
    return statistics.median(answer["times"])


@pytest.mark.parametrize("recipe", [{"filter": "albumen"}, {"filter": "carbro"}], ids=["grey", "colours"])
def test_twelve_megapixels_are_exported_within_two_seconds(recipe: dict[str, Any], posted: OpenPage) -> None:
    with Image.open(PHOTO) as photo:
        large = photo.convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
    assert of_three_runs(posted(), saved(large, "JPEG", quality=92), {**TONED, **recipe}) < EXPORT_MS


def test_a_transparent_photo_lies_on_white(posted: OpenPage) -> None:
    page = posted()
    for engine in ("gl", "2d"):
        made, _ = exported(page, saved(Image.new("RGBA", (40, 40), (0, 0, 0, 0))), {"warmth": 0}, engine)
        assert min(made.convert("RGB").getpixel((20, 20))) >= 254  # type: ignore[arg-type]


def center(of: Locator) -> tuple[float, float]:
    box = cast(FloatRect, of.bounding_box())
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


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


def preview(page: Page) -> tuple[int, ...]:
    """A pixel of the upper right."""
    page.wait_for_timeout(120)
    picture = Image.open(BytesIO(page.locator(".editor-frame").screenshot()))
    return tuple(picture.convert("RGB").getpixel((3 * picture.width // 4, picture.height // 4)))  # type: ignore[arg-type]


def test_the_original_is_seen_while_its_button_is_held_and_by_key_until_it_is_pressed_again(
    posted: OpenPage,
) -> None:
    page = opened(posted())
    page.get_by_role("button", name="Rotate").click()
    page.get_by_role("tab", name="Filters").click()
    page.get_by_text("Cyanotype", exact=True).click()
    status, compare = page.locator(".editor-status"), page.get_by_role("button", name="Original")
    expect(page.get_by_text("Prussian blue on white")).to_be_visible()
    edited = preview(page)
    assert edited[2] > edited[0]
    compare.hover()
    page.mouse.down()
    expect(compare).to_have_attribute("aria-pressed", "true")
    expect(status).to_have_text("The original")
    assert name_of(preview(page)) == "red"  # turned as it is
    page.mouse.up()
    expect(compare).to_have_attribute("aria-pressed", "false")
    expect(status).to_have_text("300 × 400")
    assert preview(page) == edited
    compare.focus()
    page.keyboard.press("Space")
    expect(status).to_have_text("The original")
    assert name_of(preview(page)) == "red"
    page.keyboard.press("Space")
    expect(status).to_have_text("300 × 400")
    assert preview(page) == edited


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


def kill(worker: Worker) -> None:
    """In the middle of what it does, without a word: as a device ends one that takes too much memory."""
    worker.evaluate("""() => void setInterval(async () => {
        const { held } = await navigator.locks.query();
        if (held.some(({ name }) => name.startsWith("export "))) close();
    }, 10)""")


def large_photo(page: Page) -> None:
    """Opens the editor on 24 megapixels, which are not exported within a blink."""
    data = saved(quarters(6000, 4000), "JPEG", quality=80)
    page.evaluate(
        """(data) => void import("/static/photos/editor/editor.js").then(({ edit }) => edit(new Blob([Uint8Array.from(atob(data),
            character => character.charCodeAt(0))]), { v: 1, filter: "carbro" })).then(made => { window.made = made; })""",
        base64.b64encode(data).decode(),
    )
    expect(page.get_by_role("button", name="Done")).to_be_enabled()


def test_a_worker_that_dies_is_replaced_once_and_the_photo_is_made(posted: OpenPage) -> None:
    page = posted()
    large_photo(page)
    started: list[Worker] = []

    def first_dies(worker: Worker) -> None:
        started.append(worker)
        if len(started) == 1:
            kill(worker)

    page.on("worker", first_dies)
    page.get_by_role("button", name="Done").click()
    page.wait_for_function("() => window.made", timeout=60_000)
    assert len(started) == 2
    made = page.evaluate("createImageBitmap(window.made.blob).then(({ width, height }) => [width, height])")
    assert made == [4096, 2731]  # what a device has no memory for, it has for less
    assert page.evaluate("window.made.recipe.filter") == "carbro"


def test_when_the_next_worker_dies_too_it_is_said_what_to_do_and_nothing_is_lost(posted: OpenPage) -> None:
    page = posted()
    large_photo(page)
    started: list[Worker] = []

    def dies(worker: Worker) -> None:
        started.append(worker)
        if len(started) <= 2:
            kill(worker)

    page.on("worker", dies)
    done = page.get_by_role("button", name="Done")
    done.click()
    expect(page.locator(".editor-status.error")).to_contain_text(
        re.compile("Close other tabs"), timeout=60_000
    )
    assert len(started) == 2
    expect(done).to_have_attribute("aria-disabled", "false")
    page.get_by_role("tab", name="Filters").click()
    expect(page.get_by_role("radio", name="Carbro")).to_be_checked()
    done.click()  # what is wrong may pass
    page.wait_for_function("() => window.made", timeout=60_000)
    assert page.evaluate("createImageBitmap(window.made.blob).then(({ width }) => width)") == 6000


def test_a_worker_that_does_not_start_is_done_without(posted: OpenPage) -> None:
    page = posted(expects=["ERR_FAILED"])
    page.route("**/export.worker*.js", lambda route: route.abort())
    made = page.evaluate("""async () => {
        const { exportedBeside } = await import("/static/photos/editor/exporting.js");
        const { PLAIN } = await import("/static/photos/editor/recipe.js");
        const canvas = new OffscreenCanvas(30, 20);
        canvas.getContext("2d").fillRect(0, 0, 30, 20);
        const address = document.querySelector("[data-editor]").dataset.editor;
        const blob = await exportedBeside(address, await canvas.convertToBlob(), { ...PLAIN, exposure: 1 }, new AbortController().signal);
        return createImageBitmap(blob).then(({ width, height }) => [width, height]);
    }""")
    assert made == [30, 20]


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
