"""The memcached servers of a region change while it is in use, in the three steps of docs/cache.md."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from calotype.infra.cache import Cache
from calotype.infra.tao import Graph
from tests.faults.aftermath import all_is_well
from tests.faults.comparison import compare
from tests.faults.people import crowd, new_things
from tests.faults.world import running_region
from tests.site import Site

pytestmark = [pytest.mark.fault, pytest.mark.memcached]

SEED = 2_003


async def test_consumers_delete_on_both_sets_then_workers_switch_then_the_old_set_is_dropped(
    faulty_site: Site, primary: Graph, short_directory: Path
) -> None:
    things, said = await new_things(primary)
    async with (
        AsyncExitStack() as stack,
        running_region(faulty_site, short_directory, memcached=2, spare=1, workers=3) as region,
    ):
        old = [each.address for each in region.memcached]
        new = [old[1], region.spare[0].address]
        writers = [*region.workers, primary]
        people = crowd(things, said, SEED, writers=writers, readers=region.workers)
        async with people.at_work():
            await asyncio.sleep(0.5)
            await region.restart_consumers(new, [tuple(old)])
            for at in range(3):
                await asyncio.sleep(0.3)
                region.workers[at] = writers[at] = await region.worker(stack, new)
            await asyncio.sleep(0.3)
        await all_is_well(people, primary, region)
        before, region.cache = region.cache, Cache(new)
        stack.push_async_callback(before.close)
        for cache in (before, region.cache):
            found = await compare(region, primary.shards, things, cache)
            assert found.stale == []
            assert found.entries > len(things.people)

        async with people.at_work():
            await asyncio.sleep(0.2)
            await region.restart_consumers(new)
            await asyncio.sleep(0.3)
        await all_is_well(people, primary, region)
