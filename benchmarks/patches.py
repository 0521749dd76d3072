"""`calotype bench patches`: what each of `web.patches` saves, and what workers share that are forked from a loaded process.

CPU: the site's own handler in this process, on the data of `bench feed` with memcached beside it, asked for the home feed
as JSON and as a page. For each patch, blocks of requests with it and without it follow one another, all others
applied, in an order by chance; figures are medians, the baseline's the value and the median of the pairs' differences.
CPU is that of the one thread (`time.thread_time`): what HTTP itself costs, in Granian, is not in it.

Garbage: `benchmarks.garbage`. Memory: `benchmarks.workers_memory`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from benchmarks import feed, garbage, population, stacks, workers_memory
from benchmarks.client import Unexpected
from benchmarks.garbage import Ask
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.site import BenchSite
from benchmarks.stacks import PATH, Cached
from calotype.cli.bars import Bar

SEED = 23
VIEWERS = 20
ROUNDS = 60

JSON, HTML = "feed as JSON", "feed as a page"
PATHS = {JSON: PATH, HTML: "/"}
BLOCKS = {JSON: 60, HTML: 6}
"""So many requests take 60 to 80 ms."""

COLLECTED = {JSON: 4_000, HTML: 400}
"""So many requests make objects for two or three collections, if they leave them to it."""

PAYS = 0.99
"""A patch stays if the page where it saves most costs at most so much of what it costs without it."""

CLAIMS = {
    "settings": HTML,
    "locals": HTML,
    "resolve": JSON,
    "reverse": HTML,
    "escaping": HTML,
    "numbers": HTML,
    "static files": HTML,
    "locale": JSON,
}
"""Where each saves most, by its name."""


@dataclass(frozen=True)
class Way:
    """Something that can be done our way or Django's."""

    name: str
    ours: Callable[[], None]
    djangos: Callable[[], None]


@dataclass(frozen=True)
class Pair:
    """Microseconds of CPU a page."""

    ours: float
    djangos: float


def run(options: Options) -> Report:
    """Make the data if need be; measure the pages in this process, then web servers with several workers."""
    rounds, part = (2, 6) if options.quick else (ROUNDS, 1)
    with population.populated(options) as bench:
        population.set_django_up()
        viewers = asyncio.run(feed.viewers_of(bench, quick=options.quick))[:VIEWERS]
        with stacks.cached(bench, viewers) as site:
            with _no_access_log():
                rows = uvloop.run(_measure(bench, site, viewers, rounds, part, options.quick))
            memory = workers_memory.measure(bench, site.cookies, quick=options.quick)
        version = asyncio.run(feed.postgres_version(bench))
    packages = ("django", "asgiref", "granian", "uvloop", "asyncpg", "msgspec")
    return report("patches", packages, rows + memory, {"postgresql": version})


def ways() -> list[Way]:
    """The patches, and what is faster by Django's own means: a storage and a middleware of ours."""
    from django.contrib.staticfiles.storage import ManifestStaticFilesStorage

    from calotype.web.native import Locale, Native
    from calotype.web.patches import PATCHES, Attribute
    from calotype.web.static_files import StaticFiles

    static = Attribute(StaticFiles, "url", ManifestStaticFilesStorage.url)
    locale = Attribute(Locale, "__acall__", Native.__acall__)
    return [
        *(Way(patch.name, patch.apply, patch.undo) for patch in PATCHES),
        Way("static files", static.undo, static.apply),
        Way("locale", locale.undo, locale.apply),
    ]


def together(each: Sequence[Way]) -> Way:
    def ours() -> None:
        for way in each:
            way.ours()

    def djangos() -> None:
        for way in each:
            way.djangos()

    return Way("all", ours, djangos)


async def _measure(
    bench: BenchSite, site: Cached, viewers: Sequence[int], rounds: int, part: int, quick: bool
) -> list[Row]:
    """By page and way; the way "all" is all of them at once. `part`: of a block, a so-manieth."""
    from calotype.config.wiring import open_site
    from calotype.web.handler import LeanHandler

    each = ways()
    all_of_them = together(each)
    all_of_them.ours()
    try:
        async with open_site(site.site, bench.places.data) as opened:
            ask = _asker(LeanHandler(opened), site.cookies)
            for path in PATHS.values():
                for viewer in viewers:
                    await ask(path, viewer)
            gc.collect()
            gc.freeze()
            pairs = await _in_pairs(ask, viewers, [*each, all_of_them], rounds, part)
            requests = {page: some // (20 if quick else 1) for page, some in COLLECTED.items()}
            return _rows(pairs) + await garbage.rows(ask, viewers, PATHS, requests, 1 if quick else 3)
    finally:
        gc.unfreeze()
        all_of_them.djangos()


@contextmanager
def _no_access_log() -> Iterator[None]:
    from calotype.web import middleware

    with Path(os.devnull).open("w") as nowhere:
        log, middleware.AccessLog.out = middleware.AccessLog.out, nowhere
        try:
            yield
        finally:
            middleware.AccessLog.out = log


def _asker(handler: Any, cookies: Mapping[int, str]) -> Ask:
    async def ask(path: str, viewer: int) -> None:
        answered: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            answered.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1:20000"), (b"cookie", cookies[viewer].encode())],
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 20_000),
        }
        await handler(scope, receive, send)
        if answered[0]["status"] != 200:
            raise Unexpected(f"GET {path} answered {answered[0]['status']}")

    return ask


async def _in_pairs(
    ask: Ask, viewers: Sequence[int], each: Sequence[Way], rounds: int, part: int
) -> dict[tuple[str, str], list[Pair]]:
    chance = random.Random(SEED)
    pairs: dict[tuple[str, str], list[Pair]] = {(page, way.name): [] for page in PATHS for way in each}
    with Bar("pairs") as bar:
        for number in range(rounds):
            for page in PATHS:
                await _cpu_us(
                    ask, PATHS[page], viewers
                )  # what this process keeps for a second is there again
                for way in each:
                    asked = chance.choices(viewers, k=BLOCKS[page] // part)
                    us = {}
                    for choose in chance.sample((way.ours, way.djangos), 2):
                        choose()
                        us[choose] = await _cpu_us(ask, PATHS[page], asked)
                    way.ours()
                    pairs[page, way.name].append(Pair(us[way.ours], us[way.djangos]))
            bar.update(number + 1, rounds)
    return pairs


async def _cpu_us(ask: Ask, path: str, asked: Sequence[int]) -> float:
    before = time.thread_time_ns()
    for viewer in asked:
        await ask(path, viewer)
    return (time.thread_time_ns() - before) / 1000 / len(asked)


def _rows(pairs: Mapping[tuple[str, str], Sequence[Pair]]) -> list[Row]:
    rows = []
    for (page, way), some in pairs.items():
        ours = median(pair.ours for pair in some)
        djangos = ours + median(pair.djangos - pair.ours for pair in some)
        target = PAYS if CLAIMS.get(way) == page else None
        rows.append(row(f"{page}, {way}, CPU", ours, "us/page", "django", djangos, target))
    return rows
