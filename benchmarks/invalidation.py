"""`calotype bench invalidation`: from a commit to the entry that is gone in the other region, and rows/s of a consumer.

One primary, a streaming standby of it, a memcached and the consumer of the other region as a process of its own, which
follows the standby's log. A driver updates single rows through several connections at a given rate, and from each commit's
answer on two things are waited for, looked for once a millisecond. For a sample: an entry of the version before, until it
is marked stale. For all of them: the region's position, until it covers the end of the log that was read after the commit,
as it does for a ticket. A position is published after its deletes, so the second is an upper bound of the first.

Beside it, in a pass of its own at the same rate: the bare stream of the same log, decoded and thrown away. Then a backlog.
"""

from __future__ import annotations

import asyncio

import asyncpg
import uvloop

from benchmarks import invalidation_backlog, site
from benchmarks import invalidation_rates as rates
from benchmarks import invalidation_world as world
from benchmarks.invalidation_rates import Pass, percentile
from benchmarks.invalidation_world import BARE, LOG, REGION, Setting
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.site import BenchSite
from calotype.cli.bars import Bar
from calotype.config.site import Site
from calotype.infra.cache import Cache

RATES = (100, 1_000, 5_000)
SECONDS = 10.0
OBJECTS = 2_000
BACKLOG = 200_000
ROUNDS = 3
LIMIT_P99_MS = 100.0
LIMIT_RATE = 1_000
"""Commits a second for which the limit is stated."""

NO_WAIT = {"fsync": "off"}
"""A commit is written out and sent to the standby at once, and nobody waits for the disk: the driver must reach its rate.
(With `synchronous_commit` off it would lie in the primary's memory until the walwriter comes by, every 200 ms.)"""

PERCENTILES = (("p50", 500), ("p99", 990), ("p99.9", 999))


def run(options: Options) -> Report:
    """Start everything, measure each rate with the consumer and with the bare stream, then the backlog."""
    seconds, backlog, rounds = (1.0, BACKLOG // 10, 1) if options.quick else (SECONDS, BACKLOG, ROUNDS)
    with (
        site.clusters_running(options.data / "invalidation", NO_WAIT) as bench,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        site.prepare(bench)
        with world.region(bench) as configuration:
            found, version = runner.run(_measure(bench, configuration, seconds, backlog, rounds))
    return report("invalidation", ("psycopg", "asyncpg", "uvloop"), found, {"postgresql": version})


async def _measure(
    bench: BenchSite, configuration: Site, seconds: float, backlog: int, rounds: int
) -> tuple[list[Row], str]:
    region = configuration.regions[REGION]
    cache = Cache(region.memcached)
    primary = bench.site.servers[LOG]
    connection = await asyncpg.connect(primary)
    watched = round(rates.SAMPLE * seconds)
    ids = await world.make_objects(connection, OBJECTS + watched)
    setting = Setting(
        bench, configuration, cache, primary, region.standbys[LOG], ids[watched:], ids[:watched]
    )
    found: list[Row] = []
    try:
        with Bar("passes") as bar:
            for at, rate in enumerate(RATES):
                found += await _rate_rows(setting, connection, rate, seconds)
                bar.update(at + 1, len(RATES) + 1)
            found += await invalidation_backlog.rows(setting, connection, backlog, rounds)
            bar.update(len(RATES) + 1, len(RATES) + 1)
        return found, str(await connection.fetchval("show server_version"))
    finally:
        await connection.close()
        await cache.close()


async def _rate_rows(setting: Setting, connection: world.Sql, rate: int, seconds: float) -> list[Row]:
    with world.consumer(setting):
        # What its start costs is another question.
        await world.reached(setting.cache, await world.end_of_log(connection))
        ours = await rates.deletes_pass(setting, rate, seconds)
    bare = await rates.stream_pass(setting, rate, seconds)
    return [
        *_latency_rows("commit to deleted in the other region", rate, ours.latencies_ms, bare),
        *_latency_rows("commit to covered by the position", rate, ours.covered_ms, bare),
        row(f"commits/s that were reached of {rate:,}", ours.reached, "1/s", BARE, bare.reached),
    ]


def _latency_rows(title: str, rate: int, found: list[float], bare: Pass) -> list[Row]:
    return [
        row(
            f"{title}, {rate:,} commits/s, {name}",
            percentile(found, thousandths),
            "ms",
            BARE,
            percentile(bare.latencies_ms, thousandths),
            limit=LIMIT_P99_MS if (rate, name) == (LIMIT_RATE, "p99") else None,
        )
        for name, thousandths in PERCENTILES
    ]
