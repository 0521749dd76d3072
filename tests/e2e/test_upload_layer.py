"""Making a post in a browser: photos are given, ordered, described, edited, removed and posted, by mouse, finger and keys."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import WIDTHS, NewBrowser
from tests.e2e.uploading import CHUNKS, choose, heic, photo, rows, share, wait_until_draft_is_kept

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture
def page(new_browser: NewBrowser) -> Page:
    return new_browser().new_page()


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
    page.wait_for_url(re.compile(r"/p/\d+/$"))
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
    with page.expect_request(lambda request: request.method == "DELETE"):
        page.get_by_role("button", name="Remove photo 2, go.jpg").click()
    expect(page.locator(".upload .name")).to_have_text(["stay.jpg"])
    expect(page.get_by_role("button", name="Remove photo 1, stay.jpg")).to_be_focused()
    page.wait_for_timeout(200)
    assert len(ended) == 1
    page.unroute(CHUNKS)


def test_a_removed_photo_is_had_back_by_its_note_and_by_keys(page: Page) -> None:
    names = page.locator(".upload .name")
    choose(page, photo("1.jpg"), photo("2.jpg"), photo("3.jpg"))
    expect(page.locator(".upload.arrived")).to_have_count(3)
    page.get_by_label("What it shows").nth(1).fill("the second")
    page.get_by_role("button", name="Remove photo 2, 2.jpg").press("Enter")
    expect(names).to_have_text(["1.jpg", "3.jpg"])
    note = page.get_by_role("status").filter(has_text="2.jpg is removed.")
    assert violations(page) == []
    note.get_by_role("button", name="Undo").press("Enter")
    expect(names).to_have_text(["1.jpg", "2.jpg", "3.jpg"])
    expect(page.get_by_role("button", name="Remove photo 2, 2.jpg")).to_be_focused()
    expect(page.locator("[data-say][aria-live]")).to_have_text("2.jpg is back.")
    expect(note).to_have_count(0)
    for name in ("Remove photo 3, 3.jpg", "Remove photo 1, 1.jpg"):
        page.get_by_role("button", name=name).press("Enter")
    expect(names).to_have_text(["2.jpg"])
    page.get_by_label("Caption").press_sequentially("Three")
    page.get_by_label("Caption").press("Control+z")  # undoes what was typed
    expect(names).to_have_text(["2.jpg"])
    page.get_by_role("button", name="Remove photo 1, 2.jpg").press("Control+z")
    expect(names).to_have_text(["1.jpg", "2.jpg"])
    page.get_by_role("button", name="Remove photo 1, 1.jpg").press("Control+z")
    expect(names).to_have_text(["1.jpg", "2.jpg", "3.jpg"])
    expect(page.locator(".upload.arrived")).to_have_count(3)
    page.reload()
    expect(names).to_have_text(["1.jpg", "2.jpg", "3.jpg"])
    expect(page.get_by_label("What it shows").nth(1)).to_have_value("the second")
    for at, words in ((0, "the first"), (2, "the third")):
        page.get_by_label("What it shows").nth(at).fill(words)
    share(page)
    page.wait_for_url(re.compile(r"/p/\d+/$"))
    shown = page.locator(".photo img[alt^=the]").evaluate_all("all => all.map(each => each.alt)")
    assert shown == ["the first", "the second", "the third"]


SLOW_LOCKS = """
const query = navigator.locks.query.bind(navigator.locks);
navigator.locks.query = async () => (await new Promise((done) => setTimeout(done, 700)), query());
"""
"""What the page asks of its locks, whenever it looks for drafts, takes long."""


def test_words_written_while_the_page_looks_for_a_draft_stay(page: Page) -> None:
    page.add_init_script(SLOW_LOCKS)
    page.goto("/new/")
    expect(page.locator("form.live")).to_be_visible()
    choose(page, photo("one.jpg"))
    page.get_by_label("Caption").fill("Meanwhile")
    expect(page.locator(".upload.arrived")).to_have_count(1)
    expect(page.get_by_label("Caption")).to_have_value("Meanwhile")
    wait_until_draft_is_kept(page, "Meanwhile", ["one.jpg", ""])
    page.reload()
    expect(page.get_by_label("Caption")).to_have_value("Meanwhile")
    expect(page.locator(".upload .name")).to_have_text(["one.jpg"])


def test_whoever_goes_on_while_a_photo_is_removed_is_not_called_back(page: Page) -> None:
    page.add_init_script(SLOW_LOCKS)
    page.goto("/new/")
    choose(page, photo("1.jpg"), photo("2.jpg"))
    expect(page.locator(".upload.arrived")).to_have_count(2)
    page.get_by_role("button", name="Remove photo 2, 2.jpg").press("Enter")
    expect(page.get_by_role("button", name="Remove photo 1, 1.jpg")).to_be_focused(timeout=500)
    page.get_by_label("Caption").focus()
    note = page.get_by_role("status").filter(has_text="2.jpg is removed.")
    expect(note).to_be_visible()
    expect(page.get_by_label("Caption")).to_be_focused()
    note.get_by_role("button", name="Undo").press("Enter")
    page.get_by_label("Caption").focus()
    expect(page.locator("[data-say][aria-live]")).to_have_text("2.jpg is back.")
    expect(page.get_by_label("Caption")).to_be_focused()


def test_what_is_moved_while_the_page_reads_what_it_keeps_stays_where_it_is(page: Page) -> None:
    page.add_init_script("""
        const all = IDBObjectStore.prototype.getAll, ofDraft = IDBIndex.prototype.getAll;
        window.slow = false;
        const later = (get) => function (...which) {
            const request = get.apply(this, which);
            if (!window.slow) return request;
            const held = { result: undefined, onsuccess: null, onerror: null };
            request.onsuccess = () => setTimeout(() => ((held.result = request.result), held.onsuccess()), 400);
            return held;
        };
        IDBObjectStore.prototype.getAll = later(all);
        IDBIndex.prototype.getAll = later(ofDraft);
    """)
    page.goto("/new/")
    choose(page, photo("1.jpg"), photo("2.jpg"), photo("3.jpg"))
    expect(page.locator(".upload.arrived")).to_have_count(3)
    page.evaluate("window.slow = true")
    page.get_by_role("button", name="Move photo 3 up").click()
    page.wait_for_timeout(600)  # what is kept by now is being read
    page.get_by_role("button", name="Move photo 2 up").click()
    for _ in range(20):
        assert rows(page) == ["3.jpg", "1.jpg", "2.jpg"]
        page.wait_for_timeout(100)


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
    page.wait_for_url(re.compile(r"/p/\d+/edit"))


GIVE = """async ([kind, files]) => {
    const data = new DataTransfer();
    for (const [name, bytes] of files) {
        const canvas = new OffscreenCanvas(30, 20);
        canvas.getContext("2d").fillRect(0, 0, 30, 20);
        data.items.add(new File([await canvas.convertToBlob(), new Uint8Array(bytes)], name, {type: "image/png"}));
    }
    const event = kind === "paste"
        ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})
        : new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
    document.querySelector("footer").dispatchEvent(event);
}"""
"""Drags or pastes files, `[name, how many bytes follow the picture]` each."""


def test_photos_are_dropped_anywhere_and_pasted(page: Page) -> None:
    page.goto("/new/")
    expect(page.locator("form.live")).to_be_visible()
    page.evaluate(GIVE, ["dragenter", [["dropped.png", 0]]])
    expect(page.locator("body.dropping")).to_be_attached()
    page.evaluate(GIVE, ["drop", [["dropped.png", 0]]])
    expect(page.locator("body.dropping")).to_have_count(0)
    page.evaluate(GIVE, ["paste", [["pasted.png", 0]]])
    expect(page.locator(".upload.arrived .name")).to_have_text(["dropped.png", "pasted.png"])


def test_what_is_given_first_stands_first_however_long_it_takes_to_keep(page: Page) -> None:
    """Six gifts within one task; the first takes longer to be written than all others."""
    page.route("**/uploads/", lambda route: route.abort())
    page.goto("/new/")
    expect(page.locator("form.live")).to_be_visible()
    names = ["slow.png", "1.png", "2.png", "3.png", "4.png", "5.png", "6.png"]
    sizes = {"slow.png": 40_000_000}
    page.evaluate(
        f"""async (gifts) => {{
            const give = {GIVE};
            const ready = [];
            const dispatch = EventTarget.prototype.dispatchEvent;
            EventTarget.prototype.dispatchEvent = function (event) {{ ready.push([this, event]); }};
            for (const gift of gifts) await give(gift);
            EventTarget.prototype.dispatchEvent = dispatch;
            for (const [target, event] of ready) target.dispatchEvent(event);
        }}""",
        [["paste" if at % 2 else "drop", [[name, sizes.get(name, 0)]]] for at, name in enumerate(names)],
    )
    expect(page.locator(".upload .name")).to_have_text(names)
    page.reload()
    expect(page.locator(".upload .name")).to_have_text(names)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".upload")).to_have_count(0)


def test_words_that_are_being_kept_give_way_to_no_older_ones(page: Page) -> None:
    """Another tab says that something changed while the caption is on its way into a database that is slow."""
    choose(page, photo("one.jpg"))
    expect(page.locator(".upload.arrived")).to_have_count(1)
    page.evaluate("""async () => {
        const opening = indexedDB.open("calotype-uploads");
        const db = await new Promise(resolve => opening.onsuccess = () => resolve(opening.result));
        const held = db.transaction("drafts", "readwrite").objectStore("drafts");
        let open = false;
        (function hold() { if (!open) held.count().onsuccess = hold; })();
        window.letGo = () => { open = true; db.close(); };
    }""")
    page.get_by_label("Caption").fill("On the way")
    page.wait_for_timeout(400)  # until it is being kept
    page.evaluate("new BroadcastChannel('calotype-uploads').postMessage({type: 'changed'})")
    page.wait_for_timeout(300)  # until that is being read
    page.evaluate("window.letGo()")
    page.wait_for_timeout(500)
    expect(page.get_by_label("Caption")).to_have_value("On the way")
    page.get_by_label("What it shows").fill("a field")
    share(page)
    expect(page.get_by_text("On the way").first).to_be_visible()


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
    page.wait_for_url(re.compile(r"/p/\d+/$"))
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
