"""A worker that alone does not reach a memcached server: what it keeps in the gutter meanwhile nobody deletes."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from calotype.infra.cache import Cache
from calotype.infra.invalidation import key_space
from calotype.infra.shards.tickets import carrying
from calotype.infra.tao import Graph
from calotype.infra.tao.keys import object_key
from calotype.std.deadline import deadline
from tests.faults.link import Link
from tests.faults.people import DEADLINE_S
from tests.faults.world import Region, running_region
from tests.infra.tao.world import Person
from tests.site import Site

pytestmark = [pytest.mark.fault, pytest.mark.memcached]


async def test_the_gutter_shows_nobody_less_than_they_wrote(
    faulty_site: Site, primary: Graph, short_directory: Path
) -> None:
    async with (
        running_region(faulty_site, short_directory, memcached=2, gutter=1) as region,
        AsyncExitStack() as stack,
    ):
        first, second = (Path(each.address) for each in region.memcached)
        link = await stack.enter_async_context(Link(region.data / "link.sock", first))
        cut_off = await region.worker(stack, [str(link.path), str(second)])
        assert cut_off.cache is not None
        id_ = await object_on_the_first(region, primary, cut_off.cache.cache)
        link.cut()
        for _ in range(2):  # the first one finds out, the second one fills
            assert await cats(cut_off, id_) == 0

        with carrying({}) as tickets:
            await region.workers[0].obj_update(Person, id_, cats=7)
            issued = await tickets.issue()
        await region.caught_up()
        await cut_off.cache.progress.refresh()
        assert await cats(cut_off, id_) == 0  # for GUTTER_S at most
        assert await cats(cut_off, id_, issued) == 7


async def cats(worker: Graph, id_: int, held: dict[str, int] | None = None) -> int:
    with carrying(held or {}), deadline(DEADLINE_S):
        node = await worker.obj_get(Person, id_)
    assert node is not None
    return node.data.cats


async def object_on_the_first(region: Region, primary: Graph, cut_off: Cache) -> int:
    """One whose key is the first server's, under whichever name."""
    position = (await region.positions())["pg-1"]
    space = key_space("pg-1", position.generation).encode()
    while True:
        node = await primary.obj_add(Person("p"), shard=0)
        key = object_key(space, node.id)
        if all(c.servers.server(key) is c.servers.servers[0] for c in (region.cache, cut_off)):
            return node.id
