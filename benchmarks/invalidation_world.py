"""What `calotype bench invalidation` runs on: a primary, a streaming standby, the other region's memcached and consumer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import asyncpg
import msgspec

from benchmarks import processes
from benchmarks.site import BenchSite
from calotype.cli import site_processes
from calotype.config.site import Region, Site, save
from calotype.infra.cache import Cache
from calotype.infra.engines.memcached import Memcached
from calotype.infra.engines.standby import Standby
from calotype.infra.invalidation import Lsn, Position, decode_position, position_key
from calotype.infra.invalidation.positions import key_space, parse_lsn
from calotype.infra.invalidation.slots import Slot, connect, create_slot, drop_slot

LOG = "pg-1"
REGION = "b"
BARE = "bare stream"

OTYPE = 901
_FORGET = "delete from objects where shard = 0 and otype = $1"
_MAKE = """
insert into objects select 0, next_id(0), $2, '{}', 1, 0, 0 from generate_series(1, $1::int) returning id
"""
_REPLAYED = "select coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)"

type Sql = asyncpg.Connection[asyncpg.Record]


@dataclass(frozen=True)
class Setting:
    """What every pass works with. `ids` are updated by chance; each of `watched` once in a pass, so that no other commit
    can delete its entry."""

    bench: BenchSite
    configuration: Site
    cache: Cache
    primary: str
    standby: str
    ids: list[int]
    watched: list[int]


@contextmanager
def region(bench: BenchSite) -> Iterator[Site]:
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


async def make_objects(connection: Sql, amount: int) -> list[int]:
    """Ids of new objects; those of the run before go."""
    await connection.execute(_FORGET, OTYPE)
    return [each[0] for each in await connection.fetch(_MAKE, amount, OTYPE)]


@contextmanager
def consumer(setting: Setting, ready: Callable[[], bool] | None = None) -> Iterator[int]:
    """The consumer of the other region; its process number, once it has begun to tell how far it is."""
    places = setting.bench.places
    told = site_processes.environment(places, setting.configuration, REGION)
    spec = site_processes.invalidator(LOG, "invalidator-b", told)
    says = places.invalidator(REGION, LOG)
    says.unlink(missing_ok=True)
    with processes.running(
        spec.command, places.log(spec.name), ready or says.exists, spec.environment
    ) as pid:
        yield pid


@asynccontextmanager
async def bare_slot(setting: Setting) -> AsyncIterator[Slot]:
    """A slot on the standby that only the bare stream reads."""
    async with await connect(setting.standby) as database:
        slot = await create_slot(database, "bench", setting.primary)
        try:
            yield slot
        finally:
            await drop_slot(database, slot)


async def position(cache: Cache) -> Position | None:
    """What the consumer has published."""
    values = await cache.get_everywhere(position_key(LOG))
    return decode_position(values[0]) if values else None


async def reached(cache: Cache, end: Lsn, every_s: float = 0.005) -> Position:
    """The first position that was seen at `end` or behind it."""
    async with asyncio.timeout(120):
        while True:
            found = await position(cache)
            if found is not None and found.applied_lsn >= end:
                return found
            await asyncio.sleep(every_s)


async def space(cache: Cache) -> bytes:
    """The key space that the consumer has published."""
    return key_space(LOG, (await reached(cache, Lsn(0))).generation).encode()


async def end_of_log(connection: Sql) -> Lsn:
    """Of the primary: what a ticket of a commit that was answered before holds."""
    return parse_lsn(str(await connection.fetchval("select pg_current_wal_lsn()::text")))


async def replayed(setting: Setting, end: str) -> None:
    """Wait until the standby has replayed so far: else its speed would be measured."""
    connection = await asyncpg.connect(setting.standby)
    try:
        async with asyncio.timeout(120):
            while not await connection.fetchval(_REPLAYED, end):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await connection.close()
