"""memcached servers that are killed, frozen and replaced under load: no error, no wait, nothing stale."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from calotype.infra.cache import GUTTER_S
from calotype.infra.shards import Shards
from calotype.infra.tao import Graph
from tests.faults.aftermath import all_is_well
from tests.faults.comparison import lifetimes
from tests.faults.link import Link, far_cluster
from tests.faults.people import DEADLINE_S, crowd, new_things
from tests.faults.world import Region, running_region
from tests.site import Site

pytestmark = [pytest.mark.fault, pytest.mark.memcached]

SEED = 1_609
LATE_S = 0.04


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
            asked = gutter_reads(region)
            await asyncio.sleep(0.3)
            assert gutter_reads(region) == asked
        await all_is_well(people, primary, region)


def gutter_reads(region: Region) -> int:
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


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
async def test_an_answer_that_comes_late_is_not_kept(
    faulty_site: Site, primary: Graph, short_directory: Path, seed: int
) -> None:
    """The row was changed and its delete done while it was on its way to those who read it."""
    dice = random.Random(seed)
    things, said = await new_things(primary)
    async with (
        running_region(faulty_site, short_directory, memcached=2, workers=0) as region,
        AsyncExitStack() as stack,
    ):
        servers: dict[str, str] = {}
        links: list[Link] = []
        for name, one in faulty_site.clusters.items():
            far, link = far_cluster(one.cluster, region.data / name)
            servers[name] = far.dsn("shards")
            links.append(await stack.enter_async_context(link))
            link.late_s = lambda: dice.uniform(0, LATE_S)
        shards = await stack.enter_async_context(Shards(faulty_site.control_dsn, servers))
        region.workers += [await region.worker(stack, shards=shards) for _ in range(3)]
        people = crowd(things, said, seed, writers=[primary], readers=region.workers, visitors=8)
        async with people.at_work():
            await asyncio.sleep(4)
        for link in links:
            link.late_s = None
        await all_is_well(people, primary, region)
