"""Many readers of one key that the cache does not have: the database is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from calotype.infra.shards.tickets import carrying
from calotype.infra.tao import Graph
from calotype.std.deadline import deadline
from tests.faults.people import DEADLINE_S
from tests.faults.world import Region, running_region
from tests.infra.tao.cached import counted
from tests.infra.tao.world import FOLLOWS, Person
from tests.site import Site

pytestmark = [pytest.mark.fault, pytest.mark.memcached]

READERS = 200

type Read = Callable[[Graph, int], Awaitable[object]]


@pytest.fixture(scope="module")
async def region(faulty_site: Site, short_directory: Path) -> AsyncIterator[Region]:
    async with running_region(faulty_site, short_directory, memcached=2, workers=8) as made:
        yield made


async def an_object(worker: Graph, id_: int) -> object:
    return await worker.obj_get(Person, id_)


async def a_list(worker: Graph, id_: int) -> object:
    return await worker.assoc_range(FOLLOWS, id_, 0, 3)


@pytest.mark.parametrize("read", [an_object, a_list])
@pytest.mark.parametrize("workers", [1, 8])
async def test_200_readers_of_a_cold_key_read_the_database_once(
    region: Region, primary: Graph, read: Read, workers: int
) -> None:
    """And once more when the log has outdated it: whoever does not fill it takes what it was a moment ago."""
    one, other = await primary.obj_add_many(Person, [(0, Person("hot")), (0, Person("fan"))])
    await primary.assoc_add(FOLLOWS, one.id, other.id)
    await region.caught_up()
    first = await read_at_once(region, read, one.id, workers)
    await primary.obj_update(Person, one.id, cats=1)
    await primary.assoc_del(FOLLOWS, one.id, other.id)
    await region.caught_up()
    await asyncio.sleep(1)  # a worker keeps what is hot so long
    await read_at_once(region, read, one.id, workers)
    assert await read(region.workers[0], one.id) != first


async def read_at_once(region: Region, read: Read, id_: int, workers: int) -> object:
    """What the last of them was told."""

    async def ask(worker: Graph) -> object:
        with carrying({}), deadline(DEADLINE_S):
            return await read(worker, id_)

    for pool in region.shards.pools.values():
        assert await pool.healthy()  # and has a connection ready
    with counted(region.shards) as statements:
        answers = await asyncio.gather(*(ask(region.workers[n % workers]) for n in range(READERS)))
    assert len(statements) == 1
    return answers[-1]
