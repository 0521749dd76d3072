"""What carries the deletes dies: consumers, walsenders, PostgreSQL, the slot itself. Writers here delete nothing themselves."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import asyncpg
import pytest

from calotype.std.errors import Unavailable
from tests.faults.regions import Traffic, World, settled, world
from tests.site import NOT_DURABLE, kill, restart

pytestmark = [pytest.mark.fault, pytest.mark.memcached, pytest.mark.timeout(180)]

SEED = 20_222


async def on_each_server(one: World, statement: str) -> None:
    for dsn in one.site.servers.values():
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
async def test_consumers_killed_at_random_points_leave_nothing_stale(
    short_directory: Path, seed: int
) -> None:
    dice = random.Random(seed)
    async with world(short_directory) as one, one.worker() as first, one.worker(cached=False) as silent:
        async with Traffic([first], [silent], seed) as traffic:
            for _ in range(6):
                victim = dice.choice(list(one.consumers.values()))
                await asyncio.sleep(dice.uniform(0.0, 0.6))
                await asyncio.to_thread(victim.kill)
                await asyncio.sleep(dice.uniform(0.0, 0.2))
                victim.start()
        assert traffic.missed == []
        assert traffic.failures == 0
        await settled(one, traffic, [first])


async def test_killed_walsenders_leave_nothing_stale(short_directory: Path) -> None:
    dice = random.Random(SEED)
    async with world(short_directory) as one, one.worker() as first, one.worker(cached=False) as silent:
        async with Traffic([first], [silent], SEED) as traffic:
            for _ in range(8):
                await asyncio.sleep(dice.uniform(0.0, 0.4))
                await on_each_server(one, "select pg_terminate_backend(pid) from pg_stat_replication")
        assert traffic.missed == []
        assert traffic.failures == 0
        await settled(one, traffic, [first])


async def test_postgresql_restarted_in_immediate_mode_under_load(short_directory: Path) -> None:
    dice = random.Random(SEED)
    async with (
        world(short_directory, settings={}) as one,
        one.worker() as first,
        one.worker(cached=False) as silent,
    ):
        async with Traffic([first], [silent, first], SEED, tolerated=(Unavailable,)) as traffic:
            for name in ("pg-1", "pg-2", "pg-1"):
                await asyncio.sleep(dice.uniform(0.2, 0.6))
                await kill(one.site.clusters[name])
                await restart(one.site.clusters[name])
            await asyncio.sleep(2)
        assert traffic.missed == []
        await settled(one, traffic, [first])


async def test_a_lost_slot_outdates_everything_at_once(short_directory: Path) -> None:
    """Nobody followed the log for longer than it is kept: what was deleted meanwhile cannot be told any more."""
    forgetful = NOT_DURABLE | {"max_slot_wal_keep_size": "1MB", "wal_keep_size": "0", "max_wal_size": "32MB"}
    async with (
        world(short_directory, settings=forgetful) as one,
        one.worker() as first,
        one.worker(cached=False) as silent,
    ):
        async with Traffic([first], [silent], SEED) as traffic:
            assert first.cache is not None
            before = dict(first.cache.progress.spaces)
            for consumer in one.consumers.values():
                await asyncio.to_thread(consumer.kill)
            for _ in range(3):
                await on_each_server(
                    one, "select pg_logical_emit_message(false, 'x', 'x', true), pg_switch_wal()"
                )
            await on_each_server(one, "checkpoint")
            await asyncio.sleep(1)
            for consumer in one.consumers.values():
                consumer.start()
        assert traffic.missed == []
        assert traffic.failures == 0
        await settled(one, traffic, [first])
        assert set(before.values()).isdisjoint(first.cache.progress.spaces.values())
