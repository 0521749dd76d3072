"""Random histories of the graph against a plain dictionary, on both placements of the partitions."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from calotype.infra.shards import AbsentShard, Shards
from calotype.infra.tao import (
    FIRST,
    START,
    Association,
    Cursor,
    Edge,
    Graph,
    ObjectMissing,
    VersionConflict,
    check_graph,
)
from tests.infra.tao.cached import cached_graph
from tests.infra.tao.world import LIKES, LOVES, MUTES, PAIRS, Note, Person, Photo
from tests.memcached import RunningMemcached
from tests.site import Layout, RunningCluster, create_site

SHARDS = (0, 1, 2, 5)
"""Two of the eight on each server, so that edges stay on a shard, leave it, and leave their server."""

FORWARD: list[Association] = [*PAIRS, MUTES]
ABSENT = [-1, 1 << 62, 7000 << 10 | 5, 0x7FFF_FFFF_FFFF_FFFF]
"""Ids that nobody made: negative, of logical shards that do not exist, the last one."""

assocs = st.sampled_from(FORWARD)
every_assoc = st.sampled_from([*FORWARD, *PAIRS.values()])
places = st.integers(0, 2 * len(SHARDS) - 1)
times = st.integers(1, 6)
notes = st.none() | st.builds(Note, st.integers(0, 1))

Stored = tuple[int, bytes | None]
"""(time, data) of an edge."""


def plain(data: bytes | None) -> object:
    return None if data is None else msgspec.json.decode(data)


class GraphMachine(RuleBasedStateMachine):
    """`edges` is the model: (association, id1) -> id2 -> (time, note), both directions."""

    runner: ClassVar[asyncio.Runner]
    graph: ClassVar[Graph]

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[int, tuple[type[Any], msgspec.Struct, int]] = {}
        self.gone: list[int] = []
        self.edges: dict[tuple[Association, int], dict[int, tuple[int, Note | None]]] = {}
        self.versions: dict[tuple[Association, int], int] = {}
        self.ids: list[int] = []

    def run[T](self, awaitable: Any) -> Any:
        return self.runner.run(awaitable)

    @initialize()
    def new_ids(self) -> None:
        for shard in SHARDS:
            self.ids += self.run(self.graph.shards.next_ids(shard, 2))

    # Objects

    @rule(shard=st.sampled_from(SHARDS), person=st.booleans(), text=st.text(max_size=5), own_id=st.booleans())
    def add_an_object(self, shard: int, person: bool, text: str, own_id: bool) -> None:
        data = Person(text.replace("\0", "")) if person else Photo(text.replace("\0", ""))
        id_ = self.run(self.graph.shards.next_ids(shard))[0] if own_id else None
        node = self.run(self.graph.obj_add(data, shard=shard, id_=id_))
        assert node.data == data
        assert node.version == 1
        assert node.created == node.updated
        assert id_ is None or node.id == id_
        assert node.id not in self.objects
        self.objects[node.id] = (type(data), data, 1)

    @rule(shards=st.lists(st.sampled_from(SHARDS), max_size=6))
    def add_many_objects(self, shards: list[int]) -> None:
        rows = [(shard, Person(f"p{at}")) for at, shard in enumerate(shards)]
        nodes = self.run(self.graph.obj_add_many(Person, rows))
        assert [node.data for node in nodes] == [data for _, data in rows]
        assert [node.id >> 10 & 8191 for node in nodes] == shards
        self.objects |= {node.id: (Person, node.data, 1) for node in nodes}

    @precondition(lambda self: self.objects)
    @rule(
        data=st.data(), as_person=st.booleans(), number=st.integers(0, 3), guess=st.none() | st.integers(1, 3)
    )
    def update_an_object(self, data: st.DataObject, as_person: bool, number: int, guess: int | None) -> None:
        id_ = data.draw(st.sampled_from([*self.objects, *self.gone, *ABSENT[-1:]]))
        struct, field = (Person, "cats") if as_person else (Photo, "width")
        known = self.objects.get(id_)
        update = self.graph.obj_update(struct, id_, if_version=guess, **{field: number})
        if known is None or known[0] is not struct:
            with pytest.raises((ObjectMissing, AbsentShard)):
                self.run(update)
        elif guess not in (None, known[2]):
            with pytest.raises(VersionConflict):
                self.run(update)
        else:
            node = self.run(update)
            changed = msgspec.structs.replace(known[1], **{field: number})
            assert (node.data, node.version) == (changed, known[2] + 1)
            self.objects[id_] = (struct, changed, known[2] + 1)

    @precondition(lambda self: self.objects)
    @rule(data=st.data(), as_person=st.booleans())
    def delete_an_object(self, data: st.DataObject, as_person: bool) -> None:
        id_ = data.draw(st.sampled_from([*self.objects, *self.gone, *ABSENT]))
        struct = Person if as_person else Photo
        there = id_ in self.objects and self.objects[id_][0] is struct
        assert self.run(self.graph.obj_delete(struct, id_)) is there
        if there:
            del self.objects[id_]
            self.gone.append(id_)

    @rule()
    def objects_are_what_was_written_one_by_one_and_together(self) -> None:
        asked = [*self.objects, *self.gone, *ABSENT]
        for struct in (Person, Photo):
            want = {id_: (data, v) for id_, (kind, data, v) in self.objects.items() if kind is struct}
            many = self.run(self.graph.obj_get_many(struct, [*asked, *asked[:2]]))
            assert {id_: (node.data, node.version) for id_, node in many.items()} == want
            for id_ in asked[-6:]:
                assert self.run(self.graph.obj_get(struct, id_)) == many.get(id_)

    # Associations

    def put(self, assoc: Association, id1: int, id2: int, value: tuple[int, Note | None] | None) -> None:
        ends = [(assoc, id1, id2)]
        if assoc in PAIRS:
            ends.append((PAIRS[assoc], id2, id1))
        for kind, one, other in ends:
            edges = self.edges.setdefault((kind, one), {})
            if value is None:
                edges.pop(other, None)
            else:
                edges[other] = value

    def expect(self, assoc: Association, id1: int, id2: int, value: tuple[int, Note | None] | None) -> bool:
        """Whether this write changes anything; the model is changed with it."""
        changed = self.edges.get((assoc, id1), {}).get(id2) != value
        if changed:
            self.put(assoc, id1, id2, value)
            self.versions[assoc, id1] = self.versions.get((assoc, id1), 0) + 1
        return changed

    @rule(assoc=assocs, one=places, other=places, time=st.none() | times, note=notes)
    def add_an_edge(
        self, assoc: Association, one: int, other: int, time: int | None, note: Note | None
    ) -> None:
        id1, id2 = self.ids[one], self.ids[other]
        before = self.edges.get((assoc, id1), {}).get(id2)
        written = self.run(self.graph.assoc_add(assoc, id1, id2, time=time, data=note))
        if time is not None:
            assert written.time == time
        elif before is not None:
            assert written.time == before[0]
        assert written.changed is self.expect(assoc, id1, id2, (written.time, note))
        assert written.version == self.versions[assoc, id1]

    @rule(assoc=assocs, one=places, other=places)
    def delete_an_edge(self, assoc: Association, one: int, other: int) -> None:
        id1, id2 = self.ids[one], self.ids[other]
        written = self.run(self.graph.assoc_del(assoc, id1, id2))
        assert written.changed is self.expect(assoc, id1, id2, None)
        assert written.version == self.versions.get((assoc, id1), 0)

    @rule(
        assoc=assocs,
        pairs=st.lists(st.tuples(places, places), max_size=12, unique=True),
        time=times,
        note=notes,
    )
    def add_many_edges(
        self, assoc: Association, pairs: list[tuple[int, int]], time: int, note: Note | None
    ) -> None:
        data = None if note is None else msgspec.json.encode(note)
        rows = [(self.ids[one], Edge(self.ids[other], time, 0, data)) for one, other in pairs]
        changed = self.run(self.graph.assoc_add_many(assoc, rows))
        assert changed == [self.expect(assoc, id1, edge.id2, (time, note)) for id1, edge in rows]

    @rule(assoc=assocs, pairs=st.lists(st.tuples(places, places), max_size=12, unique=True))
    def delete_many_edges(self, assoc: Association, pairs: list[tuple[int, int]]) -> None:
        rows = [(self.ids[one], self.ids[other]) for one, other in pairs]
        changed = self.run(self.graph.assoc_del_many(assoc, rows))
        assert changed == [self.expect(assoc, id1, id2, None) for id1, id2 in rows]

    @rule(one=places, other=places, back=st.booleans())
    def change_the_type_of_an_edge(self, one: int, other: int, back: bool) -> None:
        old, new = (LOVES, LIKES) if back else (LIKES, LOVES)
        id1, id2 = self.ids[one], self.ids[other]
        edge = self.edges.get((old, id1), {}).get(id2)
        change = self.graph.assoc_change_type(old, new, id1, id2)
        if edge is None:
            with pytest.raises(ObjectMissing):
                self.run(change)
            return
        written = self.run(change)
        assert self.expect(old, id1, id2, None)
        assert written.changed is self.expect(new, id1, id2, edge)

    # Reads

    def newest_first(self, assoc: Association, id1: int) -> list[tuple[int, int, Note | None]]:
        """(time, id2, note)"""
        edges = self.edges.get((assoc, id1), {})
        return sorted(
            ((time, id2, note) for id2, (time, note) in edges.items()), key=lambda e: e[:2], reverse=True
        )

    def seen(self, edges: list[Edge]) -> list[tuple[int, int, Note | None]]:
        return [
            (edge.time, edge.id2, None if edge.data is None else msgspec.json.decode(edge.data, type=Note))
            for edge in edges
        ]

    @rule(
        assoc=every_assoc,
        one=places,
        offset=st.integers(-1, 4),
        limit=st.integers(-1, 5),
        cursor=st.none() | st.tuples(times, places),
    )
    def ranges_are_slices_of_the_list(
        self, assoc: Association, one: int, offset: int, limit: int, cursor: tuple[int, int] | None
    ) -> None:
        id1 = self.ids[one]
        before: Cursor = START if cursor is None else (cursor[0], self.ids[cursor[1]])
        after = [edge for edge in self.newest_first(assoc, id1) if edge[:2] < before]
        skip, amount = max(offset, 0), max(limit, 0)
        edges = self.run(self.graph.assoc_range(assoc, id1, offset, limit, before=before))
        assert self.seen(edges) == after[skip : skip + amount]

    @rule(assoc=every_assoc, one=places, low=times, high=times, limit=st.integers(0, 5))
    def time_ranges_include_both_ends(
        self, assoc: Association, one: int, low: int, high: int, limit: int
    ) -> None:
        id1 = self.ids[one]
        want = [edge for edge in self.newest_first(assoc, id1) if low <= edge[0] <= high][:limit]
        assert self.seen(self.run(self.graph.assoc_time_range(assoc, id1, high, low, limit))) == want
        some = self.run(self.graph.assoc_get(assoc, id1, [*self.ids, *ABSENT], high=high, low=low))
        assert self.seen(some)[:limit] == want

    @rule(
        assoc=every_assoc,
        chosen=st.lists(places, max_size=6),
        limit=st.integers(-1, 6),
        cursor=st.none() | times,
    )
    def merges_are_the_newest_of_all_lists(
        self, assoc: Association, chosen: list[int], limit: int, cursor: int | None
    ) -> None:
        before: Cursor = START if cursor is None else (cursor, FIRST)
        id1s = [self.ids[one] for one in chosen]
        all_of_them = [
            (id1, edge)
            for id1 in dict.fromkeys(id1s)
            for edge in self.newest_first(assoc, id1)
            if edge[:2] < before
        ]
        merged = self.run(self.graph.assoc_merge(assoc, [*id1s, *ABSENT], limit, before=before))
        cursors = sorted((edge[:2] for _, edge in all_of_them), reverse=True)[: max(limit, 0)]
        assert [edge.cursor for _, edge in merged] == cursors
        assert {(id1, self.seen([edge])[0]) for id1, edge in merged} <= set(all_of_them)
        after: Cursor = (0, 0) if cursor is None else (cursor, 0)
        above = sorted(
            edge[:2]
            for id1 in dict.fromkeys(id1s)
            for edge in self.newest_first(assoc, id1)
            if edge[:2] > after
        )[: max(limit, 0)]
        upwards = self.run(self.graph.assoc_merge(assoc, [*id1s, *ABSENT], limit, after=after))
        assert [edge.cursor for _, edge in upwards] == above[::-1]

    @rule()
    def lists_and_counts_are_the_model_one_by_one_and_together(self) -> None:
        for assoc in [*FORWARD, *PAIRS.values()]:
            asked = [*self.ids, *ABSENT]
            ranges = self.run(self.graph.assoc_range_many(assoc, asked, 100))
            counts = self.run(self.graph.assoc_count_many(assoc, asked))
            pairs = [(id1, id2) for id1 in asked for id2 in asked]
            edges = self.run(self.graph.assoc_get_many(assoc, pairs))
            for id1 in asked:
                want = self.newest_first(assoc, id1)
                assert self.seen(ranges[id1]) == want
                assert counts[id1] == len(want)
                assert {id2 for one, id2 in edges if one == id1} == {id2 for _, id2, _ in want}
        one = self.ids[0]
        assert self.run(self.graph.assoc_count(LIKES, one)) == len(self.newest_first(LIKES, one))
        either = {id2 for assoc in (LIKES, LOVES) for _, id2, _ in self.newest_first(assoc, one)}
        assert self.run(self.graph.assoc_among((LIKES, LOVES), one, [*self.ids, *ABSENT])) == either
        assert self.run(self.graph.assoc_among((LIKES, LOVES), ABSENT[0], self.ids)) == set()

    def teardown(self) -> None:
        if self.ids:
            self.lists_and_counts_are_the_model_one_by_one_and_together()


def run_machine(
    clusters: dict[str, RunningCluster], layout: Layout, prefix: str, memcached: RunningMemcached | None
) -> None:
    with asyncio.Runner() as runner:
        site = runner.run(create_site(clusters, prefix=prefix, shards=8, layout=layout))
        stack = AsyncExitStack()
        shards = runner.run(stack.enter_async_context(Shards(site.control_dsn, site.servers)))
        graph = (
            Graph(shards)
            if memcached is None
            else runner.run(stack.enter_async_context(cached_graph(shards, memcached.address)))
        )
        GraphMachine.runner, GraphMachine.graph = runner, graph
        try:
            run_state_machine_as_test(
                GraphMachine,
                settings=settings(
                    max_examples=35,
                    stateful_step_count=40,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
            report = runner.run(check_graph(graph))
            assert report.wrong == report.waiting == 0
            assert report.lists > 100
        finally:
            runner.run(stack.aclose())


def test_the_graph_does_what_a_dictionary_would(clusters: dict[str, RunningCluster], layout: Layout) -> None:
    run_machine(clusters, layout, f"machine_{layout}_", None)


@pytest.mark.memcached
def test_over_a_cache_it_does_the_same(
    clusters: dict[str, RunningCluster], layout: Layout, memcached: RunningMemcached
) -> None:
    run_machine(clusters, layout, f"cached_{layout}_", memcached)
