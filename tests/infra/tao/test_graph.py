"""What random histories do not show: statements counted, plans looked at, refusals, writers that meet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.infra.ids import shard_of
from calotype.infra.shards import AbsentShard, Shards
from calotype.infra.tao import (
    LIST_LIMIT,
    START,
    CrossServerWrite,
    Edge,
    Graph,
    ObjectMissing,
    association,
    association_pair,
    check_graph,
    object_type,
    reads,
    relay,
    writes,
)
from tests.infra.tao.conftest import graph_of, sweep_all
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, LIKES, LOVES, MUTES, Note, Person, Photo
from tests.site import Layout, Site

STATEMENTS = 30
"""A connection may hold at most so many prepared ones, however many logical shards there are."""


def statements(graph: Graph) -> dict[str, int]:
    return {name: pool.metrics.returned for name, pool in graph.shards.pools.items()}


async def cost[T](graph: Graph, work: Awaitable[T]) -> tuple[dict[str, int], T]:
    """How many statements each server got."""
    before = statements(graph)
    result = await work
    after = statements(graph)
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}, result


# Cost


async def test_many_claims_are_looked_up_in_one_statement_a_server(shards: Shards) -> None:
    graph = Graph(shards)
    for shard in range(8):
        await graph.writes("people", shard).claim("people", shard, "looked up", f"key {shard}", 100 + shard)
    keys = [(shard, f"key {shard}") for shard in range(10)]
    spent, held = await cost(graph, graph.claimed_many("people", "looked up", keys))
    assert held == {f"key {shard}": 100 + shard for shard in range(8)}
    assert set(spent.values()) == {1}
    assert await graph.claimed_many("people", "another kind", keys) == {}
    assert await graph.claimed_many("people", "looked up", []) == {}


async def test_the_newest_objects_of_a_type_are_one_statement_a_server(shards: Shards) -> None:
    graph = Graph(shards)
    photos = await graph.obj_add_many(Photo, [(n % 4, Photo(f"p{n}")) for n in range(12)])
    await graph.obj_add_many(Person, [(n % 4, Person(f"p{n}")) for n in range(8)])
    since = photos[0].created - 60_000
    spent, found = await cost(
        graph, graph.obj_newest(Photo, since_ms=since, per_shard=2, scanned_per_shard=50)
    )
    assert set(spent.values()) == {1}
    assert [node.id for node in found][:8] == sorted((photo.id for photo in photos[-8:]), reverse=True)
    assert found[0] == photos[-1]
    soon = photos[0].created + 60_000
    assert await graph.obj_newest(Photo, since_ms=soon, per_shard=2, scanned_per_shard=50) == []
    few = await graph.obj_newest(Photo, since_ms=since, per_shard=2, scanned_per_shard=2)
    assert not {node.id for node in few} & {
        photo.id for photo in photos
    }, "two people are newer on each shard"


async def test_twenty_tasks_of_one_turn_cost_one_statement_a_server(shards: Shards) -> None:
    graph = Graph(shards)
    nodes = await graph.obj_add_many(Person, [(shard, Person(f"p{shard}")) for shard in range(20)])

    async def read(id_: int) -> str:
        node = await graph.obj_get(Person, id_)
        assert node is not None
        return node.data.name

    spent, names = await cost(graph, asyncio.gather(*(read(node.id) for node in nodes)))
    assert names == [f"p{shard}" for shard in range(20)]
    assert spent == {"pg-1": 1, "pg-2": 1}


async def test_counts_edges_and_ranges_of_one_turn_coalesce_too(graph: Graph) -> None:
    ids = [id_ for shard in range(8) for id_ in await graph.shards.next_ids(shard, 1)]
    await graph.assoc_add_many(MUTES, [(one, Edge(other, 1, 0)) for one in ids for other in ids])
    for reading in (
        [graph.assoc_count(MUTES, id_) for id_ in ids],
        [graph.assoc_get(MUTES, id_, ids[:3]) for id_ in ids],
        [graph.assoc_range(MUTES, id_, 0, 3) for id_ in ids],
        [graph.assoc_merge(MUTES, ids, 10)],
    ):
        spent, _ = await cost(graph, asyncio.gather(*reading))
        assert spent == {"pg-1": 1, "pg-2": 1}


async def test_what_several_ask_for_in_one_turn_is_read_once(graph: Graph) -> None:
    node = await graph.obj_add(Person("Ada"), shard=4)
    spent, found = await cost(graph, asyncio.gather(*(graph.obj_get(Person, node.id) for _ in range(10))))
    assert found == [node] * 10
    assert spent == {"pg-1": 1}


async def test_a_cancelled_reader_takes_the_answer_from_nobody(graph: Graph) -> None:
    node = await graph.obj_add(Person("Ada"), shard=4)
    reading = [asyncio.create_task(graph.obj_get(Person, node.id)) for _ in range(5)]
    await asyncio.sleep(0)
    reading[0].cancel()
    assert await asyncio.gather(*reading[1:]) == [node] * 4


async def test_an_edge_across_servers_costs_three_statements_and_one_on_its_own_shard_one(
    graph: Graph,
) -> None:
    (one, near), (far,) = await graph.shards.next_ids(2, 2), await graph.shards.next_ids(3, 1)
    spent, written = await cost(graph, graph.assoc_add(FOLLOWS, one, far))
    assert written.changed
    assert spent == {"pg-1": 2, "pg-2": 1}  # the write, the inverse, the outbox row's removal
    spent, _ = await cost(graph, graph.assoc_add(FOLLOWS, one, near))
    assert spent == {"pg-1": 1}
    spent, written = await cost(graph, graph.assoc_add(FOLLOWS, one, far))
    assert not written.changed
    assert spent == {"pg-1": 1}


async def test_five_hundred_edges_cost_as_few_statements_as_one(graph: Graph) -> None:
    (one,) = await graph.shards.next_ids(2, 1)
    others = [id_ for shard in (3, 4) for id_ in await graph.shards.next_ids(shard, 250)]
    spent, changed = await cost(
        graph, graph.assoc_add_many(FOLLOWS, [(one, Edge(id_, 0, 0)) for id_ in others])
    )
    assert all(changed)
    assert spent == {"pg-1": 4, "pg-2": 1}  # the write, two targets, and a removal for each
    assert await graph.assoc_count(FOLLOWS, one) == 500


async def test_a_connection_holds_few_prepared_statements_whatever_it_did(site: Site) -> None:
    async with graph_of(site, pool_size=1) as graph:
        ids = [id_ for shard in range(32) for id_ in await graph.shards.next_ids(shard, 2)]
        await graph.obj_add_many(Person, [(shard, Person("a")) for shard in range(32)])
        await graph.assoc_add_many(FOLLOWS, [(id_, Edge(ids[0], 0, 0)) for id_ in ids])
        for id_ in ids:
            node = await graph.obj_add(Person("b"), shard=shard_of(id_), id_=id_)
            await graph.obj_get(Person, id_)
            await graph.obj_update(Person, id_, cats=node.version)
            await graph.assoc_add(LIKES, id_, ids[1])
            await graph.assoc_change_type(LIKES, LOVES, id_, ids[1])
            await graph.assoc_get(LOVES, id_, [ids[1]])
            await graph.assoc_count(LOVES, id_)
            await graph.assoc_range(LOVES, id_, 0, 10)
            await graph.assoc_time_range(LOVES, id_, 10**15, 0, 10)
            await graph.assoc_del(LOVES, id_, ids[1])
        await graph.obj_get_many(Person, ids)
        await graph.assoc_count_many(FOLLOWED_BY, ids)
        await graph.assoc_range_many(FOLLOWS, ids, 5)
        await graph.assoc_merge(FOLLOWS, ids, 50)
        await graph.assoc_del_many(FOLLOWS, [(id_, ids[0]) for id_ in ids])
        await graph.obj_delete_many(Person, ids)
        async with graph.transaction("people", 3) as write:
            assert await write.claim("people", 3, "test", "a name", ids[3 * 2]) == ids[3 * 2]
            await write.release("people", 3, "test", "a name", ids[3 * 2])
        await sweep_all(graph)
        for pool in graph.shards.pools.values():
            rows = await pool.fetch(
                "select statement from pg_prepared_statements where statement not like '%pg_catalog%'"
            )
            assert len(rows) <= STATEMENTS, [row[0] for row in rows]


READS = {
    name: sql
    for name, sql in vars(reads).items()
    if name.startswith("_") and isinstance(sql, str) and "select" in sql
}
HOT_WRITES = {
    "_DUE": relay._DUE,
    "_DONE": relay._DONE,
    "_REMOVE": relay._REMOVE,
    "_LATER": relay._LATER,
    "_TAKE_BACK": writes._TAKE_BACK,
}


@pytest.mark.parametrize("name", [*READS, *HOT_WRITES])
async def test_no_statement_scans_a_table_or_hashes_the_partitions(
    servers: dict[str, str], name: str
) -> None:
    connection = await asyncpg.connect(servers["pg-1"])
    sql = READS.get(name) or HOT_WRITES[name]
    await connection.execute(f"prepare statement as {sql}")
    types = await connection.fetchval(
        "select array_agg(t::text) from pg_prepared_statements, unnest(parameter_types) t where name = 'statement'"
    )
    values = ", ".join("'{0}'" if type_.endswith("[]") else "'0'" for type_ in types)
    plan = "\n".join(row[0] for row in await connection.fetch(f"explain execute statement ({values})"))
    await connection.close()
    assert "Seq Scan" not in plan, plan
    assert "Hash" not in plan, plan
    assert "Index Scan" in plan or "Bitmap" in plan, plan


async def test_one_key_alone_reads_the_one_partition_it_is_in(graph: Graph, servers: dict[str, str]) -> None:
    node = await graph.obj_add(Person("Ada"), shard=6)
    connection = await asyncpg.connect(servers["pg-1"])
    sql = reads._OBJECT.replace("$1", "6").replace("$2", str(node.id))
    plan = "\n".join(row[0] for row in await connection.fetch(f"explain {sql}"))
    await connection.close()
    assert "s0006" in plan or "objects" in plan
    assert plan.count("Scan") == 1, plan


# Refusals


async def test_a_second_like_changes_nothing_and_says_so(layout_graph: Graph) -> None:
    (one,), (other,) = await layout_graph.shards.next_ids(0), await layout_graph.shards.next_ids(1)
    first = await layout_graph.assoc_add(LIKES, one, other)
    again = await layout_graph.assoc_add(LIKES, one, other)
    assert (first.changed, again.changed) == (True, False)
    assert (again.version, again.time) == (first.version, first.time)


async def test_versions_of_a_list_grow_through_deletion_and_return(layout_graph: Graph) -> None:
    (one,), (other,) = await layout_graph.shards.next_ids(0), await layout_graph.shards.next_ids(1)
    seen = []
    for _ in range(3):
        seen.append((await layout_graph.assoc_add(LIKES, one, other)).version)
        seen.append((await layout_graph.assoc_del(LIKES, one, other)).version)
    assert seen == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("id_", [-1, -(1 << 40) - 1, 8191 << 10, (1 << 63) - 1])
async def test_ids_of_shards_that_do_not_exist_are_found_nowhere_and_written_nowhere(
    layout_graph: Graph, id_: int
) -> None:
    graph = layout_graph
    (real,) = await graph.shards.next_ids(0)
    assert await graph.obj_get(Person, id_) is None
    assert await graph.assoc_count(FOLLOWS, id_) == 0
    assert await graph.assoc_range(FOLLOWS, id_, 0, 10) == []
    assert await graph.assoc_get(FOLLOWS, real, [id_]) == []
    assert await graph.assoc_merge(FOLLOWS, [id_], 10) == []
    assert not await graph.obj_delete(Person, id_)
    for write in (
        graph.assoc_add(FOLLOWS, real, id_),
        graph.assoc_add(FOLLOWS, id_, real),
        graph.assoc_del(FOLLOWS, real, id_),
        graph.assoc_add_many(FOLLOWS, [(real, Edge(id_, 0, 0))]),
        graph.obj_update(Person, id_, cats=1),
    ):
        with pytest.raises(AbsentShard):
            await write
    with pytest.raises(AbsentShard):
        async with graph.transaction("people", shard_of(real)) as transaction:
            await transaction.edge(FOLLOWS, real, id_, time=None, data=None, present=True)
    assert await graph.assoc_count(FOLLOWS, real) == 0


async def test_the_type_of_an_object_is_part_of_its_name(layout_graph: Graph) -> None:
    photo = await layout_graph.obj_add(Photo("a cat"), shard=2)
    assert await layout_graph.obj_get(Person, photo.id) is None
    assert not await layout_graph.obj_delete(Person, photo.id)
    with pytest.raises(ObjectMissing):
        await layout_graph.obj_update(Person, photo.id, cats=1)
    assert await layout_graph.obj_get(Photo, photo.id) == photo


async def test_an_object_cannot_be_put_where_its_id_does_not_lead(layout_graph: Graph) -> None:
    (id_,) = await layout_graph.shards.next_ids(3)
    with pytest.raises(ValueError, match="is an id of shard 3, so the object cannot be on shard 4"):
        await layout_graph.obj_add(Person("Ada"), shard=4, id_=id_)


async def test_a_field_that_the_type_does_not_have_and_a_value_of_another_type_are_refused(
    graph: Graph,
) -> None:
    node = await graph.obj_add(Person("Ada"), shard=1)
    with pytest.raises(TypeError, match="Person has no field age"):
        await graph.obj_update(Person, node.id, age=3)
    with pytest.raises(msgspec.ValidationError):
        await graph.obj_update(Person, node.id, cats="many")
    assert await graph.obj_get(Person, node.id) == node


async def test_only_the_forward_side_of_an_edge_is_written(graph: Graph) -> None:
    one, other = await graph.shards.next_ids(0, 2)
    with pytest.raises(TypeError, match="test_followed_by is an inverse: write test_follows"):
        await graph.assoc_add(FOLLOWED_BY, one, other)
    with pytest.raises(TypeError, match="is an inverse"):
        await graph.assoc_del_many(FOLLOWED_BY, [(one, other)])
    with pytest.raises(TypeError, match="is an inverse"):
        await graph.assoc_change_type(FOLLOWED_BY, FOLLOWS, one, other)


async def test_a_transaction_that_reaches_for_another_server_is_refused_and_undone(
    layout_graph: Graph,
) -> None:
    graph = layout_graph
    (here,), (there,) = await graph.shards.next_ids(0), await graph.shards.next_ids(1)
    with pytest.raises(
        CrossServerWrite, match="this write is on pg-1, so it cannot change people of shard 1"
    ):
        async with graph.transaction("people", 0) as write:
            await write.obj_add(Person("half"), 0, here)
            await write.obj_add(Person("other half"), 1, there)
    assert await graph.obj_get(Person, here) is None


async def test_partitions_on_the_same_server_may_share_a_transaction_and_others_may_not(
    layout_graph: Graph, layout: Layout
) -> None:
    person, photo = await layout_graph.shards.next_ids(0, 2)

    async def both() -> None:
        async with layout_graph.transaction("people", 0) as write:
            await write.obj_add(Person("Ada"), 0, person)
            await write.obj_add(Photo("of her"), 0, photo)

    if layout == "together":
        await both()
        return
    with pytest.raises(
        CrossServerWrite, match="on pg-1, so it cannot change media of shard 0, which is on media"
    ):
        await both()
    assert await layout_graph.obj_get(Person, person) is None


async def test_ids_are_unique_over_partitions_that_live_apart(layout_graph: Graph) -> None:
    people = [await layout_graph.obj_add(Person("a"), shard=0) for _ in range(50)]
    photos = [await layout_graph.obj_add(Photo("b"), shard=0) for _ in range(50)]
    assert len({node.id for node in [*people, *photos]}) == 100


def test_a_number_is_declared_for_one_thing_only() -> None:
    association(9199, "test_once", partition="people")
    association(9199, "test_once", partition="people")  # a module that is imported twice
    with pytest.raises(ValueError, match="atype 9199 is test_once already, so not test_twice"):
        association(9199, "test_twice", partition="people")
    with pytest.raises(ValueError, match="'nowhere' is no partition: people, media, likes, comments"):
        association_pair(9198, "a", 9197, "b", partition="nowhere")
    with pytest.raises(ValueError, match="otype 9001 is Person's already"):
        object_type(9001, partition="people")(Photo)
    with pytest.raises(TypeError, match="Note is not declared with object_type"):
        asyncio.run(Graph(Shards("", {})).obj_get(Note, 1))


# Lists


async def test_a_list_longer_than_six_thousand_is_counted_but_not_reached(graph: Graph) -> None:
    (one,) = await graph.shards.next_ids(2)
    others = await graph.shards.next_ids(2, LIST_LIMIT + 50)
    await graph.assoc_add_many(MUTES, [(one, Edge(id_, at + 1, 0)) for at, id_ in enumerate(others)])
    assert await graph.assoc_count(MUTES, one) == LIST_LIMIT + 50
    assert len(await graph.assoc_range(MUTES, one, 0, 10**9)) == LIST_LIMIT
    assert len(await graph.assoc_range(MUTES, one, LIST_LIMIT - 3, 10)) == 3
    assert await graph.assoc_range(MUTES, one, LIST_LIMIT, 10) == []


async def test_pages_by_cursor_give_every_edge_once_while_newer_ones_arrive(graph: Graph) -> None:
    dice = random.Random(3)
    (one,) = await graph.shards.next_ids(5)
    others = await graph.shards.next_ids(5, 60)
    await graph.assoc_add_many(MUTES, [(one, Edge(id_, dice.randrange(5), 0)) for id_ in others[:40]])
    seen: list[int] = []
    cursor = START
    while page := await graph.assoc_range(MUTES, one, 0, 7, before=cursor):
        seen += [edge.id2 for edge in page]
        cursor = page[-1].cursor
        await graph.assoc_add(MUTES, one, others[40 + len(seen) // 7], time=100)
    assert sorted(seen) == others[:40]


@given(st.integers(-10, 20_000), st.integers(-10, 20_000))
def test_a_slice_never_reaches_past_the_limit(offset: int, limit: int) -> None:
    from calotype.infra.tao.graph import _clip

    skip, amount = _clip(offset, limit)
    assert skip >= 0 <= amount
    assert skip + amount <= LIST_LIMIT


# Writers that meet


async def test_writers_of_the_same_edges_leave_both_sides_equal(layout_graph: Graph) -> None:
    graph = layout_graph
    dice = random.Random(5)
    ids = [id_ for shard in (0, 1, 2) for id_ in await graph.shards.next_ids(shard, 2)]

    async def write() -> None:
        for _ in range(60):
            one, other = dice.choice(ids), dice.choice(ids)
            match dice.randrange(4):
                case 0:
                    await graph.assoc_del(LIKES, one, other)
                case 1:
                    await graph.assoc_add_many(
                        LIKES, [(id_, Edge(other, 0, 0)) for id_ in dice.sample(ids, 4)]
                    )
                case 2:
                    await graph.assoc_del_many(LIKES, [(one, id_) for id_ in dice.sample(ids, 4)])
                case _:
                    await graph.assoc_add(
                        LIKES, one, other, time=dice.randrange(5), data=Note(dice.randrange(3))
                    )

    await asyncio.gather(*(write() for _ in range(12)))
    await sweep_all(graph)
    report = await check_graph(graph)
    assert (report.wrong, report.waiting) == (0, 0)


async def test_an_edge_that_many_turn_at_once_is_turned_once(layout_graph: Graph) -> None:
    graph = layout_graph
    (one,), (other,) = await graph.shards.next_ids(0), await graph.shards.next_ids(1)
    await graph.assoc_add(LIKES, one, other, time=7, data=Note(7))
    turns = [graph.assoc_change_type(LIKES, LOVES, one, other) for _ in range(8)]
    results = await asyncio.gather(*turns, return_exceptions=True)
    assert sum(isinstance(result, ObjectMissing) for result in results) == 7
    (edge,) = await graph.assoc_get(LOVES, one, [other])
    assert (edge.time, edge.data) == (7, b'{"n": 7}')
    assert await graph.assoc_count(LIKES, one) == 0


async def test_edges_turned_to_and_fro_at_once_do_not_fail(layout_graph: Graph) -> None:
    graph = layout_graph
    ids = await graph.shards.next_ids(0, 6)
    for one in ids:
        await graph.assoc_add_many(LIKES, [(one, Edge(other, 1, 0)) for other in ids])

    async def turn(one: int, other: int) -> None:
        for old, new in ((LIKES, LOVES), (LOVES, LIKES)) * 3:
            await graph.assoc_change_type(old, new, one, other)

    await asyncio.gather(*(turn(one, other) for one in ids for other in ids))
    assert await graph.assoc_count_many(LIKES, ids) == dict.fromkeys(ids, 6)
    assert await graph.assoc_count_many(LOVES, ids) == dict.fromkeys(ids, 0)


async def test_batches_that_cross_each_other_do_not_fail(layout_graph: Graph) -> None:
    graph = layout_graph
    ids = await graph.shards.next_ids(0, 12)

    async def write(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(10):
            rows = [(dice.choice(ids), Edge(dice.choice(ids), 0, 0)) for _ in range(20)]
            await graph.assoc_add_many(FOLLOWS, rows)
            await graph.assoc_del_many(FOLLOWS, [(one, edge.id2) for one, edge in rows])

    await asyncio.gather(*(write(seed) for seed in range(8)))
    assert (await check_graph(graph)).wrong == 0


async def test_many_objects_are_changed_and_those_that_are_not_there_are_left_out(
    layout_graph: Graph,
) -> None:
    made = await layout_graph.obj_add_many(
        Person, [(shard % 8, Person(name=f"n{shard}")) for shard in range(10)]
    )
    absent = (await layout_graph.shards.next_ids(0))[0]
    changes: dict[int, dict[str, object]] = {node.id: {"name": f"new {node.id}"} for node in made}
    changed = await layout_graph.obj_update_many(Person, {**changes, absent: {"name": "nobody"}})
    assert {id_: node.data.name for id_, node in changed.items()} == {
        node.id: f"new {node.id}" for node in made
    }
    assert await layout_graph.obj_get_many(Person, [*changes, absent]) == changed
