"""A check of a graph while somebody writes, and entries put wrong by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from calotype.infra.cache import Key
from calotype.infra.invalidation import RegionCache
from calotype.infra.shards import Shards
from calotype.infra.tao import Graph
from calotype.infra.tao.check import shards_by_pool
from calotype.infra.tao.consistency import (
    GraphLog,
    Inconsistency,
    Problem,
    Report,
    Watched,
    check_consistency,
)


def logs_of(shards: Shards) -> dict[str, Watched]:
    return {pool.name: GraphLog(pool, some) for pool, some in shards_by_pool(shards).items()}


async def check(
    graph: Graph,
    meanwhile: Callable[[], Awaitable[None]],
    *,
    scales_s: tuple[float, ...] = (0.1,),
    sample: int = 1_000,
    writing_s: float = 1.0,
) -> Report:
    """What is found while `meanwhile` runs, for `writing_s`, and at each scale after it."""
    cache = region(graph).cache
    before = await slots(graph)
    checking = asyncio.create_task(
        check_consistency(
            logs_of(graph.shards),
            {"a": cache},
            "calotype",
            scales_s=scales_s,
            duration_s=max(scales_s) + writing_s,
            sample=sample,
        )
    )

    async def watched() -> bool:
        return all(held - before[log] for log, held in (await slots(graph)).items())

    while not checking.done() and not await watched():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await meanwhile()
    return await checking


async def slots(graph: Graph) -> dict[str, set[str]]:
    """Of each log those that a watcher holds and of which nothing is missed that is written from now on."""
    ready = "slot_name like 'watch%' and database = current_database() and confirmed_flush_lsn is not null"
    return {
        log: {
            str(row[0])
            for row in await pool.fetch(f"select slot_name from pg_replication_slots where {ready}")
        }
        for log, pool in graph.shards.pools.items()
    }


def region(graph: Graph) -> RegionCache:
    assert graph.cache is not None
    return graph.cache


def space(graph: Graph, shard: int = 0) -> bytes:
    return region(graph).progress.spaces[graph.shards.pool("people", shard).name]


async def entry(graph: Graph, key: Key) -> tuple[bytes, int]:
    return (await region(graph).cache.look_many([key]))[key]


async def put(graph: Graph, key: Key, value: bytes, version: int) -> None:
    """As a fill does, whatever is there."""
    command = b"ms %b %d F%d\r\n%b\r\n" % (key, len(value), version, value)
    await region(graph).cache.servers.one(key, command)


def the(report: Report, problem: Problem, key: Key) -> Inconsistency:
    """The one about this key, from the log if it was chosen at random too. Others are about other entries of the test."""
    found = [one for one in report.inconsistencies if (one.problem, one.key) == (problem, key.decode())]
    return next((one for one in found if one.committed_ms is not None), found[0])
