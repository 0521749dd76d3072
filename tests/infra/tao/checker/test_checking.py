"""The consistency checker beside consumers in operation, and what goes wrong with the check itself."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from calotype.infra.cache import Cache
from calotype.infra.invalidation import Consumer, PublicationMissing, RegionCache
from calotype.infra.tao import Graph, records_of
from calotype.infra.tao.consistency import GraphLog, check_consistency
from calotype.infra.tao.keys import object_key
from tests.infra.tao.checker.checking import check, entry, put, region, space, the
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, Note, Person
from tests.memcached import RunningMemcached

pytestmark = pytest.mark.memcached

_regions = itertools.count(1)


@asynccontextmanager
async def followed(graph: Graph, address: str) -> AsyncIterator[Graph]:
    """The same graph in a region whose logs are followed as they are in operation."""
    name = f"checked{next(_regions)}"
    consumers = [
        Consumer(log, name, pool.dsn, pool.dsn, "calotype", [Cache([address])], records_of)
        for log, pool in graph.shards.pools.items()
    ]
    tasks = [asyncio.create_task(consumer.run()) for consumer in consumers]
    try:
        async with asyncio.timeout(20):
            while not all(consumer.position.applied_lsn for consumer in consumers):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        async with RegionCache(Cache([address]), graph.shards.pools) as cache:
            yield Graph(graph.shards, cache)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_nothing_is_stale_while_people_write_and_read(
    graph: Graph, memcached: RunningMemcached
) -> None:
    people = [(await graph.obj_add(Person(f"p{n}"), shard=n % 4)).id for n in range(8)]
    async with followed(graph, memcached.address) as followed_graph:

        async def person(id_: int) -> None:
            until = time.monotonic() + 2.5
            for n in itertools.count():
                other = people[n % len(people)]
                await followed_graph.obj_update(Person, id_, cats=n)
                await followed_graph.assoc_add(FOLLOWS, id_, other, data=Note(n))
                await followed_graph.obj_get_many(Person, people)
                await followed_graph.assoc_range(FOLLOWED_BY, other, 0, 20)
                await followed_graph.assoc_range(FOLLOWS, id_, 0, 100)
                await followed_graph.assoc_get(FOLLOWS, id_, people)
                await followed_graph.assoc_count_many(FOLLOWED_BY, people)
                await followed_graph.assoc_del(FOLLOWS, id_, other)
                if time.monotonic() > until:
                    return

        async def write() -> None:
            await asyncio.gather(*map(person, people))

        report = await check(followed_graph, write, scales_s=(0.3, 1.0), writing_s=2.5)
    assert report.inconsistencies == []
    assert [scale.after_s for scale in report.scales.values() if scale.checked <= 100] == [], report.scales
    assert report.unfollowed == []


# --- What goes wrong with the check itself ----------------------------------------------------------------------------


async def test_a_log_that_is_cut_off_is_followed_again(graph: Graph) -> None:
    node = await graph.obj_add(Person("p"), shard=0)
    key = object_key(space(graph), node.id)
    pool = graph.shards.pool("people", 0)

    async def write() -> None:
        await pool.fetch(
            "select pg_terminate_backend(pid) from pg_stat_replication where application_name = 'calotype watcher'"
        )
        await graph.obj_get(Person, node.id)
        old = await entry(graph, key)
        for cats in range(20):
            await graph.obj_update(Person, node.id, cats=cats)
            await put(graph, key, *old)
            await asyncio.sleep(0.1)

    report = await check(graph, write, scales_s=(0.2, 1.5))
    found = the(report, "older version", key)
    assert found.committed_ms is not None


async def test_the_slot_ends_with_the_check(graph: Graph) -> None:
    pool = graph.shards.pool("people", 0)

    async def nothing() -> None:
        rows = await pool.fetch("select temporary from pg_replication_slots where slot_name like 'watch%'")
        assert [row[0] for row in rows if row[0]]

    await check(graph, nothing)
    left = (
        "select 1 from pg_replication_slots where slot_name like 'watch%' and database = current_database()"
    )
    async with asyncio.timeout(5):
        while await pool.fetch(left):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_log_that_is_not_published_is_said_not_to_be(graph: Graph) -> None:
    pool = graph.shards.pool("people", 0)
    with pytest.raises(PublicationMissing):
        await check_consistency(
            {pool.name: GraphLog(pool, [])}, {}, "no such publication", scales_s=(0.1,), duration_s=5
        )


async def test_a_region_whose_position_is_not_known_is_named(graph: Graph) -> None:
    pool = graph.shards.pool("people", 0)
    report = await check_consistency(
        {"nobody follows this": GraphLog(pool, [0])},
        {"a": region(graph).cache},
        "calotype",
        scales_s=(0.1,),
        duration_s=0.5,
    )
    assert report.unfollowed == [("a", "nobody follows this")]
    assert report.checked == 0
