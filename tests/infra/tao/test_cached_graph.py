"""The graph over a real memcached: what is kept, what outdates it, and who may be shown it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from calotype.infra.cache import Key
from calotype.infra.shards.tickets import carrying
from calotype.infra.tao import Edge, Graph
from calotype.infra.tao.keys import edge_key, list_key, long_list_key, object_key
from calotype.infra.tao.prefix import SHORT
from calotype.infra.tao.reader import Reader
from tests.infra.tao.cached import cached_graph, counted, publish_new_generation
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, LIKES, MUTES, Note, Person, Photo
from tests.memcached import RunningMemcached

pytestmark = pytest.mark.memcached

FAR = 1 << 62
"""A position that no log of these tests reaches."""


@pytest.fixture
async def graph(layout_graph: Graph, memcached: RunningMemcached) -> AsyncIterator[Graph]:
    async with cached_graph(layout_graph.shards, memcached.address) as graph:
        yield graph


@pytest.fixture
async def other(layout_graph: Graph, graph: Graph, memcached: RunningMemcached) -> AsyncIterator[Graph]:
    """Another worker of the same region."""
    assert graph.cache is not None
    async with cached_graph(layout_graph.shards, memcached.address) as other:
        assert other.cache is not None
        await other.cache.progress.refresh()
        await graph.cache.progress.refresh()
        yield other


def space(graph: Graph, partition: str, shard: int) -> bytes:
    assert graph.cache is not None
    return graph.cache.progress.spaces[graph.shards.pool(partition, shard).name]


async def kept(graph: Graph, key: Key) -> tuple[bytes, int] | None:
    """(value, version) of an entry that is there and not marked stale."""
    assert graph.cache is not None
    _, flags, value = await graph.cache.cache.servers.one(key, b"mg %b v f\r\n" % key)
    if value is None or len(flags) > 1:
        return None
    return value, int(flags[0][1:])


def forget_own(graph: Graph) -> None:
    """As if a second had passed for what this process keeps itself."""
    graph._reader = Reader(graph.shards, graph.cache)


async def test_what_was_read_once_is_read_again_without_postgresql(graph: Graph) -> None:
    shards = graph.shards
    people = [await graph.obj_add(Person(f"p{n}"), shard=n) for n in (0, 1, 2)]
    one, two, three = (node.id for node in people)
    await graph.assoc_add(FOLLOWS, one, two, data=Note(1))

    async def everything() -> list[object]:
        return [
            await graph.obj_get_many(Person, [one, two, three, FAR]),
            await graph.assoc_count_many(FOLLOWED_BY, [one, two]),
            await graph.assoc_get(FOLLOWS, one, [two, three]),
            await graph.assoc_range(FOLLOWS, one, 0, 10),
            await graph.assoc_range(FOLLOWS, three, 0, 10),
            await graph.assoc_time_range(FOLLOWED_BY, two, 1 << 50, 0, 10),
        ]

    first = await everything()
    with counted(shards) as statements:
        assert await everything() == first
    assert statements == []
    assert first[0] == {node.id: node for node in people}
    assert first[1] == {one: 0, two: 1}


async def test_objects_that_do_not_exist_are_known_not_to(graph: Graph) -> None:
    (id_,) = await graph.shards.next_ids(0)
    assert await graph.obj_get(Person, id_) is None
    with counted(graph.shards) as statements:
        assert await graph.obj_get(Person, id_) is None
    assert statements == []
    made = await graph.obj_add(Person("there now"), shard=0, id_=id_)
    assert await graph.obj_get(Person, id_) == made


async def test_an_object_asked_for_as_another_type_is_kept_as_what_it_is(graph: Graph) -> None:
    """`people` and `media` have different servers in one of the layouts: then there is nothing to be found."""
    person = await graph.obj_add(Person("p"), shard=0)
    for _ in range(6):  # often enough to be hot
        assert await graph.obj_get(Photo, person.id) is None
    if graph.shards.pool("people", 0) is graph.shards.pool("media", 0):
        with counted(graph.shards) as statements:
            assert await graph.obj_get(Person, person.id) == person
        assert statements == []
    for _ in range(6):
        assert await graph.obj_get(Person, person.id) == person
    assert await graph.obj_get(Photo, person.id) is None


async def test_entries_carry_the_version_that_the_log_will_name(graph: Graph) -> None:
    a, b = await graph.obj_add(Person("a"), shard=0), await graph.obj_add(Person("b"), shard=1)
    a = await graph.obj_update(Person, a.id, cats=3)
    written = await graph.assoc_add(FOLLOWS, a.id, b.id)
    await graph.obj_get(Person, a.id)
    await graph.assoc_range(FOLLOWS, a.id, 0, 1)
    await graph.assoc_range(FOLLOWS, a.id, 0, SHORT + 1)
    graph._reader._long.add((a.id, FOLLOWS.number))  # so that single edges are kept
    await graph.assoc_get(FOLLOWS, a.id, [b.id, FAR])
    here = space(graph, "people", 0)
    entries = {
        object_key(here, a.id): 2,
        list_key(here, a.id, FOLLOWS.number): written.version,
        long_list_key(here, a.id, FOLLOWS.number): written.version,
        edge_key(here, a.id, FOLLOWS.number, b.id): written.version,
        edge_key(here, a.id, FOLLOWS.number, FAR): written.version,
    }
    for key, version in entries.items():
        found = await kept(graph, key)
        assert found is not None
        assert found[1] == version, key


async def test_a_writer_outdates_both_ends_of_an_edge_before_it_answers(graph: Graph) -> None:
    a, b = await graph.obj_add(Person("a"), shard=0), await graph.obj_add(Person("b"), shard=1)
    for change in (graph.assoc_add, graph.assoc_del):
        for assoc, one, two in ((FOLLOWS, a.id, b.id), (FOLLOWED_BY, b.id, a.id)):
            await graph.assoc_range(assoc, one, 0, 5)
            await graph.assoc_range(assoc, one, 0, SHORT + 1)
            graph._reader._long.add((one, assoc.number))  # so that single edges are kept
            await graph.assoc_get(assoc, one, [two])
        await change(FOLLOWS, a.id, b.id)
        for assoc, one, two, shard in ((FOLLOWS, a.id, b.id, 0), (FOLLOWED_BY, b.id, a.id, 1)):
            where = space(graph, "people", shard)
            for key in (
                list_key(where, one, assoc.number),
                long_list_key(where, one, assoc.number),
                edge_key(where, one, assoc.number, two),
            ):
                assert await kept(graph, key) is None, key


async def test_a_longer_part_of_a_list_takes_the_place_of_a_shorter_one(graph: Graph) -> None:
    (one,) = await graph.shards.next_ids(0)
    ids = await graph.shards.next_ids(0, 120)
    await graph.assoc_add_many(MUTES, [(one, Edge(id_, n + 1, 0)) for n, id_ in enumerate(ids)])
    newest_first = ids[::-1]

    async def reached(offset: int, limit: int, after: Edge | None = None) -> list[int]:
        before = {} if after is None else {"before": after.cursor}
        return [edge.id2 for edge in await graph.assoc_range(MUTES, one, offset, limit, **before)]

    assert await reached(0, 2) == newest_first[:2]
    for offset, limit in ((0, 30), (10, 100), (100, 50)):
        assert await reached(offset, limit) == newest_first[offset : offset + limit]
    with counted(graph.shards) as statements:
        page = await graph.assoc_range(MUTES, one, 0, 50)
        assert await reached(0, 50, page[-1]) == newest_first[50:100]
        assert await reached(110, 50) == newest_first[110:]
        assert await reached(3, 2) == newest_first[3:5]
    assert statements == []


async def test_a_short_list_answers_for_its_length_and_its_edges(graph: Graph) -> None:
    one, two, three, *_ = await graph.shards.next_ids(0, 3)
    await graph.assoc_add(MUTES, one, two, data=Note(1))
    (edge,) = await graph.assoc_range(MUTES, one, 0, 2)
    with counted(graph.shards) as statements:
        assert await graph.assoc_count(MUTES, one) == 1
        assert await graph.assoc_get(MUTES, one, [two, three]) == [edge]
    assert statements == []


async def test_an_edge_of_a_list_of_which_a_few_are_kept_keeps_the_whole(graph: Graph) -> None:
    (one,) = await graph.shards.next_ids(0)
    ids = await graph.shards.next_ids(0, 30)
    await graph.assoc_add_many(MUTES, [(one, Edge(id_, n + 1, 0)) for n, id_ in enumerate(ids)])
    await graph.assoc_count(MUTES, one)
    assert [edge.id2 for edge in await graph.assoc_get(MUTES, one, [ids[0], FAR])] == [ids[0]]
    forget_own(graph)
    with counted(graph.shards) as statements:
        assert len(await graph.assoc_get(MUTES, one, ids)) == 30
        assert len(await graph.assoc_range(MUTES, one, 0, 50)) == 30
    assert statements == []


async def test_edges_of_a_long_list_are_kept_one_by_one(graph: Graph) -> None:
    (one,) = await graph.shards.next_ids(0)
    ids = await graph.shards.next_ids(0, SHORT + 1)
    await graph.assoc_add_many(MUTES, [(one, Edge(id_, n + 1, 0)) for n, id_ in enumerate(ids)])
    first = await graph.assoc_get(MUTES, one, [ids[0], FAR])
    assert [edge.id2 for edge in first] == [ids[0]]
    where = space(graph, "people", 0)
    assert await kept(graph, edge_key(where, one, MUTES.number, ids[0])) is not None
    assert await kept(graph, edge_key(where, one, MUTES.number, FAR)) is not None
    with counted(graph.shards) as statements:
        assert await graph.assoc_get(MUTES, one, [ids[0], FAR]) == first
    assert statements == []
    for id_ in ids[1:]:
        await graph.assoc_del(MUTES, one, id_)
    assert await graph.assoc_get(MUTES, one, ids) == first


async def test_a_page_behind_what_is_kept_is_read_past_it(graph: Graph) -> None:
    (one,) = await graph.shards.next_ids(0)
    ids = await graph.shards.next_ids(0, 60)
    await graph.assoc_add_many(MUTES, [(one, Edge(id_, n + 1, 0)) for n, id_ in enumerate(ids)])
    await graph.assoc_range(MUTES, one, 0, 2)
    found = await graph.assoc_range(MUTES, one, 0, 3, before=(10, 0))
    assert [edge.time for edge in found] == [9, 8, 7]


async def test_of_a_list_that_is_too_large_for_an_entry_the_newer_part_is_kept(graph: Graph) -> None:
    (one,) = await graph.shards.next_ids(0)
    ids = await graph.shards.next_ids(0, 300)
    long = b'"' + b"x" * 6_000 + b'"'
    await graph.assoc_add_many(MUTES, [(one, Edge(id_, n + 1, 0, long)) for n, id_ in enumerate(ids)])
    assert len(await graph.assoc_range(MUTES, one, 0, 1_000)) == 300
    with counted(graph.shards) as statements:
        assert len(await graph.assoc_range(MUTES, one, 0, 100)) == 100
    assert statements == []


async def test_what_another_worker_wrote_is_seen_as_soon_as_it_has_answered(
    graph: Graph, other: Graph
) -> None:
    node = await graph.obj_add(Person("before"), shard=0)
    assert await other.obj_get(Person, node.id) == node
    changed = await graph.obj_update(Person, node.id, name="after")
    assert await other.obj_get(Person, node.id) == changed


async def test_a_hot_key_is_kept_for_a_second_at_most_and_not_for_ticket_holders(
    graph: Graph, other: Graph
) -> None:
    node = await graph.obj_add(Person("before"), shard=0)
    for _ in range(10):
        assert await other.obj_get(Person, node.id) == node
    changed = await graph.obj_update(Person, node.id, name="after")
    with carrying({"some other log": 1}):
        assert await other.obj_get(Person, node.id) == changed
    async with asyncio.timeout(1.1):
        while await other.obj_get(Person, node.id) != changed:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_one_piece_of_work_reads_a_key_once(graph: Graph) -> None:
    node = await graph.obj_add(Person("p"), shard=0)
    await graph.obj_get(Person, node.id)
    assert graph.cache is not None
    with carrying({}):
        before = graph.cache.cache.metrics.hits
        for _ in range(3):
            assert await graph.obj_get(Person, node.id) == node
        assert graph.cache.cache.metrics.hits == before + 1


async def test_after_a_write_the_same_work_reads_that_server_past_the_cache(graph: Graph) -> None:
    node = await graph.obj_add(Person("p"), shard=0)
    with carrying({}):
        await graph.obj_get(Person, node.id)
        changed = await graph.obj_update(Person, node.id, cats=1)
        with counted(graph.shards) as statements:
            assert await graph.obj_get(Person, node.id) == changed
    assert len(statements) == 1


async def test_a_ticket_that_is_not_applied_yet_reads_the_primary_and_fills_nothing(graph: Graph) -> None:
    node = await graph.obj_add(Person("p"), shard=0)
    server = graph.shards.pool("people", 0).name
    with carrying({server: FAR}), counted(graph.shards) as statements:
        for _ in range(2):
            assert await graph.obj_get(Person, node.id) == node
    assert len(statements) == 2
    assert await kept(graph, object_key(space(graph, "people", 0), node.id)) is None


async def test_a_ticket_that_is_applied_reads_the_cache(graph: Graph) -> None:
    node = await graph.obj_add(Person("p"), shard=0)
    with carrying({}) as tickets:
        await graph.obj_update(Person, node.id, cats=1)
        issued = await tickets.issue()
    assert graph.cache is not None
    assert set(issued) == set(tickets.written)
    assert all(position > 0 for position in issued.values())
    graph.cache.progress.applied.update(issued)
    with carrying(issued):
        await graph.obj_get(Person, node.id)
        with counted(graph.shards) as statements:
            forget_own(graph)
            found = await graph.obj_get(Person, node.id)
    assert found is not None
    assert found.data.cats == 1
    assert statements == []


async def test_without_a_known_position_nothing_is_read_from_the_cache_or_kept(
    layout_graph: Graph, memcached: RunningMemcached
) -> None:
    async with cached_graph(layout_graph.shards, memcached.address) as graph:
        node = await graph.obj_add(Person("p"), shard=0)
        assert graph.cache is not None
        here = space(graph, "people", 0)
        graph.cache.progress.spaces.clear()
        with counted(graph.shards) as statements:
            for _ in range(2):
                assert await graph.obj_get(Person, node.id) == node
        assert len(statements) == 2
        assert await kept(graph, object_key(here, node.id)) is None


async def test_a_new_generation_outdates_everything_of_its_server(graph: Graph) -> None:
    node = await graph.obj_add(Person("p"), shard=0)
    await graph.obj_get(Person, node.id)
    assert graph.cache is not None
    await publish_new_generation(graph.cache.cache, graph.shards.pools)
    await graph.cache.progress.refresh()
    forget_own(graph)
    with counted(graph.shards) as statements:
        assert await graph.obj_get(Person, node.id) == node
    assert len(statements) == 1


@pytest.mark.parametrize("value", [b"\x02of another release", b"\x01", b"\x01\xff\xff", b"?"])
async def test_entries_that_cannot_be_read_are_filled_anew(graph: Graph, value: bytes) -> None:
    (one,) = await graph.shards.next_ids(0)
    await graph.assoc_add(LIKES, one, one)
    assert graph.cache is not None
    where = space(graph, "likes", 0)
    for key in (list_key(where, one, LIKES.number), long_list_key(where, one, LIKES.number)):
        assert await graph.cache.cache.set(key, value)
    assert await graph.assoc_count(LIKES, one) == 1
    assert [edge.id2 for edge in await graph.assoc_range(LIKES, one, 0, 5)] == [one]
    forget_own(graph)
    with counted(graph.shards) as statements:
        assert await graph.assoc_count(LIKES, one) == 1
        assert [edge.id2 for edge in await graph.assoc_range(LIKES, one, 0, 5)] == [one]
    assert statements == []


async def test_two_hundred_readers_of_a_cold_key_make_one_read_of_the_database(
    graph: Graph, other: Graph
) -> None:
    node = await graph.obj_add(Person("p"), shard=0)
    with counted(graph.shards) as statements:
        found = await asyncio.gather(
            *((graph if n % 2 else other).obj_get(Person, node.id) for n in range(200))
        )
    assert found == [node] * 200
    assert len(statements) == 1
