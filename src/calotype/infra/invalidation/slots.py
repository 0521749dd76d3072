"""The logical replication slot of a region on the database that the region fills its cache from.

A slot is the one durable thing of a consumer: it remembers what has been acknowledged, and its name tells the
generation of the keys that it keeps fresh. Where a slot is lost so are deletes; the new one has a new generation, which
outdates every key of the old one.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import psycopg

from calotype.infra.invalidation.positions import Lsn
from calotype.std.errors import Unavailable

PLUGIN = "pgoutput"
NAME_LIMIT = 63
"""Of any name in PostgreSQL."""

SNAPSHOT_INTERVAL_S = 0.1
"""How often the primary logs a snapshot while a slot is made on its standby, which cannot begin without one."""

LOCK_KEY = 0x736C6F74  # "slot": one consumer at a time looks after the slots of a database

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_REGION = re.compile(r"[a-z0-9_]{1,40}").fullmatch
_GENERATION = re.compile(r"[0-9a-z]{1,13}").fullmatch
assert len("calotype__") + 40 + 13 <= NAME_LIMIT, "the longest name is a name"

# `conflicting` came with PostgreSQL 16, `invalidation_reason` with 17.
_FIND = """
select slot_name, pg_wal_lsn_diff(coalesce(confirmed_flush_lsn, '0/0'), '0/0')::bigint, active,
    case when wal_status = 'lost' then coalesce(to_jsonb(s) ->> 'invalidation_reason', 'its log has been removed')
        when (to_jsonb(s) ->> 'conflicting')::boolean then coalesce(to_jsonb(s) ->> 'invalidation_reason', 'conflict')
        else to_jsonb(s) ->> 'invalidation_reason' end
from pg_replication_slots s
where database = current_database() and plugin = %s and starts_with(slot_name, %s)
"""
_LAG = """
select pg_wal_lsn_diff(
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, confirmed_flush_lsn
)::bigint from pg_replication_slots where slot_name = %s
"""

type Database = psycopg.AsyncConnection[tuple[object, ...]]
"""A connection in autocommit, to the database whose log is followed."""


class PublicationMissing(Unavailable):
    """The database has no such publication yet: its migrations have not run."""

    code = "publication_missing"


@dataclass(frozen=True)
class Slot:
    """`confirmed`: all that was committed before it is applied. `lost`: why it can no longer be read, else None."""

    name: str
    generation: str
    confirmed: Lsn
    active: bool
    lost: str | None


def slot_prefix(region: str) -> str:
    """Raises `ValueError` for a region that PostgreSQL could not have in the name of a slot."""
    if not _REGION(region):
        raise ValueError(f"a region's name has 1 to 40 of a-z, 0-9 and _, not {region!r}")
    return f"calotype_{region}_"


def base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


async def connect(dsn: str) -> Database:
    return await psycopg.AsyncConnection.connect(
        dsn,
        autocommit=True,
        application_name="calotype invalidator",
        connect_timeout=5,
        tcp_user_timeout=10_000,
    )


async def find_slots(database: Database, region: str) -> list[Slot]:
    """The slots of a region on this database, newest first. Normally one."""
    prefix = slot_prefix(region)
    rows = await (await database.execute(_FIND, (PLUGIN, prefix))).fetchall()
    slots = [
        Slot(
            str(name), generation, Lsn(int(str(confirmed))), bool(active), None if lost is None else str(lost)
        )
        for name, confirmed, active, lost in rows
        if _GENERATION(
            generation := str(name).removeprefix(prefix)
        )  # not of a region whose name begins alike
    ]
    return sorted(slots, key=lambda slot: int(slot.generation, 36), reverse=True)


async def create_slot(database: Database, region: str, primary_dsn: str, newer_than: str = "0") -> Slot:
    """A new slot with a new generation, above `newer_than` even if the clock has stepped back.

    On the primary this waits for the transactions that are under way to end. On a standby it waits for the primary to
    log a snapshot, which the primary is asked for meanwhile.
    """
    at = max(time.time_ns() // 1_000_000, int(newer_than, 36) + 1)
    while True:
        name = slot_prefix(region) + base36(at)
        try:
            async with _snapshots(database, primary_dsn):
                await database.execute("select pg_create_logical_replication_slot(%s, %s)", (name, PLUGIN))
        except (
            psycopg.errors.DuplicateObject
        ):  # of another database of this cluster, made in the same millisecond
            at += 1
            continue
        return next(slot for slot in await find_slots(database, region) if slot.name == name)


@asynccontextmanager
async def _snapshots(database: Database, primary_dsn: str) -> AsyncIterator[None]:
    if not await in_recovery(database):
        yield
        return
    async with await connect(primary_dsn) as primary:
        task = asyncio.create_task(_log_snapshots(primary))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, psycopg.Error):
                await task


async def _log_snapshots(primary: Database) -> None:
    while True:
        await primary.execute("select pg_log_standby_snapshot()")
        await asyncio.sleep(SNAPSHOT_INTERVAL_S)


async def in_recovery(database: Database) -> bool:
    """Whether this is a standby."""
    row = await (await database.execute("select pg_is_in_recovery()")).fetchone()
    return row is not None and bool(row[0])


async def drop_slot(database: Database, slot: Slot) -> bool:
    """Drop it unless somebody is reading it; whether it is gone."""
    try:
        await database.execute("select pg_drop_replication_slot(%s)", (slot.name,))
    except psycopg.errors.ObjectInUse:
        return False
    except psycopg.errors.UndefinedObject:
        return True
    return True


async def ensure_slot(
    database: Database, region: str, primary_dsn: str, publication: str, *, fresh: bool = False
) -> tuple[Slot, bool]:
    """The region's slot, and whether it is new: made when there is none, when it is lost, or when `fresh` is asked for.

    Raises `PublicationMissing`, and `psycopg.Error` when the database goes away.
    """
    await _require(database, publication)
    await database.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))
    try:
        found = await find_slots(database, region)
        if found and found[0].lost is None and not fresh:
            return found[0], False
        newest = found[0].generation if found else "0"
        return await create_slot(database, region, primary_dsn, newest), True
    finally:
        with suppress(psycopg.Error):
            await database.execute("select pg_advisory_unlock(%s)", (LOCK_KEY,))


async def drop_older_slots(database: Database, region: str, than: Slot) -> int:
    """Drop what came before, lest it keeps the log for nobody; how many. For after the new generation is published."""
    older = [
        slot
        for slot in await find_slots(database, region)
        if int(slot.generation, 36) < int(than.generation, 36)
    ]
    return sum([await drop_slot(database, slot) for slot in older])


async def _require(database: Database, publication: str) -> None:
    """A change that is decoded without its publication fails for good, so the slot must be the younger of the two."""
    found = await database.execute("select 1 from pg_publication where pubname = %s", (publication,))
    if await found.fetchone() is None:
        raise publication_missing(database, publication)


def publication_missing(database: Database, publication: str) -> PublicationMissing:
    return PublicationMissing(
        f"the database {database.info.dbname} has no publication {publication!r}: its migrations have not run"
    )


async def lag_bytes(database: Database, slot: Slot) -> int | None:
    """Bytes of log that this database has and the slot has not acknowledged; None when the slot is gone."""
    row = await (await database.execute(_LAG, (slot.name,))).fetchone()
    return None if row is None or row[0] is None else max(int(str(row[0])), 0)
