"""`calotype bench meter`: what metering each request costs, how exact it is, and what a step of a request costs.

The cost: three pages of our site (`pages`), plain and metered with the counting of each request (`MeteredASGI`), and no
records: those are of `bench dynostats`. The exactness: `attribution`. A step: a task that does nothing but give way to
the loop, in and out of a metered request, by each clock, beside the two readings of that clock that it takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median

import uvloop

from benchmarks import attribution, feed, pages, population, requirements, stacks
from benchmarks.pages import AGAIN, FEED, FEED_JSON, PLAIN, Pages, Way
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.stacks import Cached
from calotype.efficiency.dynostats import Entry, Identity, Recorder, Sampling
from calotype.efficiency.meter import Account, Counter, Meter, available, counter, detach

VIEWERS = 20
METERED = "metered"
TARGET = 1.03

STEPS = 20_000
STEP_ROUNDS = 15

PACKAGES = ("django", "uvloop", "asyncpg", "msgspec", "yappi")


class Nowhere:
    """A sink for a recorder that records nothing."""

    dropped = 0

    def put(self, entry: Entry) -> None:
        pass

    def close(self) -> None:
        pass


def run(options: Options) -> Report:
    """Make the data if need be, measure the steps and the exactness alone, then the pages."""
    requirements.ensure()
    rows = step_rows(options.quick) + attribution.rows(options.quick)
    with population.populated(options) as bench:
        population.set_django_up()
        viewers = asyncio.run(feed.viewers_of(bench, quick=options.quick))[:VIEWERS]
        with stacks.cached(bench, viewers) as cached:
            rows = uvloop.run(_page_rows(cached, options.quick)) + rows
        version = asyncio.run(feed.postgres_version(bench))
    return report("meter", PACKAGES, rows, {"postgresql": version})


async def _page_rows(cached: Cached, quick: bool) -> list[Row]:
    async with pages.served(cached) as served:
        recorder = _recorder()
        try:
            costs = await pages.in_turn(served, _ways(served, recorder), quick)
        finally:
            recorder.close()
    return pages.rows(costs, {(page, METERED): TARGET for page in (FEED, FEED_JSON)})


def _ways(served: Pages, recorder: Recorder) -> list[Way]:
    return [
        Way(PLAIN, served.application),
        Way(AGAIN, served.application),
        pages.metered(METERED, served, recorder),
    ]


def _recorder() -> Recorder:
    """It meters and counts every request, and records none."""
    sampling = Sampling(one_in=10**9, slow_ms=1e6, meter="all")
    who = Identity(release="", host="", worker="")
    return Recorder(lambda: who, Nowhere(), Meter(counter()), sampling)


# A step


def step_rows(quick: bool) -> list[Row]:
    """For each counter that there is."""
    steps, rounds = (STEPS // 10, 2) if quick else (STEPS, STEP_ROUNDS)
    rows = []
    for each in available():
        if each.refusal is None:
            used = counter(each.name)
            step_ns = uvloop.run(_step_ns(Meter(used), steps, rounds))
            readings_ns = median(2 * _reading_ns(used, steps) for _ in range(rounds))
            rows.append(row(f"a metered step, {used.name}", step_ns, "ns", "two readings", readings_ns))
    return rows


async def _step_ns(meter: Meter, steps: int, rounds: int) -> float:
    """What it costs more than a step that is not metered."""
    differences = []
    for _ in range(rounds):
        plain_ns = await _spent_ns(lambda: _give_way(steps))
        metered_ns = await _spent_ns(lambda: _metered(meter, steps))
        detach(asyncio.get_running_loop())
        differences.append((metered_ns - plain_ns) / steps)
    return median(differences)


async def _spent_ns(work: Callable[[], asyncio.Future[None] | asyncio.Task[None]]) -> int:
    before = time.thread_time_ns()
    await work()
    return time.thread_time_ns() - before


def _give_way(steps: int) -> asyncio.Task[None]:
    return asyncio.create_task(_giving_way(steps))


def _metered(meter: Meter, steps: int) -> asyncio.Task[None]:
    return asyncio.create_task(meter.run(Account(), _giving_way(steps)))


async def _giving_way(steps: int) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)


def _reading_ns(used: Counter, times: int) -> float:
    """Of one, without the loop around it."""
    read = used.read
    before = time.thread_time_ns()
    for _ in range(times):
        pass
    between = time.thread_time_ns()
    for _ in range(times):
        read()
    return (time.thread_time_ns() - between - (between - before)) / times
