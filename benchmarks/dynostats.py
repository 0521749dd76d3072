"""`calotype bench dynostats`: what recording costs on our pages, what other tools cost, and what small a change it tells.

Recording: two pages of our site (`pages`) with a record of every request, of 1 in 10 and of 1 in 100, and of 1 in 100
with no other request metered. Records are encoded, compressed and written to files by the threads that do it on a site,
which are charged. Other tools: `tools`. Changes: `changes`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from benchmarks import changes, feed, pages, population, requirements, stacks, tools
from benchmarks.pages import AGAIN, FEED, FEED_JSON, PLAIN, Pages, Way
from benchmarks.report import Options, Report, Row, report
from benchmarks.stacks import Cached
from calotype.efficiency.dynostats import Identity, Recorder, Sampling, Segments
from calotype.efficiency.meter import Meter, counter

VIEWERS = 20

BUSY = "1 in 100, others not metered"
SAMPLINGS = {
    "every request": Sampling(),
    "1 in 10": Sampling(one_in=10),
    "1 in 100": Sampling(one_in=100),
    BUSY: Sampling(one_in=100, meter="sampled"),
}
TARGET = 1.005
"""Of a busy site."""

PACKAGES = (
    "django",
    "uvloop",
    "asyncpg",
    "msgspec",
    "psycopg",
    "django-silk",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-django",
    "sentry-sdk",
    "django-prometheus",
)


def run(options: Options) -> Report:
    """Make the data if need be; our pages in this process, then the other tools in theirs."""
    requirements.ensure()
    with population.populated(options) as bench:
        population.set_django_up()
        viewers = asyncio.run(feed.viewers_of(bench, quick=options.quick))[:VIEWERS]
        with tools.running(bench) as sites:
            with stacks.cached(bench, viewers) as cached:
                of_pages, of_changes = uvloop.run(_our_rows(cached, options.quick))
            of_tools = tools.rows(sites, viewers, options.quick)
        version = asyncio.run(feed.postgres_version(bench))
    return report("dynostats", PACKAGES, of_pages + of_tools + of_changes, {"postgresql": version})


async def _our_rows(cached: Cached, quick: bool) -> tuple[list[Row], list[Row]]:
    async with pages.served(cached) as served:
        with _recording(served) as ways:
            plain = [Way(PLAIN, served.application), Way(AGAIN, served.application)]
            costs = await pages.in_turn(served, [*plain, *ways], quick)
        of_changes = await changes.rows(served, quick)
    return pages.rows(costs, {(page, BUSY): TARGET for page in (FEED, FEED_JSON)}), of_changes


@contextmanager
def _recording(served: Pages) -> Iterator[list[Way]]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="dynostats-")))
        yield [
            pages.metered(name, served, _recorder(directory / str(n), sampling, stack))
            for n, (name, sampling) in enumerate(SAMPLINGS.items())
        ]


def _recorder(directory: Path, sampling: Sampling, stack: ExitStack) -> Recorder:
    who = Identity(release="3f9c2ab", host="host", worker="1")
    recorder = Recorder(lambda: who, Segments(directory), Meter(counter()), sampling)
    stack.callback(recorder.close)
    return recorder
