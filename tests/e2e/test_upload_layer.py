"""Making a post in a browser: whatever happens to the network, the server, the page or a file, no photo is lost and none is
posted twice."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from io import BytesIO
from random import Random

import pytest
from PIL import Image
from pillow_heif import from_pillow
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FilePayload,
    Page,
    Route,
    StorageState,
    expect,
)

from tests.e2e.axe import violations
from tests.e2e.conftest import WIDTHS
from tests.e2e.test_journeys import sign_up
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

EXPECTED = ("status of 4", "status of 5", "net::ERR_")
"""Chromium logs what a fault looks like; anything else on the console is one of ours."""

CHUNKS = re.compile(r"/uploads/\d+/$")


def photo(name: str, color: str = "teal", size: tuple[int, int] = (900, 600)) -> FilePayload:
    out = BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG")
    return FilePayload(name=name, mimeType="image/jpeg", buffer=out.getvalue())


def large(name: str, side: int = 1_500) -> FilePayload:
    """Several megabytes: more than one chunk."""
    out = BytesIO()
    Image.frombytes("RGB", (side, side), Random(side).randbytes(side * side * 3)).save(out, "PNG")
    return FilePayload(name=name, mimeType="image/png", buffer=out.getvalue())


def heic(name: str) -> FilePayload:
    out = BytesIO()
    from_pillow(Image.new("RGB", (400, 300), "orchid")).save(out, format="HEIF")
    return FilePayload(name=name, mimeType="image/heic", buffer=out.getvalue())


@pytest.fixture(scope="module")
def session(chromium: Browser, site: RunningSite) -> StorageState:
    """Of somebody who has just signed up: what they post is in nobody else's way."""
    context = chromium.new_context(base_url=site.url)
    sign_up(context.new_page())
    state = context.storage_state()
    context.close()
    return state


NewBrowser = Callable[..., BrowserContext]


@pytest.fixture
def new_browser(chromium: Browser, site: RunningSite, session: StorageState) -> Iterator[NewBrowser]:
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def watched(page: Page) -> None:
        page.set_default_timeout(15_000)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))

    def make(width: int = 1280, *, touch: bool = False, theme: str = "light") -> BrowserContext:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light",
            has_touch=touch,
            is_mobile=touch,
            base_url=site.url,
            storage_state=session,
        )
        contexts.append(context)
        context.on("page", watched)
        return context

    yield make
    for context in contexts:
        context.close()
    assert [text for text in problems if not any(part in text for part in EXPECTED)] == []


@pytest.fixture
def page(new_browser: NewBrowser) -> Page:
    return new_browser().new_page()


def choose(page: Page, *files: FilePayload) -> None:
    """On the page of a new post."""
    if not page.url.endswith("/new/"):
        page.goto("/new/")
    page.locator("#id_photos").set_input_files(list(files))


def rows(page: Page) -> list[str]:
    return page.locator(".upload .name").all_inner_texts()


def share(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Share")).click()


def status(page: Page, name: str) -> str:
    return page.locator(".upload", has_text=name).locator("[data-status]").inner_text()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_photos_are_ordered_described_and_posted(width: int, new_browser: NewBrowser) -> None:
    page = new_browser(width).new_page()
    choose(page, photo("red.jpg", "red"), photo("green.jpg", "green"), photo("blue.jpg", "blue"))
    expect(page.locator(".upload.arrived")).to_have_count(3)
    page.get_by_role("button", name="Move photo 3 of 3, blue.jpg").press("ArrowUp")
    expect(page.locator("[data-say]")).to_have_text("Photo 2 of 3")
    assert rows(page) == ["red.jpg", "blue.jpg", "green.jpg"]
    page.get_by_role("button", name="Move photo 2 up").click()
    assert rows(page) == ["blue.jpg", "red.jpg", "green.jpg"]
    expect(page.get_by_role("button", name="Move photo 1 of 3, blue.jpg")).to_be_focused()
    for name, words in (
        ("red.jpg", "a red field"),
        ("blue.jpg", "a blue field"),
        ("green.jpg", "a green field"),
    ):
        page.locator(".upload", has_text=name).get_by_label("What it shows").fill(words)
    page.get_by_label("Caption").fill("Three colours")
    share(page)
    expect(page).to_have_url(re.compile(r"/p/\d+/$"))
    shown = page.locator(".photo img[alt$=field]").evaluate_all("all => all.map(each => each.alt)")
    assert shown == ["a blue field", "a red field", "a green field"]
    page.goto("/new/")
    expect(page.locator(".upload")).to_have_count(0)


def test_a_row_is_dragged_by_its_grip(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 1400})
    choose(page, photo("1.jpg"), photo("2.jpg"), photo("3.jpg"))
    expect(page.locator(".upload.arrived")).to_have_count(3)
    first, last = (
        page.locator("[data-grip]").nth(0).bounding_box(),
        page.locator(".upload").nth(2).bounding_box(),
    )
    assert first is not None
    assert last is not None
    page.mouse.move(first["x"] + 20, first["y"] + 20)
    page.mouse.down()
    page.mouse.move(first["x"] + 20, first["y"] + 120, steps=4)
    page.mouse.move(first["x"] + 20, last["y"] + last["height"] - 8, steps=8)
    page.mouse.up()
    assert rows(page) == ["2.jpg", "3.jpg", "1.jpg"]
    page.reload()
    expect(page.locator(".upload .name")).to_have_text(["2.jpg", "3.jpg", "1.jpg"])


def test_a_draft_survives_a_reload_with_its_files_words_and_order(page: Page) -> None:
    page.route(CHUNKS, lambda route: route.abort())
    choose(page, photo("one.jpg"), photo("two.jpg", "tomato"))
    page.get_by_label("Caption").fill("Not yet")
    page.locator(".upload", has_text="two.jpg").get_by_label("What it shows").fill("tomato red")
    page.get_by_role("button", name="Move photo 2 up").click()
    expect(page.locator(".upload [data-status]").first).to_contain_text("Waiting for the network")
    page.wait_for_timeout(400)
    page.unroute(CHUNKS)
    page.reload()
    expect(page.locator(".upload .name")).to_have_text(["two.jpg", "one.jpg"])
    expect(page.get_by_label("Caption")).to_have_value("Not yet")
    expect(page.get_by_label("What it shows").first).to_have_value("tomato red")
    expect(page.locator(".upload.arrived")).to_have_count(2)
    share(page)
    expect(page).to_have_url(re.compile(r"/p/\d+/edit/\?new"))


def test_the_network_goes_in_the_middle_of_forty_uploads_and_comes_back(new_browser: NewBrowser) -> None:
    context = new_browser()
    page = context.new_page()
    choose(page, *(photo(f"{n:02}.jpg", f"hsl({n * 9}, 60%, 50%)", (1200, 800)) for n in range(40)))
    expect(page.locator(".upload")).to_have_count(40)
    expect(page.locator(".upload.arrived").nth(4)).to_be_attached()
    context.set_offline(True)
    expect(page.locator(".upload [data-status]", has_text="Waiting for the network").first).to_be_attached()
    assert page.locator(".upload.arrived").count() < 40
    share(page)
    expect(page.get_by_role("heading", name="Your post is on its way")).to_be_visible()
    context.set_offline(False)
    expect(page).to_have_url(re.compile(r":\d+/$"), timeout=60_000)
    page.goto("/new/")
    expect(page.locator(".upload")).to_have_count(0)


def test_the_server_restarts_between_chunks(page: Page, site: RunningSite) -> None:
    sent: list[str] = []

    def slowly(route: Route) -> None:
        if route.request.method == "PATCH":
            sent.append(route.request.headers["upload-offset"])
            if len(sent) == 2:
                os.kill(site.pid("web"), signal.SIGKILL)
        route.continue_()

    page.route(CHUNKS, slowly)
    choose(page, large("large.png"))
    expect(page.locator(".upload.arrived")).to_have_count(1, timeout=60_000)
    site.wait_until_healthy()
    assert sent.count("0") == 1, "what was stored is not sent again"
    share(page)
    expect(page).to_have_url(re.compile(r"/p/\d+/"), timeout=30_000)


def test_the_answer_to_a_chunk_is_lost(page: Page) -> None:
    offsets: list[int] = []

    def once(route: Route) -> None:
        chunk = route.request.method == "PATCH"
        if chunk:
            offsets.append(int(route.request.headers["upload-offset"]))
        if chunk and offsets == [0]:
            assert route.fetch().status == 204
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(CHUNKS, once)
    choose(page, large("large.png"))
    expect(page.locator(".upload.arrived")).to_have_count(1, timeout=30_000)
    assert offsets == sorted(set(offsets)), "the stored chunk is not sent again"


def test_a_corrupt_file_among_good_ones_is_named_and_the_others_are_posted(page: Page) -> None:
    whole = large("whole.png", 400)
    broken = FilePayload(name="broken.png", mimeType="image/png", buffer=whole["buffer"][:200_000])
    choose(page, photo("one.jpg"), broken, photo("two.jpg"))
    expect(page.locator(".upload.arrived")).to_have_count(2)
    row = page.locator(".upload.refused")
    expect(row.locator("[data-status]")).to_contain_text("cut short")
    expect(row.get_by_role("button", name="Try again, photo 2")).to_be_visible()
    assert violations(page) == []
    row.get_by_role("button", name="Try again, photo 2").click()
    expect(row.locator("[data-status]")).to_contain_text("cut short")
    page.get_by_role("button", name="Share 2 photos").click()
    expect(page).to_have_url(re.compile(r"/p/\d+/edit/\?new"))
    expect(page.locator("textarea[name=alt]")).to_have_count(2)


def test_a_photo_is_removed_while_it_is_on_its_way(page: Page) -> None:
    ended: list[str] = []
    page.on("request", lambda request: ended.append(request.url) if request.method == "DELETE" else None)
    hanging: list[Route] = []
    page.route(
        CHUNKS, lambda route: hanging.append(route) if route.request.method == "PATCH" else route.continue_()
    )
    choose(page, photo("stay.jpg"), photo("go.jpg"))
    expect(page.locator(".upload")).to_have_count(2)
    while len(hanging) < 2:
        page.wait_for_timeout(20)
    page.get_by_role("button", name="Remove photo 2, go.jpg").click()
    expect(page.locator(".upload .name")).to_have_text(["stay.jpg"])
    expect(page.get_by_role("button", name="Remove photo 1, stay.jpg")).to_be_focused()
    page.wait_for_timeout(200)
    assert len(ended) == 1
    page.unroute(CHUNKS)


def test_two_tabs_show_one_draft_and_one_of_them_uploads(new_browser: NewBrowser) -> None:
    context = new_browser()
    first, second = context.new_page(), context.new_page()
    sent: dict[str, int] = {"first": 0, "second": 0}

    def counting(name: str) -> Callable[[Route], None]:
        def handler(route: Route) -> None:
            sent[name] += route.request.method == "PATCH"
            route.continue_()

        return handler

    first.route(CHUNKS, counting("first"))
    second.route(CHUNKS, counting("second"))
    second.goto("/new/")
    choose(first, photo("one.jpg"), photo("two.jpg"), photo("three.jpg"))
    expect(second.locator(".upload.arrived")).to_have_count(3)
    assert sorted(sent.values()) == [0, 3]
    second.locator("#id_photos").set_input_files([photo("four.jpg")])
    expect(first.locator(".upload.arrived")).to_have_count(4)
    second.get_by_label("Caption").fill("Of two tabs")
    share(second)
    expect(second).to_have_url(re.compile(r"/p/\d+/edit"))
    expect(first.locator(".upload")).to_have_count(0)
    second.goto(second.url.partition("edit/")[0])
    expect(second.get_by_text("Of two tabs").first).to_be_visible()


def test_without_room_for_a_draft_it_says_so_and_goes_on(new_browser: NewBrowser) -> None:
    context = new_browser()
    context.add_init_script("""
        const put = IDBObjectStore.prototype.put;
        IDBObjectStore.prototype.put = function (value) {
            if (this.name === "files") throw new DOMException("full", "QuotaExceededError");
            return put.call(this, value);
        };
    """)
    page = context.new_page()
    choose(page, photo("one.jpg"))
    expect(page.get_by_text("no room left to keep your draft")).to_be_visible()
    expect(page.locator(".upload.arrived")).to_have_count(1)
    page.get_by_label("What it shows").fill("teal")
    share(page)
    expect(page).to_have_url(re.compile(r"/p/\d+/$"))


def test_a_submitted_post_goes_on_while_one_browses(new_browser: NewBrowser) -> None:
    context = new_browser(390)
    page = context.new_page()
    context.route(CHUNKS, lambda route: route.abort())
    choose(page, photo("one.jpg"), photo("two.jpg"))
    page.get_by_label("Caption").fill("On the way")
    share(page)
    expect(page.get_by_role("heading", name="Your post is on its way")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="Go home").click()
    chip = page.locator(".upload-chip")
    expect(chip).to_contain_text("0 of 2 photos uploaded")
    page.goto("/people/")
    expect(chip).to_be_visible()
    assert violations(page) == []
    context.unroute(CHUNKS)
    expect(page.get_by_text("Your 2 photos are posted.")).to_be_visible(timeout=40_000)
    expect(chip).to_have_count(0)
    page.get_by_role("button", name="See it").click()
    expect(page.get_by_text("On the way").first).to_be_visible()


def test_another_post_is_made_while_one_is_on_its_way(page: Page) -> None:
    page.route(CHUNKS, lambda route: route.abort())
    choose(page, photo("first.jpg"))
    share(page)
    page.get_by_role("button", name="Another one").click()
    expect(page.locator(".upload")).to_have_count(0)
    choose(page, photo("second.jpg"))
    expect(page.locator(".upload .name")).to_have_text(["second.jpg"])
    page.unroute(CHUNKS)
    expect(page.get_by_text("Your photo is posted.")).to_be_visible(timeout=40_000)
    expect(page.locator(".upload.arrived")).to_have_count(1)
    share(page)
    expect(page).to_have_url(re.compile(r"/p/\d+/edit"))


def test_photos_are_dropped_anywhere_and_pasted(page: Page) -> None:
    page.goto("/new/")
    expect(page.locator("form.live")).to_be_visible()
    give = """async ([kind, name]) => {
        const canvas = new OffscreenCanvas(30, 20);
        canvas.getContext("2d").fillRect(0, 0, 30, 20);
        const file = new File([await canvas.convertToBlob()], name, {type: "image/png"});
        const data = new DataTransfer();
        data.items.add(file);
        const event = kind === "paste"
            ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})
            : new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
        document.querySelector("footer").dispatchEvent(event);
    }"""
    page.evaluate(give, ["dragenter", "dropped.png"])
    expect(page.locator("body.dropping")).to_be_attached()
    page.evaluate(give, ["drop", "dropped.png"])
    expect(page.locator("body.dropping")).to_have_count(0)
    page.evaluate(give, ["paste", "pasted.png"])
    expect(page.locator(".upload.arrived .name")).to_have_text(["dropped.png", "pasted.png"])


def test_heic_is_shown_as_soon_as_the_site_has_it(page: Page) -> None:
    choose(page, heic("phone.heic"))
    expect(page.locator(".upload.arrived")).to_have_count(1)
    preview = page.locator(".upload .thumb img")
    expect(preview).to_have_attribute("src", re.compile(r"^/uploads/\d+/preview\.jpeg$"))
    assert preview.evaluate("async image => { await image.decode(); return image.naturalWidth; }") == 320


def test_a_photo_is_edited_before_it_is_posted(page: Page) -> None:
    choose(page, photo("wide.jpg", "tomato", (900, 600)))
    expect(page.locator(".upload.arrived")).to_have_count(1)
    page.get_by_role("button", name="Edit photo 1").click()
    editor = page.get_by_role("dialog", name="Edit photo")
    editor.get_by_role("button", name="Rotate").click()
    editor.get_by_role("button", name="Done").click()
    expect(editor).to_have_count(0, timeout=30_000)
    expect(page.get_by_role("button", name="Edit photo 1")).to_be_focused()
    expect(page.locator(".upload.arrived")).to_have_count(1)
    page.get_by_label("What it shows").fill("now tall")
    share(page)
    expect(page).to_have_url(re.compile(r"/p/\d+/$"))
    image = page.get_by_alt_text("now tall").first
    assert [image.get_attribute(side) for side in ("width", "height")] == ["600", "900"]


def test_a_phone_is_offered_its_camera(new_browser: NewBrowser) -> None:
    page = new_browser(390, touch=True).new_page()
    page.goto("/new/")
    expect(page.get_by_text("Take a photo")).to_be_visible()
    page.get_by_label("Take a photo").set_input_files([photo("taken.jpg")])
    expect(page.locator(".upload.arrived .name")).to_have_text(["taken.jpg"])
    tools = page.locator(".upload button:visible")
    for at in range(tools.count()):
        box = tools.nth(at).bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44, tools.nth(at).get_attribute("aria-label")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_axe_finds_nothing_on_a_draft(width: int, theme: str, new_browser: NewBrowser) -> None:
    page = new_browser(width, theme=theme).new_page()
    choose(page, photo("one.jpg"), photo("two.jpg", "tomato"))
    expect(page.locator(".upload.arrived")).to_have_count(2)
    assert violations(page) == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
