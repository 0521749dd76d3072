"""`calotype bench counters`: a crowd that likes one photo, beside the same crowd on 10,000 photos, and beside bare asyncpg.

Measured: likes a second, p50 and p99 of a like, CPU of the clients and of all PostgreSQL processes, and transactions on the
photo's server for each like. People and photos lie on different servers, so that every like has an inverse to carry
and the photo's server does nothing else. `row update`: what one would write first, in one statement on a connection
that each task holds: insert the like, and count one up in the row of the photo. All of it is durable (`fsync`).
Last, what one list takes when its transactions follow each other, with so many inverses each.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from statistics import median, quantiles
from typing import IO

import asyncpg
import msgspec

from benchmarks import site
from benchmarks.counters_program import Counted, Kind, Round, Setup
from benchmarks.processes import cpu_s
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.site import BenchSite
from calotype.cli.bars import Bar
from calotype.cli.places import checkout
from calotype.infra.shards import Placement, Pool, Shards
from calotype.infra.tao.relay import apply
from calotype.infra.tao.writes import NO_DATA, Mirror

ROUNDS = 7
ROUND_S = 3.0
TASKS = 64
PHOTOS = 10_000
PROCESSES = (1, 2)

TARGET = 1 / 0.8
"""Of the time a like: 80% of the spread likes' rate, at least."""

BATCHES = (1, 8, 64, 500)
"""Inverses of one list in one transaction."""

LIST_EDGES, LIST_TRANSACTIONS = 200, 10
"""In a round: of the one, or of the other if that is more."""

LIMIT_BATCH = 64
LIMIT_US = 100.0
"""For each inverse of such a batch: 10,000 a second in one list."""

ONE: Kind = "one photo"
SPREAD: Kind = "spread"
BARE: Kind = "row update"
KINDS = (ONE, SPREAD, BARE)

_TABLES = """
drop table if exists bench_likes, bench_counters;
create table bench_likes (photo bigint, account bigint, time bigint, primary key (photo, account));
create table bench_counters (photo bigint primary key, count bigint not null) with (fillfactor = 80);
"""
_FORGET = """
delete from calotype.associations where atype = any($1)
"""
_FORGET_COUNTS = """
delete from calotype.association_counts where atype = any($1)
"""
_COUNTED = """
select count, version, (select count(*) from calotype.associations where id1 = $1 and atype = $2 and not deleted)
from calotype.association_counts where id1 = $1 and atype = $2
"""


@dataclass(frozen=True)
class Cost:
    """Of one round."""

    likes: int
    wall_us: float
    client_us: float
    postgres_us: float
    photos_server_us: float
    """Its part of that: what a crowd on one photo cannot spread over servers."""
    transactions: float
    """On the photo's server, for each like."""
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Crowd:
    """The processes: their input and output."""

    ends: Sequence[tuple[IO[str], IO[str]]]

    def like(self, kind: Kind, processes: int, seconds: float) -> list[Counted]:
        """Have so many of them like at once."""
        asked = msgspec.json.encode(Round(kind, TASKS // processes, seconds)).decode()
        working = self.ends[:processes]
        for orders, _ in working:
            print(asked, file=orders, flush=True)
        return [msgspec.json.decode(answers.readline(), type=Counted) for _, answers in working]


type Costs = dict[tuple[Kind, int], list[Cost]]


def run(options: Options) -> Report:
    rounds, seconds = (1, 0.3) if options.quick else (ROUNDS, ROUND_S)
    with site.clusters_running(options.data / "small", {}) as bench:
        site.prepare(bench)
        setup, version = asyncio.run(_ready(bench))
        with _crowd(bench, setup) as crowd:
            costs = _interleaved(bench, crowd, rounds, seconds)
        asyncio.run(_check(bench, setup, costs))
        rows = _rows(costs) + asyncio.run(_list_rows(bench, setup, rounds))
    return report("counters", ("asyncpg", "uvloop", "msgspec"), rows, {"postgresql": version})


async def _ready(bench: BenchSite) -> tuple[Setup, str]:
    """Without the likes of earlier runs. People live on the second server, photos on the first."""
    # The product's types must not be imported before the site is there.
    from calotype.product.likes.types import LIKED_BY, LIKES

    await site.create_ordinary(bench)
    connection = await asyncpg.connect(bench.ordinary_dsn)
    await connection.execute(_TABLES)
    version = str(await connection.fetchval("show server_version"))
    async with Shards(bench.site.databases["default"], bench.site.servers) as shards:
        for pool in shards.pools.values():
            for forget in (_FORGET, _FORGET_COUNTS):
                await pool.write(forget, [LIKES.number, LIKED_BY.number])
        for_photos, for_people = (_shards_on(shards.placement, server) for server in bench.site.servers)
    photos = [(n + 1) << 23 | for_photos[n % len(for_photos)] << 10 for n in range(PHOTOS + 1)]
    await connection.execute("insert into bench_counters select unnest($1::bigint[]), 0", photos)
    await connection.close()
    await site.settle(bench)
    control = bench.site.databases["default"]
    return Setup(control, bench.site.servers, bench.ordinary_dsn, photos, for_people, 0, TASKS), version


def _shards_on(placement: Placement, server: str) -> list[int]:
    return sorted(shard for shard, at in placement.servers["likes"].items() if at == server)


@contextmanager
def _crowd(bench: BenchSite, setup: Setup) -> Iterator[Crowd]:
    """As many processes as a case has at most; they end with the block, when their input does."""
    with ExitStack() as stack:
        ends = []
        root = checkout()
        log = stack.enter_context(bench.places.log("counters").open("ab"))
        for number in range(max(PROCESSES)):
            told = msgspec.structs.replace(setup, first_liker=(number + 1) * 1_000_000_000)
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.counters_program", msgspec.json.encode(told).decode()],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(root / "src")))},
                )
            )
            assert process.stdin is not None
            assert process.stdout is not None
            ends.append((process.stdin, process.stdout))
        yield Crowd(ends)


def _interleaved(bench: BenchSite, crowd: Crowd, rounds: int, seconds: float) -> Costs:
    """The kinds take turns, and each round begins with another one. A short first round warms up."""
    costs: Costs = {}
    with Bar("rounds") as bar:
        for number in range(rounds + 1):
            for processes in PROCESSES:
                for at in range(len(KINDS)):
                    kind = KINDS[(number + at) % len(KINDS)]
                    cost = _cost(bench, crowd, kind, processes, seconds if number else seconds / 3)
                    costs.setdefault((kind, processes), []).append(cost)
            bar.update(number + 1, rounds + 1)
    return costs


def _cost(bench: BenchSite, crowd: Crowd, kind: Kind, processes: int, seconds: float) -> Cost:
    before = [cpu_s(pid) for pid in bench.postmasters]
    counted = crowd.like(kind, processes, seconds)
    photos_server_s, other_s = (
        cpu_s(pid) - then for pid, then in zip(bench.postmasters, before, strict=True)
    )
    latencies_ms = [ms for one in counted for ms in one.latencies_ms]
    likes = len(latencies_ms)
    photos_server = next(iter(bench.site.servers))
    transactions = sum(one.statements[photos_server] for one in counted)
    return Cost(
        likes=likes,
        wall_us=max(one.seconds for one in counted) * 1e6 / likes,
        client_us=sum(one.cpu_s for one in counted) * 1e6 / likes,
        postgres_us=(photos_server_s + other_s) * 1e6 / likes,
        photos_server_us=photos_server_s * 1e6 / likes,
        transactions=1.0 if kind == BARE else transactions / likes,
        p50_ms=median(latencies_ms),
        p99_ms=quantiles(latencies_ms, n=100)[-1],
    )


async def _check(bench: BenchSite, setup: Setup, costs: Costs) -> None:
    """The photo has as many likes as it was given: in its count, and one by one."""
    from calotype.product.likes.types import LIKED_BY

    given = sum(cost.likes for (kind, _), some in costs.items() if kind == ONE for cost in some)
    photo, *_ = setup.photos
    connection = await asyncpg.connect(bench.site.servers[next(iter(bench.site.servers))])
    counted = await connection.fetchrow(_COUNTED, photo, LIKED_BY.number)
    await connection.close()
    assert counted is not None
    assert tuple(counted) == (given, given, given), (tuple(counted), given)


def _rows(costs: Costs) -> list[Row]:
    def typical(kind: Kind, processes: int, figure: Callable[[Cost], float]) -> float:
        return median(map(figure, costs[kind, processes][1:]))  # the first round warmed up

    rows = []
    for processes in PROCESSES:
        for what, unit, figure, target in (
            ("wall", "us/like", lambda cost: cost.wall_us, TARGET),
            ("likes", "/s", lambda cost: 1e6 / cost.wall_us, None),
            ("client CPU", "us/like", lambda cost: cost.client_us, None),
            ("PostgreSQL CPU", "us/like", lambda cost: cost.postgres_us, None),
            ("CPU of the photo's server", "us/like", lambda cost: cost.photos_server_us, None),
            ("transactions on the photo's server", "/like", lambda cost: cost.transactions, None),
            ("p50", "ms", lambda cost: cost.p50_ms, None),
            ("p99", "ms", lambda cost: cost.p99_ms, None),
        ):
            for baseline in (SPREAD, BARE):
                title = f"one photo, {processes} process{'es' * (processes > 1)}, {what}"
                ours, theirs = typical(ONE, processes, figure), typical(baseline, processes, figure)
                rows.append(row(title, ours, unit, baseline, theirs, target if baseline == SPREAD else None))
    return rows


async def _list_rows(bench: BenchSite, setup: Setup, rounds: int) -> list[Row]:
    """What one list takes when its transactions follow each other: the machine's cores are too few to bring it more
    by whole likes."""
    walls_us: dict[int, list[float]] = {size: [] for size in BATCHES}
    async with Shards(bench.site.databases["default"], bench.site.servers) as shards:
        pool = shards.pools[next(iter(bench.site.servers))]
        mirrors = _mirrors(setup)
        for number in range(rounds + 1):
            for size in BATCHES:
                wall_us = await _applied(pool, mirrors, size)
                if number:
                    walls_us[size].append(wall_us)
    one_us = median(walls_us[1])
    return [
        row(
            f"inverses of one list, {size} a transaction, wall",
            median(walls_us[size]),
            "us",
            "one a transaction",
            one_us,
            limit=LIMIT_US if size == LIMIT_BATCH else None,
        )
        for size in BATCHES[1:]
    ]


async def _applied(pool: Pool, mirrors: Iterator[Mirror], size: int) -> float:
    """Microseconds for each inverse."""
    transactions = max(LIST_EDGES // size, LIST_TRANSACTIONS)
    batches = [list(islice(mirrors, size)) for _ in range(transactions)]
    began = time.perf_counter()
    for batch in batches:
        await apply(pool, batch)
    return (time.perf_counter() - began) * 1e6 / (size * transactions)


def _mirrors(setup: Setup) -> Iterator[Mirror]:
    """Of people who have not liked the last photo yet."""
    from calotype.product.likes.types import LIKED_BY

    for number in count(1):
        yield Mirror(setup.photos[-1], LIKED_BY.number, number << 23, number, NO_DATA, 1, present=True)
