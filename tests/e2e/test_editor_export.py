"""The export of the photo editor: how long it takes, and what happens when its worker dies."""

from __future__ import annotations

import base64
import re
import statistics
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.editing import PHOTO, TONED, posting, quarters, saved

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

posted = pytest.fixture(posting)

EXPORT_MS = 2_000
"""For 12 megapixels, from "Done" to the rendition: starting a worker, decoding, drawing, encoding and handing it over."""

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


def of_three_runs(page: Page, data: bytes, recipe: dict[str, Any]) -> float:
    """The median in ms, each as a person has it: by a worker that is new."""
    answer = page.evaluate(BESIDE, [base64.b64encode(data).decode(), recipe])
    assert (answer["type"], answer["size"]) == ("image/jpeg", [4000, 3000])
    print(f"export of 12 MP: {', '.join(f'{ms:.0f} ms' for ms in answer['times'])}")
    return float(statistics.median(answer["times"]))


@pytest.mark.clock
@pytest.mark.parametrize("recipe", [{"filter": "albumen"}, {"filter": "carbro"}], ids=["grey", "colours"])
def test_twelve_megapixels_are_exported_within_two_seconds(
    recipe: dict[str, Any], open_page: OpenPage
) -> None:
    page = open_page(signed_in="exporter")
    page.goto("/new/")
    with Image.open(PHOTO) as photo:
        large = photo.convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
    assert of_three_runs(page, saved(large, "JPEG", quality=92), {**TONED, **recipe}) < EXPORT_MS


DIES = """
setInterval(async () => {
    const { held } = await navigator.locks.query();
    if (held.some(({ name }) => name.startsWith("export "))) close();
}, 10);
"""
"""In the middle of what it does, without a word: as a device ends one that takes too much memory."""


def workers_die(page: Page, first: int) -> list[str]:
    """So many of the next workers; the addresses of all that are started."""
    started: list[str] = []

    def answer(route: Route) -> None:
        started.append(route.request.url)
        asked = route.fetch()
        route.fulfill(response=asked, body=asked.text() + (DIES if len(started) <= first else ""))

    page.route("**/export.worker*.js", answer)
    return started


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
    started = workers_die(page, first=1)
    page.get_by_role("button", name="Done").click()
    page.wait_for_function("() => window.made", timeout=60_000)
    assert len(started) == 2
    made = page.evaluate("createImageBitmap(window.made.blob).then(({ width, height }) => [width, height])")
    assert made == [4096, 2731]  # what a device has no memory for, it has for less
    assert page.evaluate("window.made.recipe.filter") == "carbro"


def test_when_the_next_worker_dies_too_it_is_said_what_to_do_and_nothing_is_lost(posted: OpenPage) -> None:
    page = posted()
    large_photo(page)
    started = workers_die(page, first=2)
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


EXPORT = """async () => {
    const { exportedBeside } = await import("/static/photos/editor/exporting.js");
    const { PLAIN } = await import("/static/photos/editor/recipe.js");
    const canvas = new OffscreenCanvas(30, 20);
    canvas.getContext("2d").fillRect(0, 0, 30, 20);
    const address = document.querySelector("[data-editor]").dataset.editor;
    const file = await canvas.convertToBlob();
    window.made = exportedBeside(address, file, { ...PLAIN, exposure: 1 }, new AbortController().signal).then(
        async (blob) => { const { width, height } = await createImageBitmap(blob); return `${width} x ${height}`; }, String);
}"""
"""What becomes of it is in `window.made`."""

WITHOUT_LOCKS = 'self.addEventListener("message", () => { postMessage({ lock: "" }); close(); });'


def test_a_worker_that_does_not_start_is_done_without(posted: OpenPage) -> None:
    page = posted(expects=["ERR_FAILED"])
    page.route("**/export.worker*.js", lambda route: route.abort())
    page.evaluate(EXPORT)
    assert page.evaluate("window.made") == "30 x 20"


HEARD = """() => {
    window.words = 0;
    window.Worker = class extends Worker {
        constructor(...all) { super(...all); this.addEventListener("message", () => window.words++); }
    };
}"""


@pytest.mark.parametrize(
    ("worker", "words", "made"),
    [("close();", 0, "30 x 20"), (WITHOUT_LOCKS, 2, "Error: the worker died twice")],
    ids=["before its first word", "without a lock"],
)
def test_a_worker_that_dies_unheard_is_given_up(worker: str, words: int, made: str, posted: OpenPage) -> None:
    page = posted()
    page.route(
        "**/export.worker*.js", lambda route: route.fulfill(body=worker, content_type="text/javascript")
    )
    page.evaluate(HEARD)
    page.clock.install()
    page.evaluate(EXPORT)
    for heard in range(1, words + 1):
        page.wait_for_function("(heard) => window.words >= heard", arg=heard)
        page.clock.run_for(120_000)
    if not words:
        page.clock.run_for(10_000)
    assert page.evaluate("window.made") == made
