"""memcached servers that are killed, frozen and replaced under load: no error, no wait, nothing stale."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from calotype.infra.tao import Graph
from tests.faults.aftermath import all_is_well
from tests.faults.people import crowd, new_things
from tests.faults.world import running_region
from tests.site import Site

pytestmark = [pytest.mark.fault, pytest.mark.memcached]

SEED = 1_609


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
async def test_memcached_killed_and_empty_again_and_again(
    faulty_site: Site, primary: Graph, short_directory: Path, seed: int
) -> None:
    dice = random.Random(seed)
    things, said = await new_things(primary)
    async with running_region(faulty_site, short_directory, memcached=2) as region:
        people = crowd(things, said, seed, writers=[*region.workers, primary], readers=region.workers)
        async with people.at_work():
            for _ in range(5):
                await asyncio.sleep(dice.uniform(0.1, 0.5))
                victim = dice.choice(region.memcached)
                await asyncio.to_thread(victim.kill)
                await asyncio.sleep(dice.choice((0.0, 0.0, 0.3)))
                await asyncio.to_thread(victim.start)
            await asyncio.sleep(0.3)
        await all_is_well(people, primary, region)


async def test_one_of_three_memcached_servers_gone_is_stood_in_for_by_the_gutter(
    faulty_site: Site, primary: Graph, short_directory: Path
) -> None:
    things, said = await new_things(primary)
    async with running_region(faulty_site, short_directory, memcached=3, gutter=1) as region:
        people = crowd(things, said, SEED, writers=[*region.workers, primary], readers=region.workers)
        gutter = [each.address for each in region.gutter]
        victim = region.memcached[SEED % 3]
        async with people.at_work():
            await asyncio.sleep(0.3)
            assert await lifetimes(gutter) == []
            await asyncio.to_thread(victim.kill)
            for _ in range(10):
                await asyncio.sleep(0.15)
                kept = await lifetimes(gutter)
                assert all(0 <= end <= time.time() + GUTTER_S + 1 for end in kept)  # it counts whole seconds
            assert kept
            await asyncio.to_thread(victim.start)
            await asyncio.sleep(1.5)  # by then everybody has found it again
            asked = await gutter_reads(region)
            await asyncio.sleep(0.3)
            assert await gutter_reads(region) == asked
        await all_is_well(people, primary, region)


async def gutter_reads(region: Region) -> int:
    return sum(worker.cache.cache.metrics.gutter for worker in region.workers if worker.cache is not None)


@pytest.mark.parametrize("gutter", [0, 1])
async def test_a_frozen_memcached_makes_nobody_wait_and_shows_nothing_stale_when_it_is_thawed(
    faulty_site: Site, primary: Graph, short_directory: Path, gutter: int
) -> None:
    dice = random.Random(SEED + gutter)
    things, said = await new_things(primary)
    async with running_region(faulty_site, short_directory, memcached=3, gutter=gutter) as region:
        people = crowd(things, said, SEED, writers=[*region.workers, primary], readers=region.workers)
        async with people.at_work():
            for _ in range(3):
                await asyncio.sleep(dice.uniform(0.2, 0.5))
                victim = dice.choice(region.memcached)
                victim.freeze()
                await asyncio.sleep(dice.uniform(0.3, 1.2))
                victim.thaw()
        for requests in people.requests:
            assert requests.slowest_s < DEADLINE_S / 2
        await all_is_well(people, primary, region)


async def test_everything_frozen_is_a_site_without_a_cache(
    faulty_site: Site, primary: Graph, short_directory: Path
) -> None:
    things, said = await new_things(primary)
    async with running_region(faulty_site, short_directory, memcached=2, gutter=1) as region:
        people = crowd(things, said, SEED, writers=[*region.workers, primary], readers=region.workers)
        async with people.at_work():
            await asyncio.sleep(0.3)
            for each in (*region.memcached, *region.gutter):
                each.freeze()
            await asyncio.sleep(1.5)
            for each in (*region.memcached, *region.gutter):
                each.thaw()
            await asyncio.sleep(0.5)
        for requests in people.requests:
            assert requests.slowest_s < DEADLINE_S / 2
        await all_is_well(people, primary, region)


@pytest.mark.parametrize("how", ["an object", "a list"])
async def test_200_readers_of_a_cold_key_read_the_database_once(
    faulty_site: Site, primary: Graph, short_directory: Path, how: str
) -> None:
    async with running_region(faulty_site, short_directory, memcached=2, workers=8) as region:
        (node, other) = await primary.obj_add_many(Person, [(0, Person("hot")), (0, Person("fan"))])
        await primary.assoc_add(FOLLOWS, node.id, other.id)
        await region.caught_up()

        async def read(worker: Graph) -> object:
            with carrying({}), deadline(DEADLINE_S):
                if how == "an object":
                    return await worker.obj_get(Person, node.id)
                return await worker.assoc_range(FOLLOWS, node.id, 0, 3)

        warm = region.workers[0]
        await asyncio.gather(*(warm.obj_get(Person, other.id) for _ in range(3)))
        for readers in ([warm] * 200, region.workers * 25):
            with counted(region.shards) as statements:
                answers = await asyncio.gather(*(read(worker) for worker in readers))
            assert len(statements) == 1
            assert all(answer == answers[0] and answer for answer in answers)
            await forgotten(region, node.id, other.id, primary)


async def forgotten(region: Region, one: int, other: int, primary: Graph) -> None:
    """What is kept of them has been removed, by everybody."""
    for worker in region.workers:
        await worker.obj_update(Person, one, cats=1)
        await worker.assoc_add(FOLLOWS, one, other, time=random.Random(SEED).randrange(1 << 30))
    await region.caught_up()
    await asyncio.sleep(KEPT_S)


async def test_the_set_of_servers_changes_in_three_steps(
    faulty_site: Site, primary: Graph, short_directory: Path
) -> None:
    """Consumers delete on the old and the new owners, then workers switch, then consumers drop the old."""
    things, said = await new_things(primary)
    async with running_region(faulty_site, short_directory, memcached=3) as region, AsyncExitStack() as stack:
        one, two, three = (each.address for each in region.memcached)
        old, new = (one, two), (two, three)
        region.cache.servers = ServerSet(old, 1)
