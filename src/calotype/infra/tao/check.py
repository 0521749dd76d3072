"""Prove that no half edge and no wrong count is there while the site is live, and mend what there is.

A forward edge and its inverse lie on two servers, so no snapshot holds both. What differs at a first look is therefore
looked at again, in this order: the forward side together with its outbox, the inverse, the forward side once more. A
message leaves the outbox only after the inverse has committed. So when nothing waits and the forward edge is the same
before and after, an inverse that does not match is wrong, and not just late. A list and its count are one snapshot.

To mend an edge, its present state is sent again under a new version: what must be there appears, what must not becomes
a tombstone, and all of it goes the way of every other write. A count is counted anew while its list is locked.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import batched
from typing import Literal, NamedTuple

import asyncpg
import msgspec

from calotype.infra.ids import shard_of
from calotype.infra.shards import Pool, Shards
from calotype.infra.tao.graph import Graph
from calotype.infra.tao.types import Association, all_associations

EDGES_AT_ONCE = 4_000
LISTS_AT_ONCE = 1_000
SUSPECTS_AT_ONCE = 500
"""What is in memory of each server: no more, however large the graph is."""

LOWEST = -(1 << 63)

_EDGES = """
select a.id1, a.atype, a.id2, a.time, a.data, a.version, a.source_version, c.id1 is not null as counted
from associations a left join association_counts c on (c.shard, c.id1, c.atype) = (a.shard, a.id1, a.atype)
where a.shard = $1 and (a.id1, a.atype, a.id2) > ($2, $3, $4) and not a.deleted
order by a.id1, a.atype, a.id2 limit $5
"""
_LOOK = """
select k.n, a.time, a.data, a.version, a.source_version, a.deleted
from unnest($1::int[], $2::bigint[], $3::int[], $4::bigint[]) with ordinality k (shard, id1, atype, id2, n)
join associations a on (a.shard, a.id1, a.atype, a.id2) = (k.shard, k.id1, k.atype, k.id2)
"""
_FORWARD = """
with waiting as materialized (
    select distinct concat_ws(' ', payload->>'id2', payload->>'atype', payload->>'id1') as edge
    from outbox where kind = 'mirror' and shard = any($1::int[])
        and concat_ws(' ', payload->>'id2', payload->>'atype', payload->>'id1') = any($5::text[])
)
select k.n, c.version as list_version, a.version, a.time, a.data, k.edge in (select edge from waiting) as waiting
from unnest($1::int[], $2::bigint[], $3::int[], $4::bigint[], $5::text[]) with ordinality k (shard, id1, atype, id2, edge, n)
left join association_counts c on (c.shard, c.id1, c.atype) = (k.shard, k.id1, k.atype)
left join associations a on (a.shard, a.id1, a.atype, a.id2) = (k.shard, k.id1, k.atype, k.id2)
"""
_COUNTS = """
select c.id1, c.atype, c.count <> (
    select count(*) from associations a where a.shard = c.shard and a.id1 = c.id1 and a.atype = c.atype and not a.deleted
) as wrong
from association_counts c where c.shard = $1 and (c.id1, c.atype) > ($2, $3) order by c.id1, c.atype limit $4
"""
_LOCK = "select lock_list($1, $2, $3)"
_RECOUNT = """
update association_counts c set count = l.count, version = greatest(c.version, l.version) + 1
from (
    select count(*) filter (where not deleted) as count, coalesce(max(version), 0) as version
    from associations where shard = $1 and id1 = $2 and atype = $3
) l
where c.shard = $1 and c.id1 = $2 and c.atype = $3 and c.count <> l.count
"""

Progress = Callable[[int, int], None]
"""Called with (logical shards done, of all)."""


class CheckReport(msgspec.Struct):
    """What was looked at and what is wrong with it. Objects and edges of undeclared types are not looked at."""

    edges: int = 0
    lists: int = 0
    missing_inverses: int = 0
    orphan_inverses: int = 0
    different_inverses: int = 0
    """There, but with another time, data or version than the forward edge."""
    wrong_counts: int = 0
    waiting: int = 0
    """Edges that differ because their message still waits in the outbox, or that somebody is writing: not wrong."""
    repaired: int = 0

    @property
    def wrong(self) -> int:
        return self.missing_inverses + self.orphan_inverses + self.different_inverses + self.wrong_counts


class _Row(NamedTuple):
    """One row of an association list, either direction. `source_version` is None in the forward one."""

    time: int
    data: bytes | None
    version: int
    source_version: int | None
    deleted: bool = False


class _Forward(NamedTuple):
    """A forward edge at one moment; `version` is None when it is not there."""

    list_version: int
    version: int | None
    time: int | None
    data: bytes | None
    waiting: bool


class _Key(NamedTuple):
    assoc: Association
    id1: int
    id2: int

    @property
    def other(self) -> _Key:
        """The same edge from its other end."""
        assert self.assoc.inverse is not None
        return _Key(self.assoc.inverse, self.id2, self.id1)

    @property
    def forward(self) -> _Key:
        return self if self.assoc.forward else self.other


Verdict = Literal["right", "waiting", "missing", "orphan", "different"]


async def check_graph(
    graph: Graph, *, repair: bool = False, progress: Progress = lambda done, total: None
) -> CheckReport:
    """Look at every edge and every count; with `repair`, mend what is wrong. All servers must answer."""
    report = CheckReport()
    by_pool = shards_by_pool(graph.shards)
    total, done = sum(map(len, by_pool.values())), 0

    async def check_server(pool: Pool, shards: list[int]) -> None:
        nonlocal done
        for shard in shards:
            place = _Check(graph, pool, shard, repair, report)
            await place.edges()
            await place.counts()
            done += 1
            progress(done, total)

    try:
        async with asyncio.TaskGroup() as servers:
            for pool, shards in by_pool.items():
                servers.create_task(check_server(pool, shards))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return report


def shards_by_pool(shards: Shards) -> dict[Pool, list[int]]:
    """The logical shards of each physical server."""
    found: dict[Pool, set[int]] = defaultdict(set)
    for partition in shards.placement.servers:
        for shard in shards.placement.shards(partition):
            found[shards.pool(partition, shard)].add(shard)
    return {pool: sorted(some) for pool, some in found.items()}


class _Check:
    """One logical shard on one server."""

    def __init__(self, graph: Graph, pool: Pool, shard: int, repair: bool, report: CheckReport) -> None:
        self.graph = graph
        self.pool = pool
        self.shard = shard
        self.repair = repair
        self.report = report
        self.known = {
            assoc.number: assoc
            for assoc in all_associations()
            if graph.shards.find(assoc.partition, shard) is pool
        }

    async def edges(self) -> None:
        after = (LOWEST, 0, 0)
        while rows := await self.pool.fetch(_EDGES, self.shard, *after, EDGES_AT_ONCE):
            begun = after[:2]  # the list that the last batch ended in
            after = (rows[-1]["id1"], rows[-1]["atype"], rows[-1]["id2"])
            known = [row for row in rows if row["atype"] in self.known]
            self.report.edges += len(known)
            await self._lists({(row["id1"], row["atype"]) for row in known if not row["counted"]} - {begun})
            for suspects in batched(await self._first_look(known), SUSPECTS_AT_ONCE):
                await self._second_look(suspects)

    async def _first_look(self, rows: list[asyncpg.Record]) -> list[_Key]:
        """The edges (forward) of those rows whose other side is not as it must be."""
        here: dict[_Key, _Row] = {}
        for row in rows:
            assoc = self.known[row["atype"]]
            if assoc.inverse is not None:
                here[_Key(assoc, row["id1"], row["id2"])] = _Row(
                    row["time"], row["data"], row["version"], row["source_version"]
                )
        there = await _look(self.graph.shards, [key.other for key in here])
        return [key.forward for key, row in here.items() if not _match(key, row, there.get(key.other))]

    async def _second_look(self, suspects: Sequence[_Key]) -> None:
        before = await _look_forward(self.graph.shards, suspects)
        inverses = await _look(self.graph.shards, [key.other for key in suspects])
        after = await _look_forward(self.graph.shards, suspects)
        for key in suspects:
            inverse = inverses.get(key.other)
            verdict = judge(before[key], inverse, after[key])
            self._count(verdict)
            if self.repair and verdict not in ("right", "waiting"):
                await self._mend(key, inverse)

    def _count(self, verdict: Verdict) -> None:
        match verdict:
            case "missing":
                self.report.missing_inverses += 1
            case "orphan":
                self.report.orphan_inverses += 1
            case "different":
                self.report.different_inverses += 1
            case "waiting":
                self.report.waiting += 1

    async def _mend(self, key: _Key, inverse: _Row | None) -> None:
        newer_than = (inverse.source_version or 0) if inverse else 0
        async with self.graph.transaction(key.assoc.partition, shard_of(key.id1)) as write:
            await write.edge_again(key.assoc, key.id1, key.id2, newer_than)
        self.report.repaired += 1

    async def counts(self) -> None:
        after = (LOWEST, 0)
        while rows := await self.pool.fetch(_COUNTS, self.shard, *after, LISTS_AT_ONCE):
            after = (rows[-1]["id1"], rows[-1]["atype"])
            known = [row for row in rows if row["atype"] in self.known]
            self.report.lists += len(known)
            await self._lists({(row["id1"], row["atype"]) for row in known if row["wrong"]})

    async def _lists(self, wrong: Iterable[tuple[int, int]]) -> None:
        """Lists whose count is wrong, or not there at all."""
        for id1, atype in wrong:
            self.report.wrong_counts += 1
            if self.repair:
                async with self.graph.transaction(self.known[atype].partition, self.shard) as write:
                    await write.run(
                        _LOCK, self.shard, id1, atype
                    )  # a statement of its own: the next one sees what it waited for
                    await write.run(_RECOUNT, self.shard, id1, atype)
                self.report.repaired += 1


def judge(before: _Forward, inverse: _Row | None, after: _Forward) -> Verdict:
    """What the three looks at one edge, in this order, prove."""
    if before.waiting or after.waiting or before.version != after.version:
        return "waiting"
    seen = None if inverse is None or inverse.deleted else inverse
    mirrored = (inverse.source_version or 0) if inverse else 0
    if (
        before.list_version < mirrored <= after.list_version
    ):  # of a write between the looks that was undone since
        return "waiting"
    if before.version is None:
        return "right" if seen is None else "orphan"
    if seen is None:
        return "missing"
    same = (seen.time, seen.data, seen.source_version) == (before.time, before.data, before.version)
    return "right" if same else "different"


def _match(key: _Key, row: _Row, other: _Row | None) -> bool:
    if other is None or other.deleted:
        return False
    if not key.assoc.forward:  # whether it matches is seen from the forward side
        return True
    return (other.time, other.data, other.source_version) == (row.time, row.data, row.version)


async def _look(shards: Shards, keys: Sequence[_Key]) -> dict[_Key, _Row]:
    """Those of the rows that are there, tombstones too."""

    async def ask(pool: Pool, some: list[_Key]) -> list[tuple[_Key, _Row]]:
        rows = await pool.fetch(_LOOK, *_columns(some))
        return [(some[row[0] - 1], _Row(*row[1:])) for row in rows]

    return dict(await _ask_each(shards, keys, ask))


async def _look_forward(shards: Shards, keys: Sequence[_Key]) -> dict[_Key, _Forward]:
    """Each of the forward edges, and whether a message about it waits: one snapshot."""

    async def ask(pool: Pool, some: list[_Key]) -> list[tuple[_Key, _Forward]]:
        edges = [f"{key.id1} {key.other.assoc.number} {key.id2}" for key in some]
        rows = await pool.fetch(_FORWARD, *_columns(some), edges)
        return [(some[row[0] - 1], _Forward(row[1] or 0, *row[2:])) for row in rows]

    return dict(await _ask_each(shards, keys, ask))


def _columns(keys: list[_Key]) -> tuple[list[int], list[int], list[int], list[int]]:
    return (
        [shard_of(key.id1) for key in keys],
        [key.id1 for key in keys],
        [key.assoc.number for key in keys],
        [key.id2 for key in keys],
    )


async def _ask_each[V](
    shards: Shards, keys: Sequence[_Key], ask: Callable[[Pool, list[_Key]], Awaitable[list[tuple[_Key, V]]]]
) -> list[tuple[_Key, V]]:
    by_pool: dict[Pool, list[_Key]] = defaultdict(list)
    for key in keys:
        by_pool[shards.pool(key.assoc.partition, shard_of(key.id1))].append(key)
    return [found for pool, some in by_pool.items() for found in await ask(pool, some)]
