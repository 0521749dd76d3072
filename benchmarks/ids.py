"""`calotype bench ids`: ids from a shard's stream (`next_id`) beside `nextval` of a plain sequence.

Measured: CPU of all PostgreSQL processes of the cluster, and wall time, for each id. Once by one session, once by 16 at
the same time on one stream (the worst case: they share its lock), once as the default of a primary key in a table that
is otherwise the same. The two take turns; figures are medians.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import asyncpg

from benchmarks import processes, site
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.site import BenchSite
from calotype.cli.bars import Bar

ROUNDS = 5
IDS = 100_000
SESSIONS = 16

OURS, PLAIN = "next_id", "sequence"

TABLES = """
drop schema if exists bench cascade;
create schema bench;
create sequence bench.plain;
create table bench.ours (id bigint primary key default s0000.next_id(), number int);
create table bench.plainly (id bigint primary key default nextval('bench.plain'), number int);
"""

STATEMENTS = {
    "by a function": {
        OURS: "select count(s0000.next_id()) from generate_series(1, $1::int)",
        PLAIN: "select count(nextval('bench.plain')) from generate_series(1, $1::int)",
    },
    "as a column default": {
        OURS: "insert into bench.ours (number) select * from generate_series(1, $1::int)",
        PLAIN: "insert into bench.plainly (number) select * from generate_series(1, $1::int)",
    },
    "in batches of 1,000": {
        OURS: "select count(i) from generate_series(1, $1::int / 1000) n, lateral calotype.next_ids(0, (n * 0 + 1000)::int) i",
        PLAIN: "select count(nextval('bench.plain')) from generate_series(1, $1::int)",
    },
}


@dataclass(frozen=True)
class Cost:
    """Of one id, in microseconds."""

    cpu_us: float
    wall_us: float


def run(options: Options) -> Report:
    """Migrate a site's shards into two clusters, and make ids in the first of them."""
    ids, rounds = (IDS // 100, 1) if options.quick else (IDS, ROUNDS)
    with site.clusters_running(options.data / "small", {}) as bench:
        site.prepare(bench)
        rows, version = asyncio.run(_measure(bench, ids, rounds))
    return report("ids", ("asyncpg",), rows, {"postgresql": version})


async def _measure(bench: BenchSite, ids: int, rounds: int) -> tuple[list[Row], str]:
    dsn = bench.site.servers["pg-1"]
    sessions = [await asyncpg.connect(dsn) for _ in range(SESSIONS)]
    try:
        await sessions[0].execute(TABLES)
        rows = []
        cases = [(what, amount) for what in STATEMENTS for amount in (1, SESSIONS)]
        with Bar("ids") as bar:
            for at, (what, amount) in enumerate(cases):
                costs = await _interleaved(bench, sessions[:amount], STATEMENTS[what], ids, rounds)
                rows += _rows(f"id {what}, {amount} session{'s' if amount > 1 else ''}", costs)
                bar.update(at + 1, len(cases))
        return rows, str(await sessions[0].fetchval("show server_version"))
    finally:
        await sessions[0].execute("drop schema if exists bench cascade")
        for session in sessions:
            await session.close()


async def _interleaved(
    bench: BenchSite,
    sessions: Sequence[asyncpg.Connection[asyncpg.Record]],
    statements: dict[str, str],
    ids: int,
    rounds: int,
) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in statements}
    for _ in range(rounds):
        for name, statement in statements.items():
            await sessions[0].execute("truncate bench.ours, bench.plainly")
            costs[name].append(await _cost(bench, sessions, statement, ids))
    return costs


async def _cost(
    bench: BenchSite, sessions: Sequence[asyncpg.Connection[asyncpg.Record]], statement: str, ids: int
) -> Cost:
    each = ids // len(sessions) // 1000 * 1000 or 1000
    before, began = processes.cpu_s(bench.postmasters[0]), time.perf_counter()
    await asyncio.gather(*(session.execute(statement, each) for session in sessions))
    wall, after = time.perf_counter() - began, processes.cpu_s(bench.postmasters[0])
    made = each * len(sessions)
    return Cost((after - before) * 1e6 / made, wall * 1e6 / made)


def _rows(title: str, costs: dict[str, list[Cost]]) -> list[Row]:
    def typical(name: str, field: str) -> float:
        return float(median(getattr(cost, field) for cost in costs[name]))

    return [
        row(f"{title}, {what}", typical(OURS, field), "us/id", PLAIN, typical(PLAIN, field))
        for what, field in (("server CPU", "cpu_us"), ("wall", "wall_us"))
    ]
