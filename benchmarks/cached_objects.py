"""Objects of the graph that are all in memcached, for `calotype bench cache`: no PostgreSQL is asked, so none runs."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from benchmarks.graph import Thing, make_thing
from calotype.infra.cache import Cache, HotKeys, Key
from calotype.infra.ids import compose
from calotype.infra.invalidation import Lsn, Position, RegionCache, encode_position, position_key
from calotype.infra.partitions import PARTITIONS
from calotype.infra.shards import Placement, Shards
from calotype.infra.tao import Graph, Node
from calotype.infra.tao.entries import Missing, Objects
from calotype.infra.tao.types import type_of

SHARDS = 32
SERVER = "nobody"

type Read = Callable[[Sequence[int]], Awaitable[Mapping[int, Node[Thing]]]]


class NeverHot(HotKeys[int, Node[Thing] | Missing]):
    """Counts as the graph does, and keeps nothing: every read goes to memcached."""

    def window(self) -> dict[int, Node[Thing] | Missing]:
        super().window()
        return {}

    def saw(self, window: object, found: Mapping[int, Node[Thing] | Missing]) -> None:
        super().saw({}, found)


async def reader(cache: Cache, amount: int) -> tuple[Read, list[int], list[Key]]:
    """A graph's `obj_get_many` of things, their ids, and the keys of their entries."""
    shards = Shards("", {SERVER: ""})
    shards.use(Placement({partition: dict.fromkeys(range(SHARDS), SERVER) for partition in PARTITIONS}))
    position = Position("bench", Lsn(0), 0)
    assert await cache.set_everywhere(position_key(SERVER), encode_position(position))
    region = RegionCache(cache, [SERVER])
    await region.progress.refresh()
    graph = Graph(shards, region)
    family = Objects(type_of(Thing))
    family.hot = NeverHot()
    graph._reader._objects[type_of(Thing).number] = family
    ids = [compose(1_000_000 + n, n % SHARDS, 0) for n in range(amount)]
    keys = list(map(family.keys(region.progress.spaces[SERVER]), ids))
    await _fill(cache, family, ids, keys)

    async def read(some: Sequence[int]) -> Mapping[int, Node[Thing]]:
        return await graph.obj_get_many(Thing, some)

    return read, ids, keys


async def _fill(cache: Cache, family: Objects[Thing], ids: Sequence[int], keys: Sequence[Key]) -> None:
    chance = random.Random(3)
    now = time.time_ns() // 1_000_000
    leases = (await cache.lease_many(keys)).won
    for n, (id_, key) in enumerate(zip(ids, keys, strict=True)):
        entry = family.encode(id_, Node(id_, 1, now, now, make_thing(n, chance)))
        assert entry is not None
        cache.fill(key, leases[key], *entry)
    assert len((await cache.lease_many(keys)).hits) == len(keys)
