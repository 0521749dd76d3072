"""Numbered SQL migrations of physical servers and of the logical shards on them.

`sql/NNNN_name.server.sql` runs once a server, `sql/NNNN_name.shard.sql` once a logical shard with `{schema}` and
`{shard}` filled in. Each file is one transaction together with its row in `calotype_migrations.done`, so an interrupted
run goes on where it stopped and a second run does nothing. Every migration must leave the tables usable by the release
before it and after it (add, backfill, switch, remove: a series of small safe steps), since servers are migrated while
they serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

import asyncpg

from calotype.infra.shards.placement import Placement
from calotype.infra.shards.shards import schema_name
from calotype.std.errors import CalotypeError

SERVER = -1
"""In place of a shard number: the migration is the server's own."""

LOCK_KEY = 0x6D696772  # "migr": one migrator at a time a server

BOOKKEEPING = """
create schema if not exists calotype_migrations;
create table if not exists calotype_migrations.done (
    shard int not null,
    name text not null,
    at timestamptz not null default now(),
    primary key (shard, name)
);
"""

type Connection = asyncpg.Connection[asyncpg.Record]
Progress = Callable[[int, int], None]
"""Called with (done, of all) after each step."""


class MigrationFailed(CalotypeError):
    code = "migration_failed"


@dataclass(frozen=True)
class Step:
    """One file on one target: the server itself or a logical shard of it."""

    name: str
    shard: int
    sql: str


def steps(shards: Iterable[int]) -> list[Step]:
    """All steps for a server that holds these shards, in the order in which they must run."""
    found: list[Step] = []
    shards = sorted(shards)
    files = resources.files("calotype.infra.shards").joinpath("sql").iterdir()
    for file in sorted(files, key=_order):
        name, _, kind = file.name.removesuffix(".sql").partition(".")
        sql = file.read_text()
        if kind == "server":
            found.append(Step(name, SERVER, sql))
        elif kind == "shard":
            found += [Step(name, shard, _filled(sql, shard)) for shard in shards]
    return found


def _filled(sql: str, shard: int) -> str:
    return sql.replace("{schema}", schema_name(shard)).replace("{shard}", str(shard))


def _order(file: Traversable) -> tuple[str, bool]:
    """By number; the server's part of a number before the shards' part, which may build on it."""
    return file.name.split(".")[0], file.name.endswith(".shard.sql")


async def migrate(placement: Placement, servers: Mapping[str, str], progress: Progress) -> int:
    """Bring every server and every logical shard up to date; the number of steps that were still to do."""
    plans = [
        (name, dsn, await _pending(name, dsn, _shards_of(placement, name))) for name, dsn in servers.items()
    ]
    total = sum(len(pending) for _, _, pending in plans)
    done = 0
    for name, dsn, pending in plans:
        if not pending:
            continue
        connection = await _connect(name, dsn)
        try:
            await connection.execute("select pg_advisory_lock($1)", LOCK_KEY)
            for step in pending:
                await _apply(connection, step, name)
                done += 1
                progress(done, total)
        finally:
            await connection.close()
    return total


def _shards_of(placement: Placement, server: str) -> set[int]:
    return {shard for shards in placement.servers.values() for shard, at in shards.items() if at == server}


async def _connect(server: str, dsn: str) -> Connection:
    try:
        return await asyncpg.connect(dsn, timeout=30)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationFailed(f"{server} cannot be reached: {str(error) or type(error).__name__}") from error


async def _pending(server: str, dsn: str, shards: set[int]) -> list[Step]:
    connection = await _connect(server, dsn)
    try:
        # "if not exists" is no lock: two that create the same at once can both find it missing.
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
            await connection.execute(BOOKKEEPING)
        done = {
            (row[0], row[1])
            for row in await connection.fetch("select shard, name from calotype_migrations.done")
        }
    finally:
        await connection.close()
    return [step for step in steps(shards) if (step.shard, step.name) not in done]


async def _apply(connection: Connection, step: Step, server: str) -> None:
    where = server if step.shard == SERVER else f"{schema_name(step.shard)} on {server}"
    try:
        async with connection.transaction():
            row = await connection.fetchrow(
                "insert into calotype_migrations.done values ($1, $2) on conflict do nothing returning shard",
                step.shard,
                step.name,
            )
            if row is None:  # another migrator did it while we waited for the lock
                return
            if step.shard != SERVER:
                await connection.execute(f"create schema if not exists {schema_name(step.shard)}")
            await connection.execute(step.sql)
    except asyncpg.PostgresError as error:
        raise MigrationFailed(
            f"{step.name} failed at {where}: {error}", step=step.name, shard=step.shard
        ) from error
