"""`calotype bench invalidation`: from a commit to the entry that is gone in the other region, and rows/s of a consumer.

One primary, a streaming standby of it, a memcached and the consumer of the other region as a process of its own, which
follows the standby's log. A driver updates single rows through several connections at a given rate; for a sample of them an
entry of the version before lies in memcached, and the time from the commit's answer until it is marked stale is measured by
asking for all of the sample once a millisecond. Beside it, in a pass of its own at the same rate: the bare stream of the
same log, decoded and thrown away.

Then a backlog: rows that were changed while nobody followed, applied by a consumer and by the bare stream.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from statistics import quantiles

import asyncpg
import msgspec
import uvloop

from benchmarks import processes, site
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.site import BenchSite
from calotype.cli import site_processes
from calotype.cli.bars import Bar
from calotype.config.caches import PUBLICATION
from calotype.config.site import Region, Site, save
from calotype.infra.cache import Cache, Key
from calotype.infra.engines.memcached import Memcached
from calotype.infra.engines.standby import Standby
from calotype.infra.invalidation import Change, LogStream, Lsn, decode_position, open_stream, position_key
from calotype.infra.invalidation.positions import key_space, parse_lsn
from calotype.infra.invalidation.slots import connect, create_slot, drop_slot
from calotype.infra.tao.keys import object_key

RATES = (100, 1_000, 5_000)
SECONDS = 8.0
SAMPLE = 40
"""Entries a second that are watched."""
CONNECTIONS = 8
OBJECTS = 2_000
BACKLOG = 200_000
TARGET_P99_MS = 100.0
"""At 1,000 commits/s."""

LOG = "pg-1"
REGION = "b"
BARE = "bare stream"
NO_WAIT = {"fsync": "off"}
"""A commit is written out and sent to the standby at once, and nobody waits for the disk: the driver must reach its rate."""

_UPDATE = "update objects set version = version + 1 where shard = $1 and id = $2 returning version"
_MAKE = """
insert into objects select 0, next_id(0), 901, '{}', 1, 0, 0 from generate_series(1, $1::int) returning id
"""


@dataclass
class Pass:
    """What one pass at one rate found. `latencies_ms`: of the sample."""

    commits: int = 0
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def reached(self) -> float:
        return self.commits / self.seconds

    def percentile(self, thousandths: int) -> float:
        return quantiles(self.latencies_ms, n=1_000, method="inclusive")[thousandths - 1]


@dataclass(frozen=True)
class Setting:
    """What every pass works with."""

    bench: BenchSite
    configuration: Site
    cache: Cache
    primary: str
    standby: str
    ids: list[int]


def run(options: Options) -> Report:
    """Start everything, measure each rate with the consumer and with the bare stream, then the backlog."""
    seconds, backlog = (2.0, BACKLOG // 10) if options.quick else (SECONDS, BACKLOG)
    with (
        site.clusters_running(options.data / "invalidation", NO_WAIT) as bench,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        site.prepare(bench)
        with _region(bench) as configuration:
            rows, version = runner.run(_measure(bench, configuration, seconds, backlog))
    return report("invalidation", ("psycopg", "asyncpg", "uvloop"), rows, {"postgresql": version})


@contextmanager
def _region(bench: BenchSite) -> Iterator[Site]:
    """The other region: a standby of the first cluster and a memcached; the file names them."""
    primary = bench.clusters[0]
    standby = Standby(f"{primary.name}-b", primary.root.parent / f"{primary.name}-b", primary=primary)
    standby.initialise()
    site_processes.forget_dead_postmaster(standby)
    server = Memcached("memcached-b", bench.places.run)
    dsns = bench.site.logs | {LOG: standby.dsn("shards")}
    regions = {"a": Region(), REGION: Region(memcached=(str(server.socket),), standbys=dsns)}
    configuration = msgspec.structs.replace(bench.site, regions=regions)
    save(bench.places.data, configuration)
    with ExitStack() as stack:
        spec = site_processes.postgres(standby)
        log = bench.places.log(standby.name)
        stack.enter_context(
            processes.running(spec.command, log, standby.ready, spec.environment, spec.stop_signal)
        )
        stack.enter_context(processes.running(server.command(), bench.places.log(server.name), server.ready))
        yield configuration
    save(bench.places.data, bench.site)


@contextmanager
def _consumer(setting: Setting) -> Iterator[int]:
    """The consumer of the other region; its process number, once it has said how far it is."""
    places = setting.bench.places
    told = site_processes.environment(places, setting.configuration, REGION)
    spec = site_processes.invalidator(LOG, "invalidator-b", told)
    says = places.invalidator(REGION, LOG)
    says.unlink(missing_ok=True)
    with processes.running(spec.command, places.log(spec.name), says.exists, spec.environment) as pid:
        yield pid


async def _measure(
    bench: BenchSite, configuration: Site, seconds: float, backlog: int
) -> tuple[list[Row], str]:
    region = configuration.regions[REGION]
    cache = Cache(region.memcached)
    connection = await asyncpg.connect(bench.site.servers[LOG])
    ids = [each[0] for each in await connection.fetch(_MAKE, OBJECTS)]
    version = str(await connection.fetchval("show server_version"))
    setting = Setting(bench, configuration, cache, bench.site.servers[LOG], region.standbys[LOG], ids)
    rows: list[Row] = []
    try:
        with Bar("passes") as bar:
            for at, rate in enumerate(RATES):
                with _consumer(setting):
                    await _applied(setting, await _end(connection))  # what its start cost is another question
                    ours = await _deletes_pass(setting, rate, seconds)
                bare = await _stream_pass(setting, rate, seconds)
                rows += _latency_rows(rate, ours, bare)
                bar.update(at + 1, len(RATES) + 1)
            rows += await _backlog_rows(setting, connection, backlog)
            bar.update(len(RATES) + 1, len(RATES) + 1)
    finally:
        await connection.close()
        await cache.close()
    return rows, version


# --- A rate ------------------------------------------------------------------------------------------------------------


async def _drive(
    setting: Setting,
    rate: int,
    seconds: float,
    committed: Callable[[int, int], None],
    before: Callable[[int, bool], Awaitable[None]],
) -> Pass:
    """Update rows at this rate, or as fast as can be; each commit is told with its version, samples before it too."""
    chance = random.Random(rate)
    made = Pass()
    began = time.perf_counter()
    free = iter(range(1 << 62))
    sampled = max(1, round(rate / SAMPLE))

    async def work() -> None:
        connection = await asyncpg.connect(setting.primary)
        try:
            while time.perf_counter() - began < seconds:
                turn = next(free)
                due = began + turn / rate
                if (wait_s := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait_s)
                id_ = chance.choice(setting.ids)
                await before(id_, turn % sampled == 0)
                version = await connection.fetchval(_UPDATE, 0, id_)
                committed(id_, version)
                made.commits += 1
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())
    made.seconds = time.perf_counter() - began
    return made


async def _deletes_pass(setting: Setting, rate: int, seconds: float) -> Pass:
    """With entries of the version before in memcached, for a sample; watched until they are gone or marked stale."""
    space = await _space(setting)
    put: set[int] = set()
    waiting: dict[Key, float] = {}
    found: list[float] = []

    async def before(id_: int, sample: bool) -> None:
        key = object_key(space, id_)
        if sample and id_ not in put and key not in waiting:
            put.add(id_)
            await setting.cache.set(key, b"an entry of the version before")

    def committed(id_: int, version: int) -> None:
        if id_ in put:
            put.discard(id_)
            waiting[object_key(space, id_)] = time.perf_counter()

    async def watch() -> None:
        while True:
            if waiting:
                there = await setting.cache.look_many(list(waiting))
                now = time.perf_counter()
                gone = [key for key in waiting if key not in there]
                found.extend((now - waiting.pop(key)) * 1_000 for key in gone)
            await asyncio.sleep(0.001)

    watching = asyncio.create_task(watch())
    made = await _drive(setting, rate, seconds, committed, before)
    async with asyncio.timeout(60):
        while waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    watching.cancel()
    made.latencies_ms = found
    return made


async def _stream_pass(setting: Setting, rate: int, seconds: float) -> Pass:
    """The same commits, received by a stream that does nothing with them."""
    sent: dict[tuple[int, int], float] = {}
    received: dict[tuple[int, int], float] = {}

    async def nothing(id_: int, sample: bool) -> None:
        return None

    def committed(id_: int, version: int) -> None:
        sent[id_, version] = time.perf_counter()

    async with _bare_stream(setting) as stream:

        async def receive() -> None:
            while True:
                batch = await stream.batch(0.1)
                now = time.perf_counter()
                for change in batch.changes:
                    if isinstance(change, Change) and change.relation == "calotype.objects":
                        received[int(str(change.row["id"])), int(str(change.row["version"]))] = now
                stream.confirm(batch.position)

        receiving = asyncio.create_task(receive())
        made = await _drive(setting, rate, seconds, committed, nothing)
        await asyncio.sleep(1)
        receiving.cancel()
        await asyncio.wait([receiving])
    made.latencies_ms = [
        max(0.0, received[commit] - at) * 1_000 for commit, at in sent.items() if commit in received
    ]
    return made


@asynccontextmanager
async def _bare_stream(setting: Setting) -> AsyncIterator[LogStream]:
    async with await connect(setting.standby) as database:
        slot = await create_slot(database, "bench", setting.primary)
        try:
            async with await open_stream(setting.standby, slot.name, PUBLICATION, slot.confirmed) as stream:
                yield stream
        finally:
            await drop_slot(database, slot)


def _latency_rows(rate: int, ours: Pass, bare: Pass) -> list[Row]:
    rows = []
    for name, thousandths in (("p50", 500), ("p99", 990), ("p99.9", 999)):
        target = TARGET_P99_MS if (rate, name) == (1_000, "p99") else None
        rows.append(
            row(
                f"commit to deleted in the other region, {rate:,} commits/s, {name}",
                ours.percentile(thousandths),
                "ms",
                BARE,
                bare.percentile(thousandths),
                limit=target,
            )
        )
    rows.append(row(f"commits/s that were reached of {rate:,}", ours.reached, "1/s", BARE, bare.reached))
    return rows


# --- A backlog ---------------------------------------------------------------------------------------------------------


async def _backlog_rows(
    setting: Setting, connection: asyncpg.Connection[asyncpg.Record], amount: int
) -> list[Row]:
    """Rows that were changed while nobody followed: by a consumer that comes back, and by the bare stream."""
    with _consumer(setting):  # it makes its slot, from where the backlog counts
        await _applied(setting, await _end(connection))
    async with _bare_stream(setting) as stream:
        for _ in range(max(1, amount // OBJECTS)):
            await connection.execute(
                "update objects set version = version + 1 where shard = 0 and otype = 901"
            )
        end = await _end(connection)
        rows_changed = max(1, amount // OBJECTS) * int(
            await connection.fetchval("select count(*) from objects where shard = 0 and otype = 901")
        )
        bare_wall, bare_cpu = await _drained(stream, end)
    with _consumer(setting) as pid:
        began, started_cpu = time.perf_counter(), processes.cpu_s(pid)
        await _applied(setting, end)
        wall = time.perf_counter() - began
        cpu = processes.cpu_s(pid) - started_cpu
    return [
        row(
            "rows/s that a consumer applies",
            rows_changed / wall,
            "1/s",
            BARE,
            rows_changed / bare_wall,
        ),
        row("a row of a backlog, CPU", cpu * 1e6 / rows_changed, "us", BARE, bare_cpu * 1e6 / rows_changed),
    ]


async def _drained(stream: LogStream, end: Lsn) -> tuple[float, float]:
    """(wall, CPU) seconds until a stream that does nothing has reached this position."""
    began, cpu = time.perf_counter(), time.process_time()
    while (batch := await stream.batch(0.5)).position < end:
        stream.confirm(batch.position)
    return time.perf_counter() - began, time.process_time() - cpu


async def _applied(setting: Setting, end: Lsn) -> None:
    async with asyncio.timeout(120):
        while True:
            values = await setting.cache.get_everywhere(position_key(LOG))
            position = decode_position(values[0]) if values else None
            if position is not None and position.applied_lsn >= end:
                return
            await asyncio.sleep(0.005)


async def _space(setting: Setting) -> bytes:
    """The key space that the consumer has published."""
    async with asyncio.timeout(30):
        while not (values := await setting.cache.get_everywhere(position_key(LOG))):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    position = decode_position(values[0])
    assert position is not None
    return key_space(LOG, position.generation).encode()


async def _end(connection: asyncpg.Connection[asyncpg.Record]) -> Lsn:
    return parse_lsn(str(await connection.fetchval("select pg_current_wal_lsn()::text")))
