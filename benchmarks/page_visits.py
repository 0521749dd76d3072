"""Visits of a feed in headless Chromium, on a slow phone: what the browser says of them.

Playwright drives it through the DevTools protocol: the processor four times slower, the network 1.6 Mbit/s with 150 ms for
each round trip, nothing cached. The page without its layer is the same page with every module blocked: the browser still
measures, and the page is what the server has drawn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, ViewportSize, sync_playwright

from calotype.cli.test_engines import chromium
from calotype.std.errors import CalotypeError

SLOWER = 4
DOWN_BYTES_S, UP_BYTES_S, ROUND_TRIP_MS = 1_600_000 / 8, 750_000 / 8, 150

PHONE: ViewportSize = {"width": 390, "height": 844}

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

OBSERVE = Path(__file__).with_name("observe.js")

SETTLE_MS = 2_000
"""After everything is loaded: what comes later moves the page too."""

TOUCH_MS = 80

LONG_TASK_MS = 50
"""What a task takes over this blocks who touches the page meanwhile."""

PATIENCE_S = 30.0


class BrowserMissing(CalotypeError):
    code = "bench_browser_missing"


class NothingSeen(CalotypeError):
    code = "bench_nothing_seen"


@contextmanager
def browser() -> Iterator[Browser]:
    """Raises `BrowserMissing`."""
    path = chromium()
    if path is None:
        raise BrowserMissing("`bench pages` needs Chromium on PATH or in $CALOTYPE_CHROMIUM")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield launched
        finally:
            launched.close()


@dataclass
class Transferred:
    """Bytes as they came over the wire, headers included."""

    sizes: dict[str, float] = field(default_factory=dict)
    _asked: dict[str, tuple[str, str]] = field(default_factory=dict)

    def listen(self, session: CDPSession) -> None:
        session.on("Network.requestWillBeSent", self._begins)
        session.on("Network.loadingFinished", self._ends)

    def _begins(self, event: dict[str, Any]) -> None:
        self._asked[event["requestId"]] = (event.get("type", "Other"), event["request"]["url"])

    def _ends(self, event: dict[str, Any]) -> None:
        kind, url = self._asked.get(event["requestId"], ("Other", ""))
        name = "photographs" if "/media/" in url else kind
        self.sizes[name] = self.sizes.get(name, 0) + event["encodedDataLength"]

    @property
    def before_images(self) -> float:
        return sum(size for name, size in self.sizes.items() if name != "photographs")


@dataclass(frozen=True)
class Load:
    """The first load of a page."""

    lcp_ms: float
    cls: float
    blocking_ms: float
    before_images_bytes: float
    script_bytes: float


class Visit:
    """One page in a new browser profile, signed in by `cookie`; `layer`: whether its modules are loaded."""

    def __init__(self, page: Page, session: CDPSession, transferred: Transferred) -> None:
        self.page = page
        self._session = session
        self._liked: list[float] = []
        page.expose_function("benchLiked", self._shown)
        self.transferred = transferred

    def _shown(self, ms: float) -> None:
        self._liked.append(ms)

    def load(self, url: str) -> Load:
        self.page.goto(url, wait_until="load")
        self.page.wait_for_timeout(SETTLE_MS)
        seen = self.page.evaluate("observed")
        return Load(
            lcp_ms=seen["lcp"],
            cls=seen["shift"],
            blocking_ms=blocking_ms(seen["tasks"], seen["fcp"]),
            before_images_bytes=self.transferred.before_images,
            script_bytes=self.transferred.sizes.get("Script", 0.0),
        )

    def like_ms(self) -> float:
        """From a touch of the like button of the first post that one does not like yet to the frame that shows it liked.

        A finger on the screen for 80 ms: Playwright's `click` listens to every event too, to see whether it hits.
        """
        button = self.page.locator('[data-feed] article button.like[aria-pressed="false"]').first
        button.scroll_into_view_if_needed()
        self.page.wait_for_timeout(500)
        box = button.bounding_box()
        if box is None:
            raise NothingSeen("there is no like button")
        finger = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        self._touch("touchStart", [finger])
        self.page.wait_for_timeout(TOUCH_MS)
        self._touch("touchEnd", [])
        until = time.monotonic() + PATIENCE_S
        while not self._liked:
            if time.monotonic() > until:
                raise NothingSeen(f"nothing has changed {PATIENCE_S:.0f} s after a like")
            self.page.wait_for_timeout(20)
        return self._liked.pop()

    def _touch(self, what: str, points: list[dict[str, float]]) -> None:
        self._session.send("Input.dispatchTouchEvent", {"type": what, "touchPoints": points})

    def scroll(self, posts: int) -> tuple[int, float]:
        """Down the feed by half a window at a time until so many posts have been met, on further pages if it must be; how
        many were met, and the longest task in ms."""
        self._network(throttled=False)
        met: set[str] = set()
        longest, idle = 0.0, 0
        while len(met) < posts:
            before = len(met)
            seen = self.page.evaluate(
                "() => ({ posts: [...document.querySelectorAll('[data-feed] [data-post]')].map((post) => post.dataset.post),"
                " longest: Math.max(0, ...observed.tasks.splice(0).map((task) => task.ms)),"
                " end: scrollY + innerHeight > document.documentElement.scrollHeight - 50 })"
            )
            met |= set(seen["posts"])
            longest = max(longest, seen["longest"])
            idle = idle + 1 if seen["end"] and len(met) == before else 0
            if idle > 20:
                older = self.page.locator("a[rel=next]:visible")
                if not older.count():
                    break
                with self.page.expect_navigation():
                    older.click()
                idle = 0
            self.page.mouse.wheel(0, PHONE["height"] / 2)
            self.page.wait_for_timeout(50)
        return len(met), longest

    def _network(self, *, throttled: bool) -> None:
        self._session.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": ROUND_TRIP_MS if throttled else 0,
                "downloadThroughput": DOWN_BYTES_S if throttled else -1,
                "uploadThroughput": UP_BYTES_S if throttled else -1,
            },
        )

    def begin(self, *, layer: bool) -> None:
        self._session.send("Network.enable")
        self._session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        self._network(throttled=True)
        if not layer:
            self._session.send("Network.setBlockedURLs", {"urls": ["*.js"]})
        self.transferred.listen(self._session)


@contextmanager
def visit(browser: Browser, url: str, cookie: str, *, layer: bool) -> Iterator[Visit]:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, service_workers="block")
    try:
        name, _, value = cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": url}])
        context.add_init_script(path=OBSERVE)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        opened = Visit(page, context.new_cdp_session(page), Transferred())
        opened.begin(layer=layer)
        yield opened
    finally:
        context.close()


def blocking_ms(tasks: list[dict[str, float]], from_ms: float) -> float:
    """Total blocking time: what long tasks after the first paint took over 50 ms each."""
    return sum(task["ms"] - LONG_TASK_MS for task in tasks if task["at"] >= from_ms)
