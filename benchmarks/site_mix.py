"""`calotype bench site`: the page mix that Instagram published with its open Django workload, as JSON, on the data of `bench feed`.

Measured: CPU of the web server, of PostgreSQL, of memcached and of the consumers of the commit logs for each request; of
the whole mix, its pages drawn by their weights, and of each page for itself. One worker, one client that keeps its
connection, viewers by chance from a fixed seed. What is compared with was published and measured elsewhere (`Page.published`).
A page that this site has no route for is left out: then the weights of the others are scaled to 1, and so are the limits, and
the report says so.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import feed, population, processes, stacks
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.site import BenchSite
from benchmarks.stacks import Stack
from calotype.cli.bars import Bar

ROUNDS = 5
MIX_REQUESTS, PAGE_REQUESTS = 2_000, 500
"""A round's. A tick of CPU is 10 ms a process: 2,000 requests make it 5 us of one."""

SEED = 11
PUBLISHED = "published"

APP_LIMIT_MS, ENGINES_LIMIT_MS = 2.45, 1.5
"""A tenth of the published mix: 24 to 25 ms of the app, 15 to 20 of its engine."""

RANK = "explore.rank"
"""The job that explore shows the work of; comes round by itself on a site that runs."""


@dataclass(frozen=True)
class Page:
    """One line of the mix. `path`: with `{viewer}` for who asks."""

    name: str
    weight: float
    """Its published share of all requests."""
    app_ms: float
    """CPU of uWSGI and of Cassandra for each request, as measured of the published program."""
    engine_ms: float
    path: str
    marks: bool = False
    """A POST that says that all has been read up to now."""


PAGES = (
    Page("own posts", 0.26, 8.2, 3.9, "/api/v1/accounts/{viewer}/statuses"),
    Page("home feed", 0.25, 23.8, 12.1, "/api/v1/timelines/home"),
    Page("explore", 0.25, 30.1, 29.8, "/api/v1/trends/statuses"),
    Page("notifications", 0.19, 35.1, 12.6, "/api/v1/notifications"),
    Page("read markers", 0.05, 36.4, 8.3, "/api/v1/markers", marks=True),
)
"""The published `feed_timeline`, `timeline`, `bundle_tray`, `inbox` and `seen`."""


@dataclass(frozen=True)
class Turn:
    """For each request, of one turn."""

    app_ms: float
    postgres_ms: float
    memcached_ms: float
    consumers_ms: float
    walls_ms: list[float]
    size_bytes: float

    @property
    def engines_ms(self) -> float:
        """The consumers too: without them there is no such cache."""
        return self.postgres_ms + self.memcached_ms + self.consumers_ms


class Visitor:
    """Asks for pages as any of the viewers, and keeps the ticket that a write hands out, as a browser does."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._token = secrets.token_hex(16)
        self._tickets: dict[int, str] = {}

    def ask(self, page: Page, viewer: int) -> bytes:
        """The answer's body. Raises `Unexpected` unless it is a success."""
        client = self._stack.client
        cookies = [self._stack.cookies[viewer], f"csrftoken={self._token}", self._tickets.get(viewer, "")]
        headers = {"Cookie": "; ".join(filter(None, cookies)), "Host": f"127.0.0.1:{client.port}"}
        if not page.marks:
            return client.get(page.path.format(viewer=viewer), headers)
        body = f"notifications[last_read_id]={time.time_ns() // 1_000}".encode()
        headers |= {"Content-Type": "application/x-www-form-urlencoded", "X-CSRFToken": self._token}
        answer = client.request("POST", page.path, body, headers)
        for cookie in client.cookies:
            if cookie.startswith("ticket="):
                self._tickets[viewer] = cookie
        return answer


def run(options: Options) -> Report:
    """Make the data if need be, start the site's web server, measure the mix and each page of it."""
    rounds, mixed, single = (2, 100, 20) if options.quick else (ROUNDS, MIX_REQUESTS, PAGE_REQUESTS)
    with population.populated(options) as bench:
        population.set_django_up()
        pages = there()
        viewers = asyncio.run(feed.viewers_of(bench, quick=options.quick))
        asyncio.run(_prepare(bench, viewers))
        with stacks.ours(bench, viewers) as stack:
            mixes, singles = _measure(bench, stack, pages, viewers, rounds, mixed, single)
        version = asyncio.run(feed.postgres_version(bench))
    missing = [page.name for page in PAGES if page not in pages]
    more = {
        "postgresql": version,
        "memcached": memcached_version(),
        "pages left out": ", ".join(missing) or "none",
    }
    rows = _rows(pages, mixes, singles)
    return report("site", ("django", "granian", "uvloop", "asyncpg", "msgspec"), rows, more)


def there() -> list[Page]:
    """The pages that this site has a route for."""
    from django.urls import Resolver404, resolve

    found = []
    for page in PAGES:
        try:
            resolve(page.path.format(viewer=1))
        except Resolver404:
            continue
        found.append(page)
    return found


def memcached_version() -> str:
    said = subprocess.run(["memcached", "-V"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1]


async def _prepare(bench: BenchSite, viewers: Sequence[int]) -> None:
    """What jobs have done on a site that has run for a while: timelines of notifications, the ranking."""
    from calotype.config.wiring import open_site
    from calotype.infra.jobs.types import all_jobs
    from calotype.product.notifications.actions import build

    async with open_site(bench.site, bench.places.data) as opened:
        for viewer in viewers:
            await build(opened.graph, opened.timelines, viewer)
        for job in all_jobs():
            if job.name == RANK:
                await job.run(opened, job.check(b"{}"))


def _measure(
    bench: BenchSite,
    stack: Stack,
    pages: Sequence[Page],
    viewers: Sequence[int],
    rounds: int,
    mixed: int,
    single: int,
) -> tuple[list[Turn], dict[str, list[Turn]]]:
    """Turns of the mix, and those of each page by its name."""
    chance = random.Random(SEED)
    visitor = Visitor(stack)
    mixes: list[Turn] = []
    singles: dict[str, list[Turn]] = {page.name: [] for page in pages}
    for page in pages:  # every viewer's once: caches and connections are warm
        for viewer in viewers:
            visitor.ask(page, viewer)
    with Bar("requests") as bar:
        for number in range(rounds):
            drawn = chance.choices(pages, [page.weight for page in pages], k=mixed)
            mixes.append(_turn(bench, stack, visitor, [(page, chance.choice(viewers)) for page in drawn]))
            for page in pages:
                asked = [(page, chance.choice(viewers)) for _ in range(single)]
                singles[page.name].append(_turn(bench, stack, visitor, asked))
            each = mixed + single * len(pages)
            bar.update((number + 1) * each, rounds * each)
    return mixes, singles


def _turn(bench: BenchSite, stack: Stack, visitor: Visitor, asked: Sequence[tuple[Page, int]]) -> Turn:
    def used() -> tuple[float, float, float, float]:
        helpers, consumers = (
            sum(processes.cpu_s(pid) for pid in pids) for pids in (stack.helpers, stack.consumers)
        )
        return stack.cpu_s(), bench.postgres_cpu_s(), helpers, consumers

    walls_ms: list[float] = []
    size = 0
    before = used()
    for page, viewer in asked:
        began = time.perf_counter()
        size += len(visitor.ask(page, viewer))
        walls_ms.append((time.perf_counter() - began) * 1000)
    app, postgres, memcached, consumers = (
        (end - start) * 1000 / len(asked) for start, end in zip(before, used(), strict=True)
    )
    return Turn(app, postgres, memcached, consumers, walls_ms, size / len(asked))


def _rows(pages: Sequence[Page], mixes: Sequence[Turn], singles: dict[str, list[Turn]]) -> list[Row]:
    """The claims first, then where it goes."""
    app, engines = published(pages)
    whole_app, whole_engines = published(PAGES)
    weight = sum(page.weight for page in pages)
    rows = [
        row(
            "mix app",
            _typical(mixes, lambda turn: turn.app_ms),
            "ms/request",
            PUBLISHED,
            app,
            limit=APP_LIMIT_MS * app / whole_app,
        ),
        row(
            "mix engines",
            _typical(mixes, lambda turn: turn.engines_ms),
            "ms/request",
            PUBLISHED,
            engines,
            limit=ENGINES_LIMIT_MS * engines / whole_engines,
        ),
        row("mix, share of the published one that has a route", weight * 100, "%"),
        *_parts("mix", mixes),
    ]
    for page in pages:
        turns = singles[page.name]
        value = _typical(turns, lambda turn: turn.app_ms)
        rows.append(row(f"{page.name}, app CPU", value, "ms/request", PUBLISHED, page.app_ms))
        value = _typical(turns, lambda turn: turn.engines_ms)
        rows.append(row(f"{page.name}, engines CPU", value, "ms/request", PUBLISHED, page.engine_ms))
        rows += _parts(page.name, turns)
    return rows


def published(pages: Sequence[Page]) -> tuple[float, float]:
    """CPU ms a request of the published program, app and engine, over a mix of these pages by their weights."""
    weight = sum(page.weight for page in pages)
    return (
        sum(page.weight * page.app_ms for page in pages) / weight,
        sum(page.weight * page.engine_ms for page in pages) / weight,
    )


def _parts(name: str, turns: Sequence[Turn]) -> list[Row]:
    walls_ms = [wall for turn in turns for wall in turn.walls_ms]
    return [
        row(f"{name}, PostgreSQL CPU", _typical(turns, lambda turn: turn.postgres_ms), "ms/request"),
        row(f"{name}, memcached CPU", _typical(turns, lambda turn: turn.memcached_ms), "ms/request"),
        row(f"{name}, consumers CPU", _typical(turns, lambda turn: turn.consumers_ms), "ms/request"),
        row(f"{name}, wall p50", median(walls_ms), "ms"),
        row(f"{name}, size", _typical(turns, lambda turn: turn.size_bytes), "bytes/request"),
    ]


def _typical(turns: Sequence[Turn], figure: Callable[[Turn], float]) -> float:
    return median(figure(turn) for turn in turns)
