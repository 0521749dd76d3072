"""Migrations of servers and shards: each step once, in order, whatever interrupts them and whoever else is at it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import asyncpg
import pytest

from calotype.infra.partitions import PARTITIONS
from calotype.infra.shards import migrations
from calotype.infra.shards.migrations import SERVER, MigrationFailed, Step, migrate, steps
from calotype.infra.shards.placement import Placement, place
from tests.site import RunningCluster, Site, kill, restart

numbers = itertools.count()


def together(shards: int, servers: list[str]) -> Placement:
    return Placement(
        {partition: {n: servers[n % len(servers)] for n in range(shards)} for partition in PARTITIONS}
    )


@pytest.fixture
async def empty(clusters: dict[str, RunningCluster]) -> AsyncIterator[dict[str, str]]:
    """Two servers with nothing on them."""
    name = f"empty{next(numbers)}"
    for one in clusters.values():
        connection = await asyncpg.connect(one.cluster.dsn())
        await connection.execute(f"create database {name} strategy file_copy")
        await connection.close()
    yield {server: one.cluster.dsn(name) for server, one in clusters.items()}


async def done(servers: Mapping[str, str]) -> list[tuple[str, int, str]]:
    rows = []
    for server, dsn in servers.items():
        connection = await asyncpg.connect(dsn)
        found = await connection.fetch("select shard, name from calotype_migrations.done order by at, shard")
        rows += [(server, row[0], row[1]) for row in found]
        await connection.close()
    return rows


def silent(done: int, total: int) -> None:
    pass


def test_the_files_are_numbered_without_gaps_and_the_servers_part_comes_first() -> None:
    plan = steps([7, 3])
    numbers = sorted({int(step.name[:4]) for step in plan})
    assert numbers == list(range(1, len(numbers) + 1))
    assert [step.name for step in plan] == sorted(step.name for step in plan)
    for name, group in itertools.groupby(plan, key=lambda step: step.name):
        shards = [step.shard for step in group]
        assert shards in ([SERVER, 3, 7], [3, 7], [SERVER]), name
    assert not any("{schema}" in step.sql or "{shard}" in step.sql for step in plan)


async def test_every_server_and_every_shard_is_migrated_once_with_progress(empty: dict[str, str]) -> None:
    told: list[tuple[int, int]] = []
    placement = together(6, list(empty))
    total = await migrate(placement, empty, lambda n, of: told.append((n, of)))
    assert told == [(n, total) for n in range(1, total + 1)]
    rows = await done(empty)
    assert len(rows) == len(set(rows)) == total
    assert {shard for server, shard, _ in rows if server == "pg-2"} == {SERVER, 1, 3, 5}
    assert await migrate(placement, empty, silent) == 0
    assert await done(empty) == rows


async def test_a_step_that_fails_leaves_those_before_it_done_and_the_next_run_goes_on_there(
    empty: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = migrations.steps

    def with_a_bad_one(shards: set[int]) -> list[Step]:
        bad = "create table s0002.half (n int); select 1 / 0"
        return [
            Step(s.name, s.shard, bad) if (s.name, s.shard) == ("0002_graph", 2) else s for s in real(shards)
        ]

    monkeypatch.setattr(migrations, "steps", with_a_bad_one)
    placement = together(6, list(empty))
    with pytest.raises(
        MigrationFailed, match="0002_graph failed at s0002 on pg-1: division by zero"
    ) as failed:
        await migrate(placement, empty, silent)
    assert failed.value.data == {"step": "0002_graph", "shard": 2}
    before = await done(empty)
    assert ("pg-1", 0, "0002_graph") in before
    assert ("pg-1", 2, "0002_graph") not in before
    connection = await asyncpg.connect(empty["pg-1"])
    assert await connection.fetchval("select to_regclass('s0002.half')") is None
    await connection.close()

    monkeypatch.setattr(migrations, "steps", real)
    left = await migrate(placement, empty, silent)
    assert left == len(await done(empty)) - len(before)
    assert await migrate(placement, empty, silent) == 0


async def test_shards_that_come_later_are_migrated_alone(empty: dict[str, str]) -> None:
    await migrate(together(4, list(empty)), empty, silent)
    before = await done(empty)
    of_shards = {name for _, shard, name in before if shard != SERVER}
    assert await migrate(together(6, list(empty)), empty, silent) == 2 * len(of_shards)
    assert {shard for _, shard, _ in set(await done(empty)) - set(before)} == {4, 5}


async def test_two_migrators_at_once_do_each_step_once(empty: dict[str, str]) -> None:
    placement = together(6, list(empty))
    await asyncio.gather(*(migrate(placement, empty, silent) for _ in range(4)))
    rows = await done(empty)
    assert len(rows) == len(set(rows))
    assert await migrate(placement, empty, silent) == 0


async def test_a_server_that_is_away_is_named(empty: dict[str, str], tmp_path: Path) -> None:
    servers = empty | {"pg-2": f"postgresql://nobody@/none?host={tmp_path}"}
    with pytest.raises(MigrationFailed, match="pg-2 cannot be reached"):
        await migrate(together(2, list(servers)), servers, silent)


@pytest.mark.fault
async def test_a_server_killed_in_the_middle_of_its_migration_is_finished_by_the_next_run(
    own_clusters: Site,
) -> None:
    server = own_clusters.clusters["pg-2"]
    control = await asyncpg.connect(own_clusters.control_dsn)
    placement = await place(control, PARTITIONS, range(16), ["pg-2"])
    await control.close()
    reached: list[int] = []

    def kill_after_five(n: int, total: int) -> None:
        reached.append(n)
        if n == 5:
            server.kill()

    with pytest.raises(
        (MigrationFailed, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    ):
        await migrate(placement, own_clusters.servers, kill_after_five)
    await kill(server)
    await restart(server)
    assert reached == [1, 2, 3, 4, 5]
    assert await migrate(placement, own_clusters.servers, silent) == 3 * 8 - 5
    assert await migrate(placement, own_clusters.servers, silent) == 0
