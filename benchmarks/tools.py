"""Dynostats beside django-silk, OpenTelemetry, Sentry and django-prometheus, on the same pages of the same Django site.

The site is the tuned one of `bench feed`, which has no other middleware: an empty view, and the home feed by two
statements. A process for each tool and one without (`tools_program`), which take turns; each asks its own WSGI
application, so no server is in the figures. CPU of the whole process, so a tool's threads are in its figure.

What is fair about it: all see every request, and dynostats once more as a busy site would have it. Others do less for
less: Prometheus counts and times. Others tell more: silk keeps each request with its statements in the database (whose
CPU is not in the figure), Sentry has a span for each statement. Sentry's and OpenTelemetry's exporters drop what they
get, so that neither encoding nor sending is charged to them; dynostats encodes, compresses and writes its records.
OpenTelemetry has Django's instrumentation alone, and Prometheus its middleware alone: neither sees statements.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import IO

import asyncpg
import msgspec

from benchmarks import stacks
from benchmarks.baselines.tools.watching import TOOLS
from benchmarks.client import Unexpected
from benchmarks.population import baseline_environment
from benchmarks.report import Row, row
from benchmarks.site import ORDINARY, BenchSite
from benchmarks.tools_program import Spent, Turn
from calotype.cli.bars import Bar

SEED = 37
DATABASE = "tools"
"""A copy of the ordinary one, for silk makes tables and fills them; removed in the end."""

FEED, EMPTY = "tuned feed page", "empty view"
PATHS = {FEED: stacks.PATH, EMPTY: "/empty"}
ROUNDS = 25
REQUESTS = {FEED: 40, EMPTY: 300}
"""A turn."""

WITHOUT = "without"


@dataclass(frozen=True)
class Site:
    """A process with a tool."""

    tool: str
    turns: IO[str]
    answers: IO[str]

    def take(self, turn: Turn) -> Spent:
        self.turns.write(msgspec.json.encode(turn).decode() + "\n")
        self.turns.flush()
        if not (line := self.answers.readline()):
            raise Unexpected(f"the site with {self.tool} has ended; its log says why")
        return msgspec.json.decode(line, type=Spent)


@contextmanager
def running(bench: BenchSite) -> Iterator[list[Site]]:
    """A site for each tool, not asked for anything yet. It takes some seconds until they are ready, in which nobody waits."""
    asyncio.run(_copy_database(bench))
    try:
        with ExitStack() as stack:
            segments = Path(stack.enter_context(TemporaryDirectory(prefix="dynostats-")))
            log = stack.enter_context(bench.places.log("tools").open("ab"))
            yield [_started(bench, tool, segments / str(n), log, stack) for n, tool in enumerate(TOOLS)]
    finally:
        asyncio.run(_drop_database(bench))


async def _copy_database(bench: BenchSite) -> None:
    """Nobody is connected to the original meanwhile."""
    connection = await asyncpg.connect(bench.clusters[0].dsn())
    try:
        await connection.execute(f"drop database if exists {DATABASE} with (force)")
        await connection.execute(f"create database {DATABASE} template {ORDINARY} strategy file_copy")
    finally:
        await connection.close()


async def _drop_database(bench: BenchSite) -> None:
    connection = await asyncpg.connect(bench.clusters[0].dsn())
    try:
        await connection.execute(f"drop database if exists {DATABASE} with (force)")
    finally:
        await connection.close()


def rows(sites: Sequence[Site], viewers: Sequence[int], quick: bool) -> list[Row]:
    costs: dict[tuple[str, str], list[float]] = {}
    rounds = 2 if quick else ROUNDS
    requests = {page: amount // (10 if quick else 1) for page, amount in REQUESTS.items()}
    for page, amount in requests.items():
        _rounds(page, amount, sites, viewers, rounds, costs)
    for site in sites:
        _check(site, (rounds + 1) * sum(requests.values()))
    return [_row(page, tool, costs) for page in PATHS for tool in TOOLS if tool != WITHOUT]


def _row(page: str, tool: str, costs: Mapping[tuple[str, str], Sequence[float]]) -> Row:
    us, plain = costs[page, tool], costs[page, WITHOUT]
    ratio, plain_us = median(one / other for one, other in zip(us, plain, strict=True)), median(plain)
    return row(f"{page}, {tool}, CPU", plain_us * ratio, "us/request", WITHOUT, plain_us)


def _rounds(
    page: str,
    amount: int,
    sites: Sequence[Site],
    viewers: Sequence[int],
    rounds: int,
    costs: dict[tuple[str, str], list[float]],
) -> None:
    """One page after the other, so that what is done later is done for the same one."""
    chance = random.Random(SEED)
    with Bar(page) as bar:
        for number in range(rounds + 1):
            asked = chance.choices(viewers, k=amount)
            for site in chance.sample(sites, len(sites)):
                spent = site.take(Turn(PATHS[page], asked))
                if number:  # the first is a warm-up
                    costs.setdefault((page, site.tool), []).append(spent.cpu_ns / 1000 / amount)
            bar.update(number, rounds)


def _check(site: Site, served: int) -> None:
    """Raises `Unexpected` if a tool has not seen at least half of the requests: some keep or queue only so many."""
    seen = site.take(Turn("", [])).seen
    if site.tool != WITHOUT and (seen is None or seen < served / 2):
        raise Unexpected(f"{site.tool} has seen {seen} of {served} requests")


def _started(bench: BenchSite, tool: str, segments: Path, log: IO[bytes], stack: ExitStack) -> Site:
    environment = _environment(bench, tool, segments)
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-P", "-m", "benchmarks.tools_program"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | environment,
        )
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return Site(tool, process.stdin, process.stdout)


def _environment(bench: BenchSite, tool: str, segments: Path) -> dict[str, str]:
    return baseline_environment(bench, "tools") | {
        "BENCH_ORDINARY_DSN": bench.clusters[0].dsn(DATABASE),
        "BENCH_TOOL": tool,
        "BENCH_DYNOSTATS": str(segments),
        "PYTHONHASHSEED": "0",  # as many collisions of names in all of them
    }
