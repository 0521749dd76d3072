"""What the tests of the photo editor share: photographs, a post to edit, and the way to the worker."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, cast

from PIL import Image
from playwright.sync_api import FilePayload, FloatRect, Locator, Page, expect

from calotype.product import demo
from tests.e2e.conftest import OpenPage

PHOTO = Path(demo.__file__).parent / "photos/picos-de-europa.jpg"

TONED = {"exposure": 25, "contrast": 30, "warmth": 40, "saturation": -20, "vignette": 50}

EXPORT = """async ([data, recipe, engine]) => {
    const file = new Blob([Uint8Array.from(atob(data), character => character.charCodeAt(0))]);
    const { PLAIN } = await import("/static/photos/editor/recipe.js");
    const address = document.querySelector("[data-editor]").dataset.editor;
    const worker = window.exporter ??= new Worker(address, { type: "module" });
    const answer = await new Promise(done => {
        worker.onmessage = event => "lock" in event.data || done(event.data);
        worker.onerror = event => done({ error: event.message });
        worker.postMessage({ file, recipe: { ...PLAIN, ...recipe }, engine });
    });
    if (answer.error) throw new Error(answer.error);
    const bytes = new Uint8Array(await answer.blob.arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return { type: answer.blob.type, data: btoa(text) };
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


def name_of(pixel: tuple[int, ...]) -> str:
    known = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
    return min(known, key=lambda name: sum(abs(a - b) for a, b in zip(pixel, known[name], strict=True)))


def exported(page: Page, data: bytes, recipe: dict[str, Any], engine: str = "") -> Image.Image:
    """What the page's worker makes of a file; by an engine, or by the one that it takes itself."""
    answer = page.evaluate(EXPORT, [base64.b64encode(data).decode(), recipe, engine or None])
    assert answer["type"] == "image/jpeg"
    return Image.open(BytesIO(base64.b64decode(answer["data"])))


def posting(open_page: OpenPage) -> Iterator[OpenPage]:
    """Opens the page where Jan changes a post with one photo, of four colours; the post is deleted afterwards."""
    opener = open_page(javascript=False, signed_in=True)
    opener.goto("/new/")
    photo = FilePayload(name="quarters.png", mimeType="image/png", buffer=saved(quarters()))
    opener.locator('input[type="file"]').set_input_files([photo])
    opener.get_by_role("button", name="Post", exact=True).click()
    opener.wait_for_url(re.compile(r"/edit/"))
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


def center(of: Locator) -> tuple[float, float]:
    box = cast(FloatRect, of.bounding_box())
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
