"""The consistency checker over real logs and a real memcached: what it reports, and what it does not."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from calotype.infra.cache import Cache, Key
from calotype.infra.invalidation import (
    Consumer,
    PublicationMissing,
    RegionCache,
)
from calotype.infra.shards import Shards
from calotype.infra.tao import Edge, Graph, records_of
from calotype.infra.tao.check import shards_by_pool
from calotype.infra.tao.consistency import (
    GONE,
    GraphLog,
    Inconsistency,
    Problem,
    Report,
    Watched,
    check_consistency,
)
from calotype.infra.tao.consistency.kinds import COMPARED
from calotype.infra.tao.keys import edge_key, list_key, long_list_key, object_key
from calotype.infra.tao.prefix import Prefix
from tests.conftest import NewSite
from tests.infra.tao.cached import cached_graph
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, MUTES, Note, Person
from tests.memcached import RunningMemcached, running_memcached
from tests.site import Site

pytestmark = pytest.mark.memcached

_regions = itertools.count(1)


@pytest.fixture(scope="module")
async def shards(new_site: NewSite) -> AsyncIterator[Shards]:
    """Of a site that nobody else writes to."""
    site: Site = await new_site("together")
    async with Shards(site.control_dsn, site.servers) as shards:
        yield shards


@pytest.fixture(scope="module")
def memcached(short_directory: Path) -> Iterator[RunningMemcached]:
    """One where nobody else publishes positions of logs."""
    with running_memcached(short_directory) as (one,):
        yield one


@pytest.fixture
async def graph(shards: Shards, memcached: RunningMemcached) -> AsyncIterator[Graph]:
    """In a region whose logs nobody follows: whatever is put into its cache stays as it is."""
    async with cached_graph(shards, memcached.address) as graph:
        yield graph


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


# --- What is wrong ----------------------------------------------------------------------------------------------------


async def test_an_old_version_that_stays_is_reported_with_all_that_is_known_of_it(graph: Graph) -> None:
    node = await graph.obj_add(Person("before"), shard=0)
    await graph.obj_get(Person, node.id)
    key = object_key(space(graph), node.id)
    old, version = await entry(graph, key)
    assert version == 1
    wrote_ms = time.time() * 1000

    async def write() -> None:
        await graph.obj_update(Person, node.id, name="after")
        await put(graph, key, old, version)

    report = await check(graph, write, scales_s=(1.0,))
    one = the(report, "older version", key)
    assert (one.kind, one.what, one.region, one.log) == ("object", f"object {node.id}", "a", "pg-1")
    assert (one.written_version, one.cached_version, one.primary_version) == (2, 1, 2)
    assert one.after_s == 1.0 <= one.age_s < 1.5
    assert one.committed_ms is not None
    assert wrote_ms < one.committed_ms <= one.seen_ms - 999
    assert report.scales[1.0].stale >= 1
    assert report.lasting()


async def test_what_stays_stale_is_reported_at_every_scale(graph: Graph) -> None:
    node = await graph.obj_add(Person("before"), shard=0)
    await graph.obj_get(Person, node.id)
    key = object_key(space(graph), node.id)
    old = await entry(graph, key)

    async def write() -> None:
        await graph.obj_update(Person, node.id, name="after")
        await put(graph, key, *old)
        await asyncio.sleep(0.6)
        await region(graph).cache.delete([key])

    report = await check(graph, write, scales_s=(0.2, 0.4, 0.9), sample=10_000)
    assert {one.after_s for one in report.inconsistencies if one.key == key.decode()} == {0.2, 0.4}
    assert [scale.stale > 0 for scale in report.scales.values()] == [True, True, False]


async def test_lists_and_edges_that_missed_a_write_are_reported(graph: Graph) -> None:
    one, two, three = await graph.shards.next_ids(0, 3)
    await graph.assoc_add(MUTES, one, two)
    await graph.assoc_range(MUTES, one, 0, 10)
    await graph.assoc_range(MUTES, one, 0, 100)
    k = (one, MUTES.number)
    graph._reader._long.add(k)  # so that single edges are kept
    await graph.assoc_get(MUTES, one, [two, three])
    keys = [
        list_key(space(graph), *k),
        long_list_key(space(graph), *k),
        edge_key(space(graph), *k, two),
        edge_key(space(graph), *k, three),
    ]
    old = [await entry(graph, key) for key in keys]

    async def write() -> None:
        await graph.assoc_del(MUTES, one, two)
        await graph.assoc_add(MUTES, one, three)
        for key, kept in zip(keys, old, strict=True):
            await put(graph, key, *kept)

    report = await check(graph, write)
    assert [the(report, "older version", key).kind for key in keys] == ["list", "long list", "edge", "edge"]
    gone = the(report, "older version", keys[2])
    assert (gone.cached_version, gone.written_version, gone.primary_version) == (1, 2, 3)
    assert gone.what == f"edge test_mutes from {one} to {two}"


async def test_another_content_under_the_right_version_is_reported(graph: Graph) -> None:
    node = await graph.obj_add(Person("right"), shard=0)
    (other,) = await graph.shards.next_ids(0)
    key, counted = object_key(space(graph), node.id), list_key(space(graph), node.id, MUTES.number)

    async def write() -> None:
        await graph.obj_update(Person, node.id, cats=1)
        await graph.assoc_add(MUTES, node.id, other)
        await graph.obj_get(Person, node.id)
        await graph.assoc_count(MUTES, node.id)
        value, version = await entry(graph, key)
        await put(graph, key, value.replace(b"right", b"wrong"), version)
        value, version = await entry(graph, counted)
        await put(graph, counted, value.replace(b"\x94\x01\x01", b"\x94\x01\x07"), version)

    report = await check(graph, write)
    assert the(report, "different content", key).cached_version == 2
    assert the(report, "different content", counted).what == f"list of test_mutes of {node.id}"


async def test_a_list_that_lacks_an_edge_or_ends_too_early_is_reported(graph: Graph) -> None:
    """One that is longer than what is compared is right as far as that goes."""
    lacking, short, long, *others = await graph.shards.next_ids(0, COMPARED + 4)
    edges = [Edge(id_, n, 0) for n, id_ in enumerate(others)]
    await graph.assoc_add_many(MUTES, [(id1, edge) for id1 in (lacking, short, long) for edge in edges[1:]])
    keys = [list_key(space(graph), id1, MUTES.number) for id1 in (lacking, short, long)]

    async def write() -> None:
        await graph.assoc_add_many(MUTES, [(id1, edges[0]) for id1 in (lacking, short, long)])
        of_lacking, of_short, of_long = [
            await graph.assoc_range(MUTES, id1, 0, 1_000) for id1 in (lacking, short, long)
        ]
        version = COMPARED + 1
        for key, kept in zip(keys, ([*of_lacking[:5], *of_lacking[6:]], of_short[:5], of_long), strict=True):
            await put(graph, key, b"\x01" + Prefix(version, COMPARED + 1, True, kept).pack(), version)

    report = await check(graph, write)
    assert the(report, "different content", keys[0]).kind == "list"
    assert the(report, "different content", keys[1]).kind == "list"
    assert keys[2].decode() not in {one.key for one in report.inconsistencies}


async def test_an_object_that_is_gone_and_one_that_is_said_to_be_are_reported(graph: Graph) -> None:
    gone, there = await graph.obj_add(Person("gone"), shard=0), await graph.obj_add(Person("there"), shard=1)
    await graph.obj_get(Person, gone.id)
    key, other = object_key(space(graph), gone.id), object_key(space(graph, 1), there.id)
    old = await entry(graph, key)

    async def write() -> None:
        await graph.obj_delete(Person, gone.id)
        await graph.obj_update(Person, there.id, cats=1)
        await put(graph, key, *old)
        await put(graph, other, b"\x01", 0)

    report = await check(graph, write)
    found = the(report, "gone on the primary", key)
    assert (found.written_version, found.cached_version, found.primary_version) == (GONE, 1, None)
    assert the(report, "absent in the cache", other).primary_version == 2


async def test_what_comes_from_no_state_of_the_primary_is_reported(graph: Graph) -> None:
    node = await graph.obj_add(Person("p"), shard=0)
    await graph.obj_get(Person, node.id)
    key = object_key(space(graph), node.id)
    value, _ = await entry(graph, key)

    async def write() -> None:
        await graph.obj_update(Person, node.id, cats=1)
        await put(graph, key, value, 9)

    assert the(await check(graph, write), "newer than the primary", key).cached_version == 9


async def test_random_keys_are_looked_at_without_any_write(graph: Graph, shards: Shards) -> None:
    """Among so few rows of one shard that each is chosen soon."""
    node = await graph.obj_add(Person("right"), shard=5)
    await graph.obj_get(Person, node.id)
    key = object_key(space(graph, 5), node.id)
    value, version = await entry(graph, key)
    await put(graph, key, value.replace(b"right", b"wrong"), version)
    pool = shards.pool("people", 5)
    report = await check_consistency(
        {pool.name: GraphLog(pool, [5])},
        {"a": region(graph).cache},
        "calotype",
        scales_s=(0.1,),
        duration_s=1.2,
    )
    found = the(report, "different content", key)
    assert (found.committed_ms, found.written_version) == (None, 1)


# --- What is not ------------------------------------------------------------------------------------------------------


async def test_an_entry_that_is_marked_stale_is_absent_and_its_next_reader_fills_it(graph: Graph) -> None:
    node = await graph.obj_add(Person("before"), shard=0)
    await graph.obj_get(Person, node.id)
    key = object_key(space(graph), node.id)
    cache = region(graph).cache
    old = await entry(graph, key)

    async def write() -> None:
        await graph.obj_update(Person, node.id, name="after")
        await put(graph, key, *old)
        assert await cache.invalidate({key: None}) == 1

    report = await check(graph, write)
    assert report.inconsistencies == []
    assert report.absent > 0
    found = await cache.lease_many([key])
    assert list(found.won) == [key]
    assert found.stale == {key: old[0]}


async def test_to_look_takes_nobody_s_lease_and_leaves_no_trace(graph: Graph) -> None:
    cache = region(graph).cache
    there, leased, stale = (Key(b"%b:look:%b" % (space(graph), name)) for name in (b"1", b"2", b"3"))
    await put(graph, there, b"value", 7)
    await put(graph, stale, b"old", 3)
    await cache.invalidate({stale: None})
    lease = (await cache.lease_many([leased])).won[leased]
    for _ in range(2):
        assert await cache.look_many([there, leased, stale, Key(b"nothing")]) == {there: (b"value", 7)}
    assert b"h0" in (await cache.servers.one(there, b"mg %b h\r\n" % there))[1], "it does not count as used"
    cache.fill(leased, lease, b"filled", 1)
    assert await cache.look_many([leased]) == {leased: (b"filled", 1)}
    taken = (await cache.lease_many([stale])).won[stale]
    await cache.look_many([stale])
    cache.fill(stale, taken, b"new", 4)
    assert await cache.look_many([stale]) == {stale: (b"new", 4)}


async def test_an_edge_is_not_held_to_the_version_that_other_edges_gave_its_list(graph: Graph) -> None:
    one, two, three = await graph.shards.next_ids(0, 3)
    graph._reader._long.add((one, MUTES.number))  # so that single edges are kept

    async def write() -> None:
        await graph.assoc_add(MUTES, one, two)
        await graph.assoc_get(MUTES, one, [two])
        await graph.assoc_add(MUTES, one, three)

    report = await check(graph, write)
    assert report.inconsistencies == []
    assert report.checked > 0


async def test_entries_of_another_release_are_not_compared(graph: Graph) -> None:
    node = await graph.obj_add(Person("p"), shard=0)
    keys = [object_key(space(graph), node.id), list_key(space(graph), node.id, MUTES.number)]

    async def write() -> None:
        await graph.obj_update(Person, node.id, cats=1)
        await graph.assoc_add(MUTES, node.id, node.id)
        for key in keys:
            await put(graph, key, b"\x02unreadable", 0)

    report = await check(graph, write)
    assert [one.key for one in report.inconsistencies] == []
    assert not report.lasting()


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
