"""What the tests of the commit log stand on: a database to follow, and memcached servers to kill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg

from calotype.infra.cache import Cache, Key
from calotype.infra.engines.postgres import Cluster
from calotype.infra.invalidation.consumer import Consumer
from calotype.infra.invalidation.pgoutput import Change, Message, Truncate
from calotype.infra.invalidation.positions import Lsn, Position, decode_position, parse_lsn, position_key
from calotype.infra.invalidation.slots import Database, Slot, connect, create_slot, find_slots
from calotype.infra.invalidation.stream import Batch, LogStream, open_stream

type Connection = asyncpg.Connection[asyncpg.Record]

SCHEMA = """
create table items (id bigint primary key, version bigint not null, data text);
create publication calotype for table items (id, version);
"""


@dataclass
class Log:
    """A database whose commit log can be followed. `sql` is a connection of one who writes."""

    dsn: str
    sql: Connection
    admin: Database

    async def slot(self, region: str = "a") -> Slot:
        return await create_slot(self.admin, region, self.dsn)

    async def stream(self, slot: Slot) -> LogStream:
        return await open_stream(self.dsn, slot.name, "calotype", slot.confirmed)

    async def end_position(self) -> Lsn:
        return parse_lsn(str(await self.sql.fetchval("select pg_current_wal_lsn()::text")))

    async def put(self, *ids: int, version: int = 1) -> None:
        """One transaction."""
        await self.sql.execute(
            "insert into items select i, $2 from unnest($1::bigint[]) i on conflict (id) do update set version = $2",
            ids,
            version,
        )

    async def kill_walsenders(self) -> int:
        return int(
            await self.sql.fetchval(
                "select count(pg_terminate_backend(pid)) from pg_stat_replication where application_name like 'calotype%'"
            )
        )

    async def write_more_than_a_slot_keeps(self) -> None:
        """Of a `forgetful_log`."""
        for _ in range(3):
            await self.sql.execute("select pg_logical_emit_message(false, 'x', 'x', true), pg_switch_wal()")
        await self.sql.execute("checkpoint")

    async def commits_wait_for(self, standby: str) -> None:
        """Commits of others hang from now on until this synchronous standby has them; "": they do no longer."""
        await self.sql.execute("set synchronous_commit = local")
        await self.sql.execute(f"alter system set synchronous_standby_names = '{standby}'")
        await self.sql.execute("select pg_reload_conf()")
        await asyncio.sleep(0.2)

    async def confirmed(self, region: str = "a") -> Lsn:
        return (await find_slots(self.admin, region))[0].confirmed

    async def end(self) -> None:
        """Nobody follows it any longer."""
        for _ in range(100):
            left = await self.sql.fetch(
                "select slot_name, active from pg_replication_slots where database = current_database()"
            )
            for name, active in left:
                if not active:
                    await self.sql.execute("select pg_drop_replication_slot($1)", name)
            if not left:
                break
            await asyncio.sleep(0.02)
        await self.sql.close()
        await self.admin.close()


async def create_log(cluster: Cluster, name: str) -> Log:
    server: Connection = await asyncpg.connect(cluster.dsn())
    await server.execute(f"create database {name} strategy file_copy")
    await server.close()
    log = await open_log(cluster.dsn(name))
    await log.sql.execute(SCHEMA)
    return log


async def open_log(dsn: str) -> Log:
    return Log(dsn, await asyncpg.connect(dsn), await connect(dsn))


async def batches_until(stream: LogStream, enough: Callable[[list[Batch]], bool]) -> list[Batch]:
    """What the stream gives until it is enough, for 10 s at most."""
    got: list[Batch] = []
    async with asyncio.timeout(10):
        while not enough(got):
            got.append(await stream.batch(0.1))
    return got


async def read(stream: LogStream, amount: int) -> list[Batch]:
    """Batches with at least so many changes."""
    return await batches_until(stream, lambda got: len(changes(got)) >= amount)


async def read_to(stream: LogStream, position: Lsn) -> list[Batch]:
    return await batches_until(stream, lambda got: bool(got) and got[-1].position >= position)


def changes(batches: list[Batch]) -> list[Change | Truncate | Message]:
    return [change for batch in batches for change in batch.changes]


def ids(batches: list[Batch]) -> list[int]:
    return [int(str(change.row["id"])) for change in changes(batches) if isinstance(change, Change)]


async def eventually(true: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    """Fails when it has not become true by then."""
    until = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < until, "it did not become true in time"
        await asyncio.sleep(0.01)


async def fill(cache: Cache, versions: Mapping[Key, int]) -> None:
    """Entries as a worker fills them: under a lease, with the version of their row, which is their value too."""
    found = await cache.lease_many(list(versions))
    for key, lease in found.won.items():
        cache.fill(key, lease, str(versions[key]).encode(), versions[key])
    assert await cache.get_many(list(versions)) == {
        key: str(version).encode() for key, version in versions.items()
    }


LOG = "pg-1"


def records_of(change: Change, space: str) -> Iterator[tuple[Key, int | None]]:
    version = change.row["version"]
    yield item(space, change.row["id"]), int(version) if isinstance(version, str) else None


def item(space: str, id_: object) -> Key:
    return Key(f"i:{space}:{id_}".encode())


def consumer_of(
    log: Log,
    caches: Sequence[Cache],
    region: str = "a",
    primary_dsn: str | None = None,
    backlog_limit: int = 200_000,
) -> Consumer:
    dsn = primary_dsn or log.dsn
    return Consumer(LOG, region, log.dsn, dsn, "calotype", caches, records_of, backlog_limit=backlog_limit)


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncIterator[Consumer]:
    """From when it has published its first position."""
    task = asyncio.create_task(consumer.run())
    try:

        async def streaming() -> bool:
            if task.done():
                await task
            return consumer._published

        await eventually(streaming)
        yield consumer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def published(cache: Cache) -> Position | None:
    value = await cache.get(position_key(LOG))
    return None if value is None else decode_position(value)


async def wait_until_applied(cache: Cache, position: Lsn, seconds: float = 10.0) -> Position:
    """The position that was published when everything up to this one was applied."""

    async def applied() -> bool:
        known = await published(cache)
        return known is not None and known.applied_lsn >= position

    await eventually(applied, seconds)
    known = await published(cache)
    assert known is not None
    return known
