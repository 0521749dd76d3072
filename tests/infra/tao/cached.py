"""A region for tests of the graph over a cache: its own keys on the shared memcached, positions published by the test."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from calotype.infra.cache import Cache
from calotype.infra.invalidation import Lsn, Position, RegionCache, encode_position, position_key
from calotype.infra.invalidation.slots import base36
from calotype.infra.shards import Pool, Shards
from calotype.infra.tao import Graph

_generations = itertools.count(int(time.time() * 1000))


async def publish_new_generation(cache: Cache, logs: Iterable[str]) -> None:
    """What a consumer with a new slot says of each log."""
    generation = base36(next(_generations))
    for log in logs:
        position = Position(generation, Lsn(0), 0)
        assert await cache.set_everywhere(position_key(log), encode_position(position))


@asynccontextmanager
async def cached_graph(shards: Shards, address: str) -> AsyncIterator[Graph]:
    """A graph like a worker's, with nothing in its cache."""
    cache = Cache([address])
    await publish_new_generation(cache, shards.pools)
    async with RegionCache(cache, shards.pools) as region:
        yield Graph(shards, region)


@contextmanager
def counted(shards: Shards) -> Iterator[list[str]]:
    """The statements that are sent to any server inside the block."""
    seen: list[str] = []
    for pool in shards.pools.values():
        _watch(pool, seen)
    try:
        yield seen
    finally:
        for pool in shards.pools.values():
            del pool.__dict__["run_on"]


def _watch(pool: Pool, seen: list[str]) -> None:
    run = pool.run_on

    async def watched(connection: object, sql: str, *arguments: object) -> list[asyncpg.Record]:
        seen.append(f"{pool.name}: {' '.join(sql.split())}")
        return await run(connection, sql, *arguments)  # type: ignore[arg-type]  # whatever it was called with

    pool.__dict__["run_on"] = watched
