"""The steps of a mix by Django: one after the other in one process, as a sync worker takes requests."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import batched
from typing import Any

import msgspec

from benchmarks.mix_data import NEWEST_MS, Data, Note, Texts
from benchmarks.mix_graph import BATCH, NOBODY, since
from benchmarks.mixes import READS, Op, Step


class DjangoRunner:
    """Takes steps by `baselines/rows/cached.py`. Django must have been set up."""

    def __init__(self, data: Data) -> None:
        from benchmarks.baselines.rows import cached

        self.counted = cached.Counted
        self._rows = cached
        self._ids = data.made.ids
        self._texts = Texts(7)
        self._ids_to_come = itertools.count(time.time_ns())  # beyond those of the graph
        self._added: deque[int] = deque()
        self._added_edges: deque[tuple[int, int]] = deque()
        self._operations: dict[Op, Callable[[int, int], object]] = {
            Op.OBJ_GET: lambda first, _: cached.obj_get(self._ids[first]),
            Op.OBJ_ADD: self._obj_add,
            Op.OBJ_UPDATE: self._obj_update,
            Op.OBJ_DELETE: lambda _, __: cached.obj_delete(self._added.popleft() if self._added else NOBODY),
            Op.ASSOC_GET: lambda first, second: cached.assoc_get(self._ids[first], self._ids[second]),
            Op.ASSOC_RANGE: lambda first, _: cached.assoc_range(self._ids[first]),
            Op.ASSOC_TIME_RANGE: lambda first, found: cached.assoc_time_range(self._ids[first], since(found)),
            Op.ASSOC_COUNT: lambda first, _: cached.assoc_count(self._ids[first]),
            Op.ASSOC_ADD: self._assoc_add,
            Op.ASSOC_UPDATE: lambda first, second: cached.assoc_add(
                self._ids[first], self._ids[second], None, self._note()
            ),
            Op.ASSOC_DEL: lambda first, _: cached.assoc_del(*self._oldest(first)),
            Op.ASSOC_CHANGE_TYPE: lambda first, _: cached.assoc_change_type(*self._oldest(first)),
        }

    def take(self, steps: Sequence[Step]) -> None:
        """All of the steps."""
        operations = self._operations
        for op, first, second in steps:
            operations[op](first, second)

    def warm_up(self, steps: Sequence[Step]) -> None:
        """Read what the steps read, many at a time, so that the cache is as they leave it."""
        for some in batched(steps, BATCH):
            self._read_many(some)

    def _read_many(self, steps: Sequence[Step]) -> None:
        ids = self._ids
        by_op = {op: [step for step in steps if step.op is op] for op in READS}
        lists = by_op[Op.ASSOC_RANGE] + by_op[Op.ASSOC_TIME_RANGE]
        self._rows.warm_objects([ids[step.first] for step in by_op[Op.OBJ_GET]])
        self._rows.warm_lists([ids[step.first] for step in lists])
        self._rows.warm_edges([(ids[step.first], ids[step.second]) for step in by_op[Op.ASSOC_GET]])
        self._rows.warm_counts([ids[step.first] for step in by_op[Op.ASSOC_COUNT]])

    def close(self) -> None:
        """Leave memcached: the next mix has one of its own."""
        from django.core.cache import caches

        caches.close_all()

    def _obj_add(self, first: int, _: int) -> None:
        id_ = next(self._ids_to_come)
        data = msgspec.to_builtins(self._texts.item(first))
        self._rows.obj_add(id_, data, time.time_ns() // 1_000_000)
        self._added.append(id_)

    def _obj_update(self, first: int, _: int) -> None:
        changes: dict[str, object] = {"text": self._texts.item(first).text}
        self._rows.obj_update(self._ids[first], changes, time.time_ns() // 1_000_000)

    def _assoc_add(self, first: int, second: int) -> None:
        pair = (self._ids[first], self._ids[second])
        self._rows.assoc_add(*pair, NEWEST_MS, self._note())
        self._added_edges.append(pair)

    def _oldest(self, first: int) -> tuple[int, int]:
        return self._added_edges.popleft() if self._added_edges else (self._ids[first], NOBODY)

    def _note(self) -> Any:
        note: Note | None = self._texts.note()
        return None if note is None else msgspec.to_builtins(note)
