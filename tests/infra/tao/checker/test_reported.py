"""What the consistency checker reports over real logs and a real memcached, and what it does not."""

from __future__ import annotations

import asyncio
import time

import pytest

from calotype.infra.cache import Key
from calotype.infra.shards import Shards
from calotype.infra.tao import Edge, Graph
from calotype.infra.tao.consistency import GONE, GraphLog, check_consistency
from calotype.infra.tao.consistency.kinds import COMPARED
from calotype.infra.tao.keys import edge_key, list_key, long_list_key, object_key
from calotype.infra.tao.prefix import Prefix
from tests.infra.tao.checker.checking import check, entry, put, region, space, the
from tests.infra.tao.world import MUTES, Person

pytestmark = pytest.mark.memcached


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
