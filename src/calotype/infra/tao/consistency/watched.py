"""What the checker knows of one commit log: which keys its rows are about, and how to read them on the primary."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from calotype.infra.invalidation import Change, Operation
from calotype.infra.shards import Pool
from calotype.infra.tao.consistency.judging import UNTOLD, Kind, Known, Subject
from calotype.infra.tao.consistency.kinds import EDGES, LISTS, LONG_LISTS, OBJECTS
from calotype.infra.tao.reads import EdgeKey, ListKey

_OBJECTS = """
select id, version from objects where shard = $1 and id >= (
    select min(id) + (random() * (max(id) - min(id)))::bigint from objects where shard = $1
) order by id limit $2
"""
_LISTS = """
select id1, atype, version from association_counts where shard = $1 and id1 >= (
    select min(id1) + (random() * (max(id1) - min(id1)))::bigint from association_counts where shard = $1
) order by id1, atype limit $2
"""
_EDGES = """
select id1, atype, id2, version from associations where shard = $1 and not deleted and id1 >= (
    select min(id1) + (random() * (max(id1) - min(id1)))::bigint from associations where shard = $1
) order by id1, atype, id2 limit $2
"""


class Watched(Protocol):
    """The data of one commit log. `pool`: its primary."""

    pool: Pool

    def written(self, changes: Sequence[Change]) -> Iterable[tuple[Subject, Known]]:
        """What the rows of one transaction, or of a part of it, are about, with their versions."""
        ...

    async def random(self, amount: int) -> Sequence[tuple[Subject, Known]]:
        """About so many of the rows that there are, with their versions; cheap, however many there are."""
        ...


async def read(pool: Pool, subjects: Collection[Subject]) -> dict[Subject, object]:
    """What the primary says of each now, one statement a kind; what has no row is missing."""
    by_kind: dict[Kind[object, object], list[Subject]] = defaultdict(list)
    for subject in subjects:
        by_kind[subject.kind].append(subject)
    rows: dict[Subject, object] = {}
    for kind, some in by_kind.items():
        found = await kind.read(pool, [subject.k for subject in some])
        rows |= {subject: found[subject.k] for subject in some if subject.k in found}
    return rows


class GraphLog:
    """A physical server with these logical shards."""

    def __init__(self, pool: Pool, shards: Sequence[int]) -> None:
        self.pool = pool
        self._shards = shards

    def written(self, changes: Sequence[Change]) -> Iterator[tuple[Subject, Known]]:
        """The version of an edge that was deleted is that of its list, whose row follows in the same transaction."""
        versions = dict(_list_version(change) for change in changes if _is_count(change))
        for change in changes:
            match change.relation:
                case "calotype.objects":
                    yield Subject(OBJECTS, change.number("id")), _version(change)
                case "calotype.associations":
                    k = _edge(change)
                    known = (
                        versions.get(k[:2], UNTOLD)
                        if change.operation is Operation.DELETE
                        else _version(change)
                    )
                    yield Subject(EDGES, k), known
        for list_, version in versions.items():
            yield Subject(LISTS, list_), version
            yield Subject(LONG_LISTS, list_), version

    async def random(self, amount: int) -> list[tuple[Subject, Known]]:
        """From a random place of a random logical shard."""
        if not self._shards:
            return []
        shard = random.choice(self._shards)  # noqa: S311  nobody gains by guessing it
        each = max(amount // 4, 1)
        lists = [((row[0], row[1]), row[2]) for row in await self.pool.fetch(_LISTS, shard, each)]
        return [
            *((Subject(OBJECTS, row[0]), row[1]) for row in await self.pool.fetch(_OBJECTS, shard, each)),
            *((Subject(LISTS, k), version) for k, version in lists),
            *((Subject(LONG_LISTS, k), version) for k, version in lists),
            *((Subject(EDGES, tuple(row)[:3]), row[3]) for row in await self.pool.fetch(_EDGES, shard, each)),
        ]


def _is_count(change: Change) -> bool:
    """A row that was just made for a list to be locked has version 0 and tells nothing."""
    return (
        change.relation == "calotype.association_counts"
        and change.operation is not Operation.DELETE
        and change.row["version"] != "0"
    )


def _list_version(change: Change) -> tuple[ListKey, int]:
    return (change.number("id1"), change.number("atype")), change.number("version")


def _edge(change: Change) -> EdgeKey:
    return change.number("id1"), change.number("atype"), change.number("id2")


def _version(change: Change) -> Known:
    return UNTOLD if change.operation is Operation.DELETE else change.number("version")
