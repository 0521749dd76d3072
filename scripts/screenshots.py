"""Take the pictures of docs/screenshots: every page and its states, two themes, two widths, from a running demo site.

    ./calotype admin jan && ./calotype load --seconds 60
    python scripts/screenshots.py http://127.0.0.1:8000
    python scripts/screenshots.py http://127.0.0.1:8000 --language ar
    python scripts/screenshots.py http://127.0.0.1:8000 --only feed editor --folder /tmp/looked-at

What they are of is in screenshot_states.py. Two profiles to compare come of a site with `profile_one_in = 20` that was
started twice under a load, with two values of CALOTYPE_RELEASE. Needs the development packages and a Chromium (`--chromium` says where).
`--language ar` is the test language, that of a site with CALOTYPE_PSEUDO_LANGUAGE=1, and like every language but English
in one theme. Names are those of the demo in Japanese too: without fonts for it (Debian: fonts-noto-cjk) they are boxes. The
pages of errors are drawn with the data of the site, in CALOTYPE_DATA.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Error, Page, StorageState, sync_playwright
from screenshot_states import DESKTOP, JAN, NEWCOMER, PHONE, PICTURES, Missing, Picture, let_go

FOLDER = Path(__file__).parent.parent / "docs/screenshots"
QUALITY = 80
"""Of WebP: letters stay sharp, and photographs are a tenth of what they are as PNG."""

HEIGHTS = {PHONE: 844, DESKTOP: 900}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PEOPLE = {JAN: "contemplative", NEWCOMER: "plate-and-paper"}
"""Who looks, with their passwords: Jan of the demo, which `calotype up` prints, and one who has just signed up."""
COOKIES = {"ar": "ar-xb"}
TIMEOUT_MS = 10_000

# Nothing of this browser may talk to anybody but the site.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Looks(NamedTuple):
    """At a site by one browser, in one theme and width."""

    site: str
    chromium: str
    language: str
    theme: Literal["light", "dark"]
    width: int
    folder: Path
    states: dict[str, StorageState]
    pictures: dict[str, Picture]


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the pictures of docs/screenshots.")
    parser.add_argument("site", nargs="?", default="http://127.0.0.1:8000", help="where the demo site runs")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's program")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="NAME", help="how names begin; all, if none"
    )
    parser.add_argument("--language", default="en", help="that of the pages")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go")
    parser.add_argument(
        "--at-once", type=int, default=2, metavar="N", help="browsers that look at the same time"
    )
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    site = asked.site.rstrip("/")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked.chromium, args=ARGUMENTS)
        contexts = {who: _signed_in(browser, site, who) for who in PEOPLE}
        places = _places(contexts[JAN].new_page())
        states = {who: context.storage_state() for who, context in contexts.items()}
        browser.close()
    pictures = {
        name: picture._replace(path=picture.path.format(**places))
        for name, picture in PICTURES.items()
        if name.startswith(tuple(asked.only))
    }
    themes = THEMES if asked.language == "en" else THEMES[:1]
    looks = [
        Looks(site, asked.chromium, asked.language, theme, width, asked.folder, states, pictures)
        for theme in themes
        for width in HEIGHTS
    ]
    with ProcessPoolExecutor(asked.at_once, multiprocessing.get_context("spawn")) as pool:
        problems = [problem for found in pool.map(take, looks) for problem in found]
    if problems:
        raise SystemExit("\n".join(problems))


def take(looks: Looks) -> list[str]:
    """All pictures of one theme and width; what went wrong."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=looks.chromium, args=ARGUMENTS)
        found = [
            problem
            for name, picture in looks.pictures.items()
            for problem in _take(browser, looks, name, picture)
        ]
        browser.close()
    return found


def _take(browser: Browser, looks: Looks, name: str, picture: Picture) -> Iterator[str]:
    if looks.width not in picture.widths:
        return
    language = "" if looks.language == "en" else f"-{looks.language}"
    name = f"{name}{language}-{looks.theme}-{looks.width}"
    context = _context(browser, looks, picture)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    try:
        page.goto(picture.path)
        page.wait_for_load_state("load")  # a page that hears news is never idle
        if (
            page.get_attribute("html", "dir") != "rtl"
            and looks.language == "ar"
            and not picture.path.startswith("/ops/")
        ):
            raise Missing("the site has no test language: CALOTYPE_PSEUDO_LANGUAGE=1")
        if picture.act:
            picture.act(page)
        _settle(page)
        with Image.open(io.BytesIO(page.screenshot())) as taken:
            taken.convert("RGB").save(looks.folder / f"{name}.webp", quality=QUALITY, method=6)
    except (Error, Missing) as error:
        yield f"{name}: {error}"
    finally:
        let_go()
        context.unroute_all(behavior="ignoreErrors")
        context.close()


def _context(browser: Browser, looks: Looks, picture: Picture) -> BrowserContext:
    """Of its own, so that no draft, cookie or route of one picture is in the next."""
    context = browser.new_context(
        base_url=looks.site,
        storage_state=looks.states.get(picture.who),
        viewport={"width": looks.width, "height": HEIGHTS[looks.width]},
        color_scheme=looks.theme,
        reduced_motion="reduce",
        locale=looks.language,
        service_workers="allow" if picture.workers else "block",
    )
    language = COOKIES.get(looks.language, looks.language)
    context.add_cookies([{"name": "language", "value": language, "url": looks.site}])
    return context


def _signed_in(browser: Browser, site: str, who: str) -> BrowserContext:
    """Of a person who is signed up if they are not yet: by the form, as anybody."""
    context = browser.new_context(base_url=site)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    for path, fields in (
        ("/log-in/", {"username": who, "password": PEOPLE[who]}),
        ("/sign-up/", {"username": who, "password": PEOPLE[who], "email": f"{who}@mail.example"}),
    ):
        page.goto(path)
        for name, value in fields.items():
            page.fill(f"[name={name}]", value)
        page.click("main .button.primary")
        page.wait_for_load_state("load")
        if any(cookie.get("name") == "session" for cookie in context.cookies()):
            return context
    raise SystemExit(f"{who} cannot log in to {site}")


def _places(page: Page) -> dict[str, str]:
    """Of the feed's posts one with several photos, of their authors who has posted most; what is Jan's."""
    page.goto("/")
    several = page.locator("article.post", has=page.locator(".slides")).first.get_attribute("data-post") or ""
    links = page.locator("article.post h2 a")
    authors = sorted({links.nth(at).get_attribute("href") or "/" for at in range(links.count())})
    page.goto(f"/@{JAN}/")
    own = page.locator('.grid a[href^="/p/"]').first.get_attribute("href") or ""
    author = max(authors, key=lambda path: _posts_at(page, path))
    return {"several": several, "own": own, "author": author, "newcomer": NEWCOMER}


def _posts_at(page: Page, profile: str) -> int:
    page.goto(profile)
    return page.locator(".grid li").count()


def _settle(page: Page) -> None:
    """Until what is in the window has come, and is painted with one of the next frames."""
    page.evaluate("""async () => {
        const seen = [...document.images].filter((image) => {
            const box = image.getBoundingClientRect();
            return box.width && box.bottom > 0 && box.top < innerHeight;
        });
        const late = new Promise((done) => setTimeout(done, 8000));
        const loaded = (image) => image.complete || new Promise((done) => (image.onload = image.onerror = done));
        const drawn = async (image) => (await loaded(image), await image.decode().catch(() => {}));
        await Promise.race([late, Promise.all(seen.map(drawn))]);
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 100))));
    }""")


if __name__ == "__main__":
    main()
