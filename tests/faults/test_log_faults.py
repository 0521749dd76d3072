"""Consumers and PostgreSQL servers that die while people write, and a slot that is lost: nothing stale stays.

Much of what is written here is deleted by nobody but the consumers: its writer has no cache.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from calotype.infra.invalidation.slots import connect
from calotype.infra.shards import Shards
from calotype.infra.tao import Graph
from calotype.std.errors import Unavailable
from tests.faults.aftermath import DEATH_S, all_is_well, settled
from tests.faults.people import crowd, new_things
from tests.faults.world import Invalidator, Region, running_region
from tests.memcached import RunningMemcached
from tests.site import NOT_DURABLE, RunningCluster, Site, create_site, running

pytestmark = [pytest.mark.fault, pytest.mark.memcached]

SEED = 1_835


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
async def test_consumers_killed_at_any_moment_and_started_again(
    faulty_site: Site, primary: Graph, short_directory: Path, seed: int
) -> None:
    dice = random.Random(seed)
    things, said = await new_things(primary)
    async with running_region(faulty_site, short_directory, memcached=2) as region:
        generations = await generations_of(region)
        people = crowd(things, said, seed, writers=[primary], readers=region.workers)
        async with people.at_work():
            for _ in range(5):
                await asyncio.sleep(dice.uniform(0.0, 0.8))
                victim = region.consumers[dice.choice(list(region.logs))]
                victim.kill()
                await asyncio.sleep(dice.choice((0.0, 0.3)))
                victim.start()
        await all_is_well(people, primary, region, shown_within_s=DEATH_S)
        assert await generations_of(region) == generations


async def test_consumers_and_memcached_killed_together(
    faulty_site: Site, primary: Graph, short_directory: Path
) -> None:
    dice = random.Random(SEED)
    things, said = await new_things(primary)
    async with running_region(faulty_site, short_directory, memcached=2, gutter=1) as region:
        people = crowd(things, said, SEED, writers=[primary, *region.workers], readers=region.workers)
        async with people.at_work():
            for _ in range(3):
                await asyncio.sleep(dice.uniform(0.2, 0.6))
                dying: list[Invalidator | RunningMemcached]
                dying = [*region.consumers.values(), dice.choice(region.memcached)]
                dice.shuffle(dying)
                for each in dying:
                    each.kill()
                    await asyncio.sleep(dice.uniform(0.0, 0.1))
                dice.shuffle(dying)
                for each in dying:
                    await asyncio.to_thread(each.start)
        await all_is_well(people, primary, region, shown_within_s=DEATH_S)


async def test_walsenders_ended_again_and_again(
    faulty_site: Site, primary: Graph, short_directory: Path
) -> None:
    dice = random.Random(SEED)
    things, said = await new_things(primary)
    async with running_region(faulty_site, short_directory, memcached=2) as region:
        people = crowd(things, said, SEED, writers=[primary], readers=region.workers)
        ended = 0
        async with people.at_work():
            for _ in range(12):
                await asyncio.sleep(dice.uniform(0.0, 0.4))
                ended += await end_walsender(region, dice.choice(list(region.logs)))
        assert ended > 5
        await all_is_well(people, primary, region)


async def end_walsender(region: Region, log: str) -> int:
    """Whether there was one."""
    async with await connect(region.logs[log]) as database:
        found = await database.execute(
            "select count(pg_terminate_backend(active_pid)) from pg_replication_slots"
            " where starts_with(slot_name, %s) and active",
            (f"calotype_{region.name}_",),
        )
        ((count,),) = await found.fetchall()
        return int(str(count))


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
async def test_postgresql_restarted_in_immediate_mode(
    faulty_site: Site, primary: Graph, short_directory: Path, seed: int
) -> None:
    dice = random.Random(seed)
    things, said = await new_things(primary)
    async with running_region(faulty_site, short_directory, memcached=2) as region:
        generations = await generations_of(region)
        people = crowd(
            things,
            said,
            seed,
            writers=[primary, *region.workers],
            readers=region.workers,
            members_may_see=(Unavailable,),
            visitors_may_see=(Unavailable,),
        )
        async with people.at_work():
            for _ in range(2):
                await asyncio.sleep(dice.uniform(0.2, 0.6))
                server = faulty_site.clusters[dice.choice(["pg-1", "pg-2"])]
                await asyncio.to_thread(server.stop)
                await asyncio.sleep(dice.uniform(0.0, 0.3))
                await asyncio.to_thread(server.start)
                await settled(primary)
            await asyncio.sleep(0.3)
        await all_is_well(people, primary, region)
        assert await generations_of(region) == generations


async def generations_of(region: Region) -> dict[str, str]:
    return {log: position.generation for log, position in (await region.positions()).items()}


@pytest.fixture
async def forgetful_site(short_directory: Path) -> AsyncIterator[Site]:
    """Its servers keep 1 MB of log for a slot."""
    root = Path(tempfile.mkdtemp(dir=short_directory))
    with running(root, NOT_DURABLE | {"max_slot_wal_keep_size": "1MB"}) as started:
        yield await create_site(started, shards=8)


async def test_a_slot_that_is_lost_is_a_new_generation_and_what_was_kept_is_not_shown(
    forgetful_site: Site, short_directory: Path
) -> None:
    async with (
        Shards(forgetful_site.control_dsn, forgetful_site.servers) as shards,
        running_region(forgetful_site, short_directory, memcached=2) as region,
    ):
        primary = Graph(shards)
        things, said = await new_things(primary)
        before = await generations_of(region)
        people = crowd(things, said, SEED, writers=[primary], readers=region.workers)
        async with people.at_work():
            await asyncio.sleep(0.5)
            for consumer in region.consumers.values():
                consumer.kill()
            await asyncio.sleep(0.5)
            for server in forgetful_site.clusters.values():
                await write_more_than_a_slot_keeps(server)
            await asyncio.sleep(0.2)
            for consumer in region.consumers.values():
                consumer.start()
            await until_all_differ(region, before)
            await asyncio.sleep(0.3)
        await all_is_well(people, primary, region, shown_within_s=DEATH_S)


async def write_more_than_a_slot_keeps(server: RunningCluster) -> None:
    async with await connect(server.cluster.dsn()) as database:
        for _ in range(3):
            await database.execute("select pg_logical_emit_message(false, 'x', 'x', true), pg_switch_wal()")
        await database.execute("checkpoint")
        found = await database.execute("select wal_status from pg_replication_slots")
        assert {row[0] for row in await found.fetchall()} == {"lost"}


async def until_all_differ(region: Region, before: dict[str, str]) -> None:
    async with asyncio.timeout(10):
        while set((await generations_of(region)).items()) & set(before.items()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
