"""`calotype bench pages`: the feed on a slow phone, beside the page that the server draws without the layer of modules.

A site that `calotype up` runs, with people who have posted more than 500 photographs; one of them is signed in, in headless
Chromium (`benchmarks.page_visits`). Both kinds of visit take turns; figures are medians, of long tasks the longest.

A like is from the touch to the frame that shows it; without the layer, to the first paint of the page that answers the form.
Scrolling has the slow processor and the whole network: the faster posts arrive, the more there is to do at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from playwright.sync_api import Browser

from benchmarks import whole_site
from benchmarks.client import Client
from benchmarks.page_visits import Load, browser, visit
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.whole_site import WholeSite
from calotype.cli.bars import Bar

PLAIN = "server-rendered"
UNCOMPRESSED = "without"

LCP_MS, CLS, BLOCKING_MS, LIKE_MS, TASK_MS = 2_500.0, 0.02, 150.0, 50.0, 100.0
BEFORE_IMAGES_KB, SCRIPT_KB = 120.0, 40.0


@dataclass(frozen=True)
class Lengths:
    """What the options make shorter."""

    people: int
    photos_each: int
    loads: int
    likes: int
    posts: int
    rounds: int
    pages: int


FULL_RUN = Lengths(people=40, photos_each=20, loads=7, likes=7, posts=500, rounds=8, pages=40)
TRIAL = Lengths(people=10, photos_each=6, loads=1, likes=1, posts=30, rounds=1, pages=5)


@dataclass(frozen=True)
class Feed:
    """The home page of somebody who follows everybody, on a running site."""

    whole: WholeSite
    cookie: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.whole.port}/"


def run(options: Options) -> Report:
    lengths = TRIAL if options.quick else FULL_RUN
    with whole_site.running(options.data / "pages") as whole:
        feed = _feed(whole, lengths)
        compressed = compression(feed, lengths)
        with browser() as chromium:
            more = {"chromium": chromium.version, "phone": "CPU 4 times slower, 1.6 Mbit/s, 150 ms"}
            rows = [
                *loading(chromium, feed, lengths),
                *liking(chromium, feed, lengths),
                *scrolling(chromium, feed, lengths),
            ]
    return report("pages", ("django", "granian", "playwright"), [*rows, *compressed], more)


def _feed(whole: WholeSite, lengths: Lengths) -> Feed:
    print(f"making {lengths.people} people and {lengths.people * lengths.photos_each} posts")
    sizes = {
        "people": lengths.people,
        "photos-per-person": lengths.photos_each,
        "follows-per-person": lengths.people,
    }
    whole.calotype("demo", *(f"--{name}={size}" for name, size in sizes.items()), "--likes-per-photo=5")
    cookies = asyncio.run(whole_site.people_of(whole))
    viewer = min(cookies)
    asyncio.run(whole_site.build_timelines(whole, [viewer]))
    return Feed(whole, cookies[viewer])


def in_turn[T](what: str, times: int, measure: Callable[[bool, int], T]) -> tuple[list[T], list[T]]:
    """What visits with the layer said, and those without it; one after the other, as often."""
    with_layer, plain = [], []
    with Bar(what) as bar:
        for number in range(times):
            with_layer.append(measure(True, number))
            plain.append(measure(False, number))
            bar.update(number + 1, times)
    return with_layer, plain


def loading(chromium: Browser, feed: Feed, lengths: Lengths) -> list[Row]:
    def load(layer: bool, _: int) -> Load:
        with visit(chromium, feed.url, feed.cookie, layer=layer) as opened:
            return opened.load(feed.url)

    load(True, 0)  # the server has worked it out once
    with_layer, plain = in_turn("first loads", lengths.loads, load)

    def middle(name: str, unit: str, of: Callable[[Load], float], limit: float) -> Row:
        figures = [median(map(of, loads)) for loads in (with_layer, plain)]
        return row(f"feed, first load, {name}", figures[0], unit, PLAIN, figures[1], limit=limit)

    return [
        middle("largest contentful paint", "ms", lambda load: load.lcp_ms, LCP_MS),
        middle("cumulative layout shift", "", lambda load: load.cls, CLS),
        middle("total blocking time", "ms", lambda load: load.blocking_ms, BLOCKING_MS),
        middle("before images", "kB", lambda load: load.before_images_bytes / 1000, BEFORE_IMAGES_KB),
        middle("JavaScript", "kB", lambda load: load.script_bytes / 1000, SCRIPT_KB),
    ]


def liking(chromium: Browser, feed: Feed, lengths: Lengths) -> list[Row]:
    """Each like of a post of its own, since those of before stay."""

    def like(layer: bool, _: int) -> float:
        with visit(chromium, feed.url, feed.cookie, layer=layer) as opened:
            opened.load(feed.url)
            return opened.like_ms()

    with_layer, plain = in_turn("likes", lengths.likes, like)
    return [
        row("like to the frame that shows it", median(with_layer), "ms", PLAIN, median(plain), limit=LIKE_MS)
    ]


def scrolling(chromium: Browser, feed: Feed, lengths: Lengths) -> list[Row]:
    def scroll(layer: bool, _: int) -> tuple[int, float]:
        with visit(chromium, feed.url, feed.cookie, layer=layer) as opened:
            opened.load(feed.url)
            return opened.scroll(lengths.posts)

    ((met, longest),), ((met_plain, longest_plain),) = in_turn("scrolls", 1, scroll)
    return [
        row("posts scrolled", met, "posts", PLAIN, met_plain),
        row("scroll, longest task", longest, "ms", PLAIN, longest_plain, limit=TASK_MS),
    ]


# Compression


def compression(feed: Feed, lengths: Lengths) -> list[Row]:
    """CPU of the web server for a page and bytes of its body, by coding, beside the page as it is."""
    codings = ("identity", "zstd", "gzip")
    used: dict[str, list[float]] = {coding: [] for coding in codings}
    sizes: dict[str, list[int]] = {coding: [] for coding in codings}
    client = Client(feed.whole.port)
    try:
        with Bar("compressed pages") as bar:
            for number in range(lengths.rounds + 1):
                for coding in codings:
                    before = feed.whole.cpu_s()["web server"]
                    got = [_page(client, feed, coding) for _ in range(lengths.pages)]
                    if number:  # the first is a warm-up
                        used[coding].append((feed.whole.cpu_s()["web server"] - before) / lengths.pages)
                        sizes[coding] += got
                bar.update(number, lengths.rounds)
    finally:
        client.close()
    rows = []
    for coding in codings[1:]:
        rows += [
            row(
                f"feed page, {coding}, CPU",
                1000 * median(used[coding]),
                "ms",
                UNCOMPRESSED,
                1000 * median(used["identity"]),
            ),
            row(f"feed page, {coding}, size", _kb(sizes[coding]), "kB", UNCOMPRESSED, _kb(sizes["identity"])),
        ]
    return rows


def _page(client: Client, feed: Feed, coding: str) -> int:
    headers = {"Cookie": feed.cookie, "Accept-Encoding": coding, "Accept": "text/html"}
    return len(client.get("/", headers))


def _kb(sizes: Sequence[int]) -> float:
    return median(sizes) / 1000
