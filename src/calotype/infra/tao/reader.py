"""The graph's reads: from what this request or process has read already, from memcached, from PostgreSQL.

Which of them may answer depends on who asks. Somebody who has just written to a server (a ticket, `shards.tickets`) is
shown nothing older: until their region has followed that server's log so far, they read the primary, past all caches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from calotype.infra.cache import HotKeys, Key
from calotype.infra.ids import shard_of
from calotype.infra.invalidation import RegionCache, access
from calotype.infra.shards import Pool, Shards, Tickets
from calotype.infra.shards.tickets import current
from calotype.infra.tao import reads
from calotype.infra.tao.batching import Batcher
from calotype.infra.tao.entries import Counts, Edges, Family, Objects, Prefixes
from calotype.infra.tao.keys import object_key, outdated_by_edge
from calotype.infra.tao.prefix import SIZES, Prefix, PrefixKey, RangeKey, size_for
from calotype.infra.tao.reads import CountRow, EdgeKey, EdgeRow, ListKey, ObjectRow
from calotype.infra.tao.types import LIST_LIMIT, Cursor, Edge, Node, ObjectType


@dataclass(slots=True)
class _Sought[K]:
    """Keys of one read by where they are to be found. `cached`: key of the cache -> what is asked for. `past`: what must
    not be answered by the cache, by the server to ask. `sources`: server -> where to read what the cache has not.
    """

    cached: dict[Key, K] = field(default_factory=dict)
    past: dict[Pool, list[K]] = field(default_factory=dict)
    sources: dict[Pool, Pool] = field(default_factory=dict)


class Reader:
    """One a graph. Keys of shards that do not exist are missing from every answer."""

    def __init__(self, shards: Shards, cache: RegionCache | None) -> None:
        self._shards = shards
        self._cache = cache
        self._object_rows: Batcher[int, ObjectRow] = Batcher(reads.objects)
        self._count_rows: Batcher[ListKey, CountRow] = Batcher(reads.counts)
        self._edge_rows: Batcher[EdgeKey, EdgeRow] = Batcher(reads.edge_rows)
        self._prefix_rows: Batcher[PrefixKey, Prefix] = Batcher(reads.prefixes)
        self._range_rows: Batcher[RangeKey, list[Edge]] = Batcher(reads.ranges)
        self._objects: dict[int, Objects[Any]] = {}
        self._counts, self._edges = Counts(), Edges()
        self._hot_lists: HotKeys[ListKey, Prefix] = HotKeys()
        self._prefixes = {size: Prefixes(size, self._hot_lists) for size in SIZES}

    # What is asked for

    async def objects[T](self, kind: ObjectType[T], ids: Iterable[int]) -> dict[int, Node[T]]:
        """Those of the objects that exist and are of this type."""
        family: Objects[T] | None = self._objects.get(kind.number)
        if family is None:
            family = self._objects[kind.number] = Objects(kind)
        found = await self._read(family, self._object_rows, kind.partition, ids)
        return {id_: node for id_, node in found.items() if isinstance(node, Node)}

    async def counts(self, partition: str, ks: Iterable[ListKey]) -> dict[ListKey, CountRow]:
        return await self._read(self._counts, self._count_rows, partition, ks)

    async def edges(self, partition: str, ks: Iterable[EdgeKey]) -> dict[EdgeKey, Edge]:
        """Those that exist."""
        found = await self._read(self._edges, self._edge_rows, partition, ks)
        return {k: row.edge for k, row in found.items() if row.edge is not None}

    async def ranges(self, partition: str, ks: Mapping[ListKey, RangeKey]) -> dict[ListKey, list[Edge]]:
        """A slice of each list: of the prefixes that are kept, where these reach far enough."""
        if self._cache is None or not ks:
            return await self._slices(partition, ks)
        first = next(iter(ks.values()))
        family = self._prefixes[size_for(first.offset + first.limit)]
        found = await self._read(family, self._prefix_rows, partition, ks, only_cached=True)
        out: dict[ListKey, list[Edge]] = {}
        short: dict[ListKey, Prefix | None] = {}
        for k, range_key in ks.items():
            prefix = found.get(k)
            edges = None if prefix is None else prefix.slice(range_key)
            if edges is None:
                short[k] = prefix
            else:
                out[k] = edges
        if short:
            out |= await self._longer(partition, ks, short)
        return out

    async def merged(
        self, partition: str, atype: int, id1s: Iterable[int], place: Cursor, limit: int, *, upwards: bool
    ) -> list[tuple[int, Edge]]:
        """The associations of all these lists nearest to a place: always of the database, one statement a server."""
        by_pool: dict[Pool, list[int]] = {}
        for id1 in id1s:
            if pool := self._shards.find(partition, shard_of(id1)):
                by_pool.setdefault(pool, []).append(id1)
        tickets = current()
        pending = [
            reads.merged(access(self._cache, pool, tickets)[0], some, atype, place, limit, upwards=upwards)
            for pool, some in by_pool.items()
        ]
        return [row for rows in await asyncio.gather(*pending) for row in rows]

    async def claimed(self, partition: str, shard: int, kind: str, key: str) -> tuple[int, int] | None:
        """(id, created) of a claim, as this reader's region knows it."""
        source, _ = access(self._cache, self._shards.pool(partition, shard), current())
        rows = await source.fetch(reads.CLAIMED, shard, kind, key)
        return (rows[0][0], rows[0][1]) if rows else None

    async def outdate(self, pool: Pool, objects: Iterable[int], edges: Iterable[EdgeKey]) -> None:
        """What a writer does after its commit on a server, for its region to show it at once. Best effort: the commit
        log's consumer does it again."""
        space = None if self._cache is None else self._cache.progress.spaces.get(pool.name)
        if self._cache is None or space is None:
            return
        outdated: dict[Key, None] = {}
        for id_ in objects:
            outdated[object_key(space, id_)] = None
            for family in self._objects.values():
                family.hot.drop((id_,))
        for edge in edges:
            outdated |= dict.fromkeys(outdated_by_edge(space, *edge))
            self._edges.hot.drop((edge,))
            self._counts.hot.drop((edge[:2],))
            self._hot_lists.drop((edge[:2],))
        if outdated:
            await self._cache.cache.delete(list(outdated))

    # How it is found

    async def _read[K, Q, R, V](
        self,
        family: Family[K, Q, R, V],
        rows: Batcher[Q, R],
        partition: str,
        ks: Iterable[K],
        *,
        only_cached: bool = False,
    ) -> dict[K, V]:
        """`only_cached`: leave out what the cache must not answer."""
        tickets = current()
        out: dict[K, V] = {}
        window: dict[K, V] = {}
        read: dict[K, V] = {}
        if self._cache is not None:
            if tickets is None or not tickets.fresh_only:
                window = family.hot.window()
            if tickets is not None and not tickets.written:
                read = cast("dict[K, V]", tickets.read.setdefault(family.hot, {}))
        missing: list[K] = []
        for k in ks:
            known = window.get(k)
            if known is None and read:
                known = read.get(k)
            if known is None:
                missing.append(k)
            else:
                out[k] = known
        if missing:
            sought = self._seek(family, partition, missing, tickets)
            if sought.cached:
                assert self._cache is not None
                found = await self._cache.through.read(
                    sought.cached,
                    family,
                    lambda ks: self._load(family, rows, partition, sought.sources, ks),
                    stale_allowed=tickets is None or not tickets.fresh_only,
                )
                family.hot.saw(window, found)
                if tickets is not None:
                    read.update(found)
                out.update(found)
            if sought.past and not only_cached:
                out |= await _answers(family, rows, sought.past)
        return out

    def _seek[K, Q, R, V](
        self, family: Family[K, Q, R, V], partition: str, ks: Iterable[K], tickets: Tickets | None
    ) -> _Sought[K]:
        sought: _Sought[K] = _Sought()
        cached, sources = sought.cached, sought.sources
        keys: dict[Pool, Callable[[K], Key] | None] = {}
        routes, place = self._shards.routes(partition), family.place
        for k in ks:
            pool = routes.get(place(k))
            if pool is None:
                continue
            if pool not in keys:
                sources[pool], space = access(self._cache, pool, tickets)
                keys[pool] = None if space is None else family.keys(space)
            key = keys[pool]
            if key is None:
                sought.past.setdefault(sources[pool], []).append(k)
            else:
                cached[key(k)] = k
        return sought

    async def _load[K, Q, R, V](
        self,
        family: Family[K, Q, R, V],
        rows: Batcher[Q, R],
        partition: str,
        sources: Mapping[Pool, Pool],
        ks: Sequence[K],
    ) -> dict[K, V]:
        by_source: dict[Pool, list[K]] = {}
        routes = self._shards.routes(partition)
        for k in ks:
            pool = routes[family.place(k)]
            by_source.setdefault(sources.get(pool, pool), []).append(k)
        return await _answers(family, rows, by_source)

    async def _longer(
        self, partition: str, ks: Mapping[ListKey, RangeKey], short: Mapping[ListKey, Prefix | None]
    ) -> dict[ListKey, list[Edge]]:
        """Keep more of these lists, where it is known how much more is needed; read the other slices past the cache."""
        out: dict[ListKey, list[Edge]] = {}
        past: dict[ListKey, RangeKey] = {}
        for k, prefix in short.items():
            edges = None if prefix is None else await self._replaced(partition, ks[k], prefix)
            if edges is None:
                past[k] = ks[k]
            else:
                out[k] = edges
        return out | await self._slices(partition, past)

    async def _replaced(self, partition: str, range_key: RangeKey, prefix: Prefix) -> list[Edge] | None:
        """Read more of a list and keep it in place of what is kept, unless that changes meanwhile; the slice of it."""
        assert self._cache is not None
        source, space = access(self._cache, self._shards.pool(partition, shard_of(range_key.id1)), current())
        needed = prefix.needed(range_key)
        if space is None or needed is None or needed > LIST_LIMIT:
            return None
        k = (range_key.id1, range_key.atype)
        family = self._prefixes[size_for(needed)]
        key = family.keys(space)(k)
        lease = await self._cache.cache.reserve(key)
        question = family.question(k)
        longer = (await self._prefix_rows.ask(source, [question]))[question]
        if lease is not None:
            self._cache.cache.fill(key, lease, *family.encode(k, longer))
            self._hot_lists.drop((k,))
        return longer.slice(range_key)

    async def _slices(self, partition: str, ks: Mapping[ListKey, RangeKey]) -> dict[ListKey, list[Edge]]:
        """Of the database itself."""
        by_source: dict[Pool, list[RangeKey]] = {}
        tickets = current()
        for k in ks.values():
            if pool := self._shards.find(partition, shard_of(k.id1)):
                by_source.setdefault(access(self._cache, pool, tickets)[0], []).append(k)
        rows = await _ask(self._range_rows, by_source)
        return {k: rows[range_key] for k, range_key in ks.items() if range_key in rows}


async def _answers[K, Q, R, V](
    family: Family[K, Q, R, V], rows: Batcher[Q, R], by_source: Mapping[Pool, list[K]]
) -> dict[K, V]:
    question = family.question
    found = await _ask(rows, {source: list(map(question, ks)) for source, ks in by_source.items()})
    return {k: family.value(k, found.get(question(k))) for ks in by_source.values() for k in ks}


async def _ask[Q, R](batcher: Batcher[Q, R], by_source: Mapping[Pool, list[Q]]) -> dict[Q, R]:
    """Ask each server, all at once; questions without a row have no answer."""
    waiting = [(batcher.ask(source, some), some) for source, some in by_source.items()]
    found: dict[Q, R] = {}
    for answer, some in waiting:
        rows = await answer
        for question in some:
            if question in rows:
                found[question] = rows[question]
    return found
