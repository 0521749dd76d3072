"""Three pages of our site, served in this process by the application that `calotype up` serves, in several ways in turn.

There is no server around it: what HTTP costs is in no figure, so a site sees less of an overhead than the ratios say. One
request follows the other, each in a task of its own, as servers start them.

All ways share the process, and a way is taken back before another has its turn: two processes that do the same differ by
a percent or two (where their memory happens to lie), and what is looked for here is half of one. In a round every way is
asked for the same pages by the same people, in an order by chance; a ratio is the median over the rounds of what the way
cost there by what the site alone cost there. Threads that a way has started are charged to it whenever they run, and to
nobody else.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks.client import Unexpected
from benchmarks.report import Row, row
from benchmarks.stacks import PATH, Cached
from calotype.cli.bars import Bar
from calotype.efficiency.dynostats import MeteredASGI, Recorder
from calotype.efficiency.dynostats.asgi import Application, Message
from calotype.efficiency.meter import Account, detach

SEED = 31
FEED, FEED_JSON, EMPTY = "feed page", "feed page as JSON", "empty page"
PATHS = {FEED: "/", FEED_JSON: PATH, EMPTY: "/bench/empty"}
SLICE = {FEED: 1, FEED_JSON: 10, EMPTY: 50}
"""So many requests a turn: some 10 ms. Of turns of 50 ms a ratio has three times the error in the same time, since what changes on
the machine changes between them."""

ROUNDS = 1_200

PLAIN, AGAIN = "without", "without, again"
"""The site alone; and once more, as another way: what the bench itself is wrong by."""

OWN_THREADS = ("dynostats", "segments")


@dataclass(frozen=True)
class Pages:
    application: Application
    viewers: Sequence[int]
    cookies: Mapping[int, str]

    async def get(self, page: str, viewer: int, application: Application | None = None) -> None:
        """One request in a task of its own. Raises `Unexpected` unless the answer is a success."""
        statuses: list[int] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = self._scope(page, viewer)
        await asyncio.create_task((application or self.application)(scope, receive, send))
        if statuses != [200]:
            raise Unexpected(f"GET {scope['path']} answered {statuses}")

    def _scope(self, page: str, viewer: int) -> dict[str, Any]:
        address = PATHS[page]
        headers = [(b"host", b"127.0.0.1:20000")]
        if page != EMPTY:
            headers.append((b"cookie", self.cookies[viewer].encode()))
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": address,
            "raw_path": address.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 20_000),
        }


@asynccontextmanager
async def served(cached: Cached) -> AsyncIterator[Pages]:
    """The site on the running loop, its own metering off, every page of every viewer asked for once."""
    from django.test import override_settings

    metering_off = msgspec.structs.replace(cached.site.dynostats, enabled=False)
    site = msgspec.structs.replace(cached.site, dynostats=metering_off)
    with override_settings(SITE=site, ROOT_URLCONF="benchmarks.empty_page"), _no_access_log():
        from calotype.config.asgi import Application as Site

        application = Site()
        async with _alive(application):
            pages = Pages(application, sorted(cached.cookies), cached.cookies)
            for viewer in pages.viewers:
                for page in PATHS:
                    await pages.get(page, viewer)
            yield pages


@contextmanager
def _no_access_log() -> Iterator[None]:
    """Written to where nobody reads it: the lines cost what they cost."""
    from calotype.web.middleware import AccessLog

    with Path(os.devnull).open("w") as nowhere:
        log, AccessLog.out = AccessLog.out, nowhere
        try:
            yield
        finally:
            AccessLog.out = log


@asynccontextmanager
async def _alive(application: Application) -> AsyncIterator[None]:
    """Between the two events of the lifespan protocol, which opens the site and closes it."""
    events: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    living = asyncio.create_task(application({"type": "lifespan"}, events.get, answers.put))

    async def said(event: str) -> None:
        await events.put({"type": f"lifespan.{event}"})
        answer = asyncio.create_task(answers.get())
        await asyncio.wait((living, answer), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await living
        assert answer.result()["type"] == f"lifespan.{event}.complete"

    await said("startup")
    try:
        yield
    finally:
        await said("shutdown")
        await living


# Ways


async def nothing() -> None:
    """What most ways need before their turn."""


@dataclass
class Way:
    """A way to serve the pages. `begin` and `end` are around its turns, and leave no trace of it in the process."""

    name: str
    application: Application
    begin: Callable[[], Awaitable[None]] = nothing
    end: Callable[[], None] = lambda: None
    threads: list[threading.Thread] = field(default_factory=list)
    """Its own."""

    def thread_cpu_ns(self) -> int:
        clocks = (time.pthread_getcpuclockid(each.ident) for each in self.threads if each.ident is not None)
        return sum(map(time.clock_gettime_ns, clocks))


def metered(name: str, pages: Pages, recorder: Recorder) -> Way:
    meter = recorder.meter
    application = MeteredASGI(pages.application, recorder)
    meter.uninstall()

    async def begin() -> None:
        meter.install()
        await meter.run(Account(), nothing())  # the loop is its, as it is of a server that has met a request

    def end() -> None:
        meter.uninstall()
        detach(asyncio.get_running_loop())

    return Way(name, application, begin, end, _threads_of(recorder))


def _threads_of(recorder: Recorder) -> list[threading.Thread]:
    """Those that it starts with its first request and its first record."""
    before = set(threading.enumerate())
    observed = recorder.begin("GET")
    observed.status = 200
    recorder.end(observed)
    recorder.tick()
    started = set(threading.enumerate()) - before
    return [thread for thread in started if thread.name in OWN_THREADS]


# Turns


@dataclass
class Costs:
    """Of one page served one way, in us of CPU for each request."""

    rounds: list[float] = field(default_factory=list)
    own_us: float = 0.0
    """What its own threads have used, by all its requests."""

    def ratio(self, plain: Costs) -> float:
        pairs = zip(self.rounds, plain.rounds, strict=True)
        return median(one / other for one, other in pairs) + self.own_us / median(plain.rounds)


async def in_turn(pages: Pages, ways: Sequence[Way], quick: bool) -> dict[tuple[str, str], Costs]:
    """By page and the name of the way."""
    chance = random.Random(SEED)
    rounds, amounts = (
        (2, {page: max(1, amount // 10) for page, amount in SLICE.items()}) if quick else (ROUNDS, SLICE)
    )
    costs = {(page, way.name): Costs() for page in amounts for way in ways}
    requests = (rounds + 1) * sum(amounts.values())
    before = {way.name: way.thread_cpu_ns() for way in ways}
    with Bar("rounds") as bar:
        for number in range(rounds + 1):
            for page, amount in amounts.items():
                asked = chance.choices(pages.viewers, k=amount)
                for way in chance.sample(ways, len(ways)):
                    us = await _turn(pages, way, ways, page, asked)
                    if number:  # the first is a warm-up
                        costs[page, way.name].rounds.append(us)
            bar.update(number, rounds)
    for (_, name), cost in costs.items():
        (way,) = (each for each in ways if each.name == name)
        cost.own_us = (way.thread_cpu_ns() - before[name]) / 1000 / requests
    return costs


async def _turn(pages: Pages, way: Way, ways: Sequence[Way], page: str, asked: Sequence[int]) -> float:
    """CPU of the process for each request, without that of any way's own threads."""

    def cpu_ns() -> int:
        return time.process_time_ns() - sum(each.thread_cpu_ns() for each in ways)

    await way.begin()
    try:
        before = cpu_ns()
        for viewer in asked:
            await pages.get(page, viewer, way.application)
        return (cpu_ns() - before) / 1000 / len(asked)
    finally:
        way.end()


def rows(
    costs: Mapping[tuple[str, str], Costs], targets: Mapping[tuple[str, str], float] | None = None
) -> list[Row]:
    """Each way beside the site alone."""
    made = []
    for (page, way), cost in costs.items():
        if way == PLAIN:
            continue
        plain = costs[page, PLAIN]
        plain_us = median(plain.rounds)
        target = (targets or {}).get((page, way))
        us = plain_us * cost.ratio(plain)
        made.append(row(f"{page}, {way}, CPU", us, "us/request", PLAIN, plain_us, target))
    return made
