"""Which physical server holds a logical shard of a partition: the map, its table, and how changes reach every process.

The table is in the control database. A change fires NOTIFY, each process listens, and reads the whole map anew: it is
small (partitions x shards), so there are no deltas to lose. A process that was cut off reads it when it is back, and
once every `POLL_S` in any case.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import asyncpg

from calotype.std.errors import CalotypeError, NotFound

log = logging.getLogger(__name__)

POLL_S = 30.0
RECONNECT_S = 0.5
ANSWER_S = 10.0
CHANNEL = "calotype_placement"
FIRST_VERSION = 1
LOCK_KEY = 0x706C6163  # "plac": "if not exists" and "or replace" are no locks

SCHEMA = """
create schema if not exists calotype_control;
create table if not exists calotype_control.placement (
    partition text not null,
    shard int not null check (shard between 0 and 8191),
    server text not null,
    version bigint not null,  -- of the map in which this row was last changed
    since bigint not null,  -- of the map in which the shard first appeared
    primary key (partition, shard)
);
create or replace function calotype_control.placement_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('calotype_placement', '');
    return null;
end $$;
create or replace trigger placement_changed after insert or update or delete on calotype_control.placement
    for each statement execute function calotype_control.placement_changed();
"""


class AbsentShard(NotFound):
    """No server is placed for a logical shard: the id came from outside and means nothing here."""

    code = "absent_shard"


class PlacementInvalid(CalotypeError):
    """The map names a server that the configuration does not know."""

    code = "placement_invalid"


@dataclass(frozen=True)
class Placement:
    """An immutable map; a change makes a new one. `version` is the highest of its rows, 0 when it is empty."""

    servers: Mapping[str, Mapping[int, str]]
    version: int = 0
    first_shards: tuple[int, ...] = ()
    """The logical shards of the site's first day, in order: what is found by a hash stays where it is when more come."""

    def server(self, partition: str, shard: int) -> str:
        """The name of the server; `AbsentShard` when there is none."""
        try:
            return self.servers[partition][shard]
        except KeyError:
            raise AbsentShard(f"there is no logical shard {shard}", shard=shard) from None

    def shards(self, partition: str) -> list[int]:
        """The logical shards of a partition, in order."""
        return sorted(self.servers.get(partition, ()))


def from_rows(rows: Iterable[tuple[str, int, str, int, int]]) -> Placement:
    servers: dict[str, dict[int, str]] = {}
    version = 0
    first: set[int] = set()
    for partition, shard, server, row_version, since in rows:
        servers.setdefault(partition, {})[shard] = server
        version = max(version, row_version)
        if since == FIRST_VERSION:
            first.add(shard)
    return Placement(servers, version, tuple(sorted(first)))


async def read(connection: asyncpg.Connection[asyncpg.Record]) -> Placement:
    rows = await connection.fetch(
        "select partition, shard, server, version, since from calotype_control.placement"
    )
    return from_rows((row[0], row[1], row[2], row[3], row[4]) for row in rows)


async def place(
    connection: asyncpg.Connection[asyncpg.Record],
    partitions: Iterable[str],
    shards: Iterable[int],
    servers: list[str],
) -> Placement:
    """Give every logical shard that has no server yet the next one in turn. Shards that have one stay where they are.

    Durable, and pushed to every process, when it returns. All partitions of a shard go to the same server.
    """
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
        await connection.execute(SCHEMA)
        await connection.execute("lock table calotype_control.placement in share row exclusive mode")
        before = await read(connection)
        rows = [
            (partition, shard, servers[shard % len(servers)], before.version + 1)
            for partition in partitions
            for shard in shards
            if shard not in before.servers.get(partition, {})
        ]
        if rows:
            await connection.executemany(
                "insert into calotype_control.placement values ($1, $2, $3, $4, $4)", rows
            )
        return await read(connection)


async def place_on(
    control_dsn: str, partitions: Iterable[str], shards: Iterable[int], servers: list[str]
) -> Placement:
    """`place` on a connection of its own."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(control_dsn, timeout=30)
    try:
        return await place(connection, partitions, list(shards), servers)
    finally:
        await connection.close()


class PlacementListener:
    """Keeps a process's placement up to date for as long as `run` runs."""

    def __init__(self, control_dsn: str, changed: Callable[[Placement], None]) -> None:
        self._dsn = control_dsn
        self._changed = changed

    async def run(self) -> None:
        """Listen until cancelled; reconnects by itself.

        While the control database is away, or holds a map that cannot be used here, the last one stays in force.
        """
        while True:
            try:
                await self._listen()
            except (
                OSError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
            ) as error:
                log.warning("the control database is away, so the placement stays as it is: %s", error)
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> None:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self._dsn, timeout=10)
        told = asyncio.Event()
        try:
            connection.add_termination_listener(lambda *_: told.set())
            async with asyncio.timeout(ANSWER_S):
                await connection.add_listener(CHANNEL, lambda *_: told.set())
            while not connection.is_closed():
                told.clear()
                async with asyncio.timeout(ANSWER_S):
                    placement = await read(connection)
                self._use(placement)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(told.wait(), POLL_S)
        finally:
            connection.terminate()

    def _use(self, placement: Placement) -> None:
        try:
            self._changed(placement)
        except CalotypeError as error:
            log.error("placement %d is not used: %s", placement.version, error)
