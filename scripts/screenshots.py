"""Take the pictures of docs/screenshots: every page and its states, two themes, two widths, from a running demo site.

    ./calotype admin jan && ./calotype load --seconds 60
    python scripts/screenshots.py http://127.0.0.1:8000
    python scripts/screenshots.py http://127.0.0.1:8000 --only feed photo --language ar --folder /tmp/mirrored

Needs the development packages and a Chromium (`--chromium` says where). Each picture is reduced to 256 colours; one
that is still over the limit fails the run.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

FOLDER = Path(__file__).parent.parent / "docs/screenshots"
LIMIT_BYTES = 400_000
COLOURS = 256
SIZES = ((390, 844), (1280, 900))
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SIGNED_OUT = {
    "log-in": "/log-in/",
    "sign-up": "/sign-up/",
    "lost-password": "/password-reset/",
    "visitor": "/@mara/",
    "credits": "/about/photos/",
    "not-found": "/nothing/here/",
}
USERNAME, PASSWORD = "jan", "contemplative"
"""The demo person who looks; `calotype up` prints both."""

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


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the pictures of docs/screenshots.")
    parser.add_argument("site", nargs="?", default="http://127.0.0.1:8000", help="where the demo site runs")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's program")
    parser.add_argument("--only", nargs="+", default=(), metavar="PAGE", help="names of pages; all, if none")
    parser.add_argument("--language", default="en", help="what the browser asks for")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked.chromium, args=ARGUMENTS)
        take(browser, asked)
        browser.close()


def take(browser: Browser, asked: argparse.Namespace) -> None:
    site = asked.site.rstrip("/")
    state = _signed_in(browser, site)
    inside = _addresses(state.new_page(), site)
    outside = {name: f"{site}{path}" for name, path in SIGNED_OUT.items()}
    for cookies, addresses in ((state.storage_state(), inside), (None, outside)):
        wanted = {name: at for name, at in addresses.items() if not asked.only or name in asked.only}
        for theme in THEMES:
            for width, height in SIZES:
                context = browser.new_context(
                    storage_state=cookies,
                    viewport={"width": width, "height": height},
                    color_scheme=theme,
                    reduced_motion="reduce",
                    locale=asked.language,
                )
                for name, picture in _pictures(context.new_page(), wanted):
                    _save(picture, asked.folder / f"{name}-{theme}-{width}.png")
                context.close()


def _signed_in(browser: Browser, site: str) -> BrowserContext:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site}/log-in/")
    page.fill("[name=username]", USERNAME)
    page.fill("[name=password]", PASSWORD)
    page.click("main button")
    page.wait_for_selector("[data-feed]")
    return context


def _addresses(page: Page, site: str) -> dict[str, str]:
    """Where each picture is taken: of the feed's posts one with several photos, of their authors who has posted most."""
    page.goto(site)
    several = page.locator("article.post", has=page.locator(".slides")).first.get_attribute("data-post")
    links = page.locator("article.post h2 a")
    authors = sorted({links.nth(at).get_attribute("href") or "/" for at in range(links.count())})
    page.goto(f"{site}/@{USERNAME}/")
    own = page.locator('.grid a[href^="/p/"]').first.get_attribute("href")
    paths = {
        "feed": "/",
        "photo": f"/p/{several}/",
        "explore": "/explore/",
        "tag": "/tags/macro/",
        "empty-tag": "/tags/nobody_has_used_this/",
        "people": "/people/",
        "followers": "/@mara/followers/",
        "notifications": "/notifications/",
        "upload": "/new/",
        "own-profile": f"/@{USERNAME}/",
        "edit": f"{own}edit/",
        "delete": f"{own}delete/",
        "settings": "/settings/profile/",
        "settings-notifications": "/settings/notifications/",
        "settings-password": "/settings/password/",
        "ops": "/ops/",
        "profiles": "/ops/profiles/?endpoint=home",
        "design": "/design/",
    }
    profile = max((f"{site}{author}" for author in authors), key=lambda url: _posts_at(page, url))
    return {"profile": profile} | {name: f"{site}{path}" for name, path in paths.items()}


def _posts_at(page: Page, profile: str) -> int:
    page.goto(profile)
    return page.locator(".grid li").count()


def _pictures(page: Page, addresses: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    for name, address in addresses.items():
        page.goto(address)
        page.wait_for_load_state("load")  # a page that hears news is never idle
        page.evaluate(
            "Promise.all([...document.images].filter(i => i.loading != 'lazy').map(i => i.decode()))"
            # What is decoded is painted with one of the next frames.
            ".then(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))"
        )
        yield name, page.screenshot()


def _save(picture: bytes, path: Path) -> None:
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG).save(
        path, optimize=True
    )
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise SystemExit(f"{path.name} has {size:,} bytes; {LIMIT_BYTES:,} is the limit")


if __name__ == "__main__":
    main()
