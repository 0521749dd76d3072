"""The steps of a mix on the graph, each as a request of its own would take it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import batched

from benchmarks.mix_data import LINKS, NEWEST_MS, OTHER, STEP_MS, Data, Item, Texts
from benchmarks.mixes import READS, Op, Step
from calotype.infra.shards.tickets import carrying
from calotype.infra.tao import Graph, ObjectMissing
from calotype.infra.tao.types import FIRST
from calotype.std.deadline import deadline

PAGE = 20
BATCH = 1_000
"""Steps of a warm-up that are read together."""
REQUEST_S = 10
"""The deadline of each step: a request's."""

NOBODY = 1 << 40
"""An id that nothing has, of a shard that there is."""

Answer = object
"""Whatever a read has found: false when there was nothing."""


class GraphRunner:
    """Takes steps on a graph. What it adds it deletes again as the mix says, the oldest first."""

    def __init__(self, graph: Graph, data: Data) -> None:
        self._graph = graph
        self._ids = data.made.ids
        self._texts = Texts(7)
        self._shards = sorted(graph.shards.placement.servers["people"])
        self._added: deque[int] = deque()
        self._added_edges: deque[tuple[int, int]] = deque()
        self._operations: dict[Op, Callable[[int, int], Awaitable[Answer]]] = {
            Op.OBJ_GET: self._obj_get,
            Op.OBJ_ADD: self._obj_add,
            Op.OBJ_UPDATE: self._obj_update,
            Op.OBJ_DELETE: self._obj_delete,
            Op.ASSOC_GET: self._assoc_get,
            Op.ASSOC_RANGE: self._assoc_range,
            Op.ASSOC_TIME_RANGE: self._assoc_time_range,
            Op.ASSOC_COUNT: self._assoc_count,
            Op.ASSOC_ADD: self._assoc_add,
            Op.ASSOC_UPDATE: self._assoc_update,
            Op.ASSOC_DEL: self._assoc_del,
            Op.ASSOC_CHANGE_TYPE: self._assoc_change_type,
        }

    async def warm_up(self, steps: Sequence[Step]) -> None:
        """Read what the steps read, many at a time, so that the cache is as they leave it."""
        for some in batched(steps, BATCH):
            await self._read_many([step for step in some if step.op in READS])

    async def _read_many(self, steps: Sequence[Step]) -> None:
        ids = self._ids
        by_op = {op: [step for step in steps if step.op is op] for op in READS}
        lists = by_op[Op.ASSOC_RANGE] + by_op[Op.ASSOC_TIME_RANGE]
        pairs = [(ids[step.first], ids[step.second]) for step in by_op[Op.ASSOC_GET]]
        await self._graph.obj_get_many(Item, [ids[step.first] for step in by_op[Op.OBJ_GET]])
        await self._graph.assoc_range_many(LINKS, [ids[step.first] for step in lists], PAGE)
        await self._graph.assoc_get_many(LINKS, pairs)
        await self._graph.assoc_count_many(LINKS, [ids[step.first] for step in by_op[Op.ASSOC_COUNT]])

    async def take(self, steps: Sequence[Step], tasks: int) -> None:
        """All of the steps, by so many tasks, each of which takes the next one as soon as it is free."""
        shared = iter(steps)
        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(self._work(shared))

    async def _work(self, shared: Iterator[Step]) -> None:
        for step in shared:
            await self.one(step)

    async def one(self, step: Step) -> Answer:
        """One step, with the deadline and the context of a request by somebody who has written nothing lately."""
        with deadline(REQUEST_S), carrying({}):
            return await self._operations[step.op](step.first, step.second)

    # Reads

    def _obj_get(self, first: int, _: int) -> Awaitable[Answer]:
        return self._graph.obj_get(Item, self._ids[first])

    def _assoc_get(self, first: int, second: int) -> Awaitable[Answer]:
        return self._graph.assoc_get(LINKS, self._ids[first], (self._ids[second],))

    def _assoc_range(self, first: int, _: int) -> Awaitable[Answer]:
        return self._graph.assoc_range(LINKS, self._ids[first], 0, PAGE)

    def _assoc_time_range(self, first: int, found: int) -> Awaitable[Answer]:
        """Those since the newest that there was at first, that one included or not."""
        return self._graph.assoc_time_range(LINKS, self._ids[first], FIRST, since(found), PAGE)

    def _assoc_count(self, first: int, _: int) -> Awaitable[Answer]:
        return self._graph.assoc_count(LINKS, self._ids[first])

    # Writes

    async def _obj_add(self, first: int, _: int) -> Answer:
        shard = self._shards[first % len(self._shards)]
        node = await self._graph.obj_add(self._texts.item(first), shard=shard)
        self._added.append(node.id)
        return node

    def _obj_update(self, first: int, _: int) -> Awaitable[Answer]:
        return self._graph.obj_update(Item, self._ids[first], text=self._texts.item(first).text)

    def _obj_delete(self, _: int, __: int) -> Awaitable[Answer]:
        return self._graph.obj_delete(Item, self._added.popleft() if self._added else NOBODY)

    async def _assoc_add(self, first: int, second: int) -> Answer:
        pair = (self._ids[first], self._ids[second])
        written = await self._graph.assoc_add(LINKS, *pair, time=NEWEST_MS, data=self._texts.note())
        self._added_edges.append(pair)
        return written

    def _assoc_update(self, first: int, second: int) -> Awaitable[Answer]:
        return self._graph.assoc_add(LINKS, self._ids[first], self._ids[second], data=self._texts.note())

    def _assoc_del(self, first: int, _: int) -> Awaitable[Answer]:
        pair = self._added_edges.popleft() if self._added_edges else (self._ids[first], NOBODY)
        return self._graph.assoc_del(LINKS, *pair)

    async def _assoc_change_type(self, first: int, _: int) -> Answer:
        pair = self._added_edges.popleft() if self._added_edges else (self._ids[first], NOBODY)
        try:
            return await self._graph.assoc_change_type(LINKS, OTHER, *pair)
        except ObjectMissing:
            return None


def since(found: int) -> int:
    """The oldest time that a time range asks for."""
    return NEWEST_MS - STEP_MS if found else NEWEST_MS + 1


def found_ratios(answers: Iterable[tuple[Op, bool]]) -> dict[Op, float]:
    """How often each operation has found something."""
    asked: Counter[Op] = Counter()
    found: Counter[Op] = Counter()
    for op, anything in answers:
        asked[op] += 1
        found[op] += anything
    return {op: found[op] / asked[op] for op in asked}
