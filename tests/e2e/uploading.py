"""Files of all kinds, and what one does with them on the page of a new post."""

from __future__ import annotations

import re
from io import BytesIO
from random import Random

from PIL import Image
from pillow_heif import from_pillow
from playwright.sync_api import FilePayload, Page

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


def choose(page: Page, *files: FilePayload) -> None:
    """On the page of a new post."""
    if not page.url.endswith("/new/"):
        page.goto("/new/")
    page.locator("#id_photos").set_input_files(list(files))


def kept(page: Page) -> tuple[list[str], list[list[str]]]:
    """What a reload would leave, written down a moment after it was done: captions, then names and words of photos in order."""
    captions, photos = page.evaluate("""async () => {
        const opening = indexedDB.open("calotype-uploads");
        const db = await new Promise((done) => (opening.onsuccess = () => done(opening.result)));
        const all = (store) => new Promise((done) => {
            const asked = db.transaction(store).objectStore(store).getAll();
            asked.onsuccess = () => done(asked.result);
        });
        const [drafts, items] = [await all("drafts"), await all("items")];
        db.close();
        items.sort((a, b) => a.place - b.place);
        return [drafts.map((each) => each.caption), items.map((each) => [each.name, each.alt])];
    }""")
    return captions, photos


def wait_until_draft_is_kept(page: Page, caption: str, *photos: list[str]) -> None:
    while kept(page) != ([caption], list(photos)):
        page.wait_for_timeout(20)


def rows(page: Page) -> list[str]:
    return page.locator(".upload .name").all_inner_texts()


def share(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Share")).click()
