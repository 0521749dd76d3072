"""The graph's reads: from what this request or process has read already, from memcached, from PostgreSQL.

Which of them may answer depends on who asks. Somebody who has just written to a server (a ticket, `shards.tickets`) is
shown nothing older: until their region has followed that server's log so far, they read the primary, past all caches.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from calotype.infra.cache import Key
from calotype.infra.ids import shard_of
from calotype.infra.invalidation import Access, RegionCache, access
from calotype.infra.shards import Pool, Shards
from calotype.infra.shards.tickets import current
from calotype.infra.tao import reads
from calotype.infra.tao.batching import Batcher
from calotype.infra.tao.entries import Counts, Edges, Family, Objects, OtherType, Prefixes
from calotype.infra.tao.prefix import Prefix, PrefixKey, RangeKey, size_for
from calotype.infra.tao.reads import CountRow, EdgeKey, EdgeRow, ListKey, ObjectRow
from calotype.infra.tao.types import LIST_LIMIT, Cursor, Edge, Node, ObjectType

type Asked[K] = list[tuple[K, int]]
"""What is asked for, with its logical shard."""


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
        self._counts, self._edges, self._prefixes = Counts(), Edges(), Prefixes()

    # What is asked for

    async def objects[T](self, kind: ObjectType[T], ids: Iterable[int]) -> dict[int, Node[T]]:
        """Those of the objects that exist and are of this type."""
        family: Objects[T] | None = self._objects.get(kind.number)
        if family is None:
            family = self._objects[kind.number] = Objects(kind)
        asked = [(id_, shard_of(id_)) for id_ in ids]
        found = await self._read(family, self._object_rows, kind.partition, asked)
        # What this process keeps is by key, and so may be a node of another type than is asked for now.
        return {
            id_: node
            for id_, node in found.items()
            if isinstance(node, Node) and type(node.data) is kind.struct
        }

    async def counts(self, partition: str, ks: Iterable[ListKey]) -> dict[ListKey, CountRow]:
        asked = [(k, shard_of(k[0])) for k in ks]
        return await self._read(self._counts, self._count_rows, partition, asked)

    async def edges(self, partition: str, ks: Iterable[EdgeKey]) -> dict[EdgeKey, Edge]:
        """Those that exist."""
        asked = [(k, shard_of(k[0])) for k in ks]
        found = await self._read(self._edges, self._edge_rows, partition, asked)
        return {k: row.edge for k, row in found.items() if row.edge is not None}

    async def ranges(self, partition: str, ks: Iterable[RangeKey]) -> dict[RangeKey, list[Edge]]:
        """Slices of lists: of the prefixes that are kept, where these reach far enough."""
        cached, past = self._divide(partition, [(k, shard_of(k.id1)) for k in ks])
        out: dict[RangeKey, list[Edge]] = {}
        if cached:
            wanted = {_prefix_key(k): k for k, _, _ in cached}
            found = await self._read(
                self._prefixes, self._prefix_rows, partition, [(p, shard_of(p.id1)) for p in wanted]
            )
            short = {wanted[p]: prefix for p, prefix in found.items()}
            for k, prefix in list(short.items()):
                if (edges := prefix.slice(k)) is not None:
                    out[k] = edges
                    del short[k]
            if short:
                out |= await self._longer(partition, short)
        return out | await _ask(self._range_rows, past)

    async def merged(
        self, partition: str, atype: int, id1s: Iterable[int], place: Cursor, limit: int, *, upwards: bool
    ) -> list[tuple[int, Edge]]:
        """The associations of all these lists nearest to a place: always of the database, one statement a server."""
        _, past = self._divide(partition, [(id1, shard_of(id1)) for id1 in id1s], use_cache=False)
        pending = [
            reads.merged(pool, some, atype, place, limit, upwards=upwards) for pool, some in past.items()
        ]
        return [row for rows in await asyncio.gather(*pending) for row in rows]

    # How it is found

    async def _read[K, R, V](
        self, family: Family[K, R, V], rows: Batcher[K, R], partition: str, asked: Asked[K]
    ) -> dict[K, V]:
        cached, past = self._divide(partition, asked)
        out: dict[K, V] = {}
        if cached:
            assert self._cache is not None
            by_key: dict[Key, K] = {}
            sources: dict[K, Pool] = {}
            tickets = current()
            window = self._cache.window(tickets)
            read = tickets.read if tickets is not None else {}
            for k, source, space in cached:
                key = family.key(space, k)
                known = read.get(key) or window.get(key)
                if known is not None:
                    out[k] = cast(V, known)
                else:
                    by_key[key] = k
                    sources[k] = source
            if by_key:
                found = await self._cache.through.read(
                    by_key,
                    family,
                    lambda ks: _load(family, rows, sources, ks),
                    stale_allowed=tickets is None or not tickets.fresh_only,
                )
                for key, k in by_key.items():
                    value = out[k] = found[k]
                    if value is not None and not isinstance(value, OtherType):
                        read[key] = value
                        self._cache.hot.saw(window, key, value)
        if past:
            answers = await _ask(rows, past)
            for some in past.values():
                for k in some:
                    out[k] = family.value(k, answers.get(k))
        return out

    def _divide[K](
        self, partition: str, asked: Asked[K], *, use_cache: bool = True
    ) -> tuple[list[tuple[K, Pool, bytes]], dict[Pool, list[K]]]:
        """What the cache may answer, with where to read it otherwise and its key space; and what it may not."""
        cached: list[tuple[K, Pool, bytes]] = []
        past: dict[Pool, list[K]] = {}
        accesses: dict[Pool, Access] = {}
        tickets = current()
        find = self._shards.find
        for k, shard in asked:
            pool = find(partition, shard)
            if pool is None:
                continue
            found = accesses.get(pool)
            if found is None:
                found = accesses[pool] = access(self._cache, pool, tickets)
            source, space = found
            if space is None or not use_cache:
                past.setdefault(source, []).append(k)
            else:
                cached.append((k, source, space))
        return cached, past

    async def _longer(self, partition: str, short: Mapping[RangeKey, Prefix]) -> dict[RangeKey, list[Edge]]:
        """Keep more of these lists, where it is known how much more is needed; read the other slices past the cache."""
        out: dict[RangeKey, list[Edge]] = {}
        past: dict[Pool, list[RangeKey]] = defaultdict(list)
        for k, prefix in short.items():
            pool = self._shards.pool(partition, shard_of(k.id1))
            source, space = access(self._cache, pool, current())
            needed = prefix.needed(k)
            edges = None
            if space is not None and needed is not None and needed <= LIST_LIMIT:
                longer = await self._replace(source, space, PrefixKey(k.id1, k.atype, size_for(needed)))
                edges = longer.slice(k)
            if edges is None:
                past[source].append(k)
            else:
                out[k] = edges
        return out | await _ask(self._range_rows, past)

    async def _replace(self, source: Pool, space: bytes, k: PrefixKey) -> Prefix:
        """Read more of a list and keep it in place of what is kept, unless that changes meanwhile."""
        assert self._cache is not None
        key = self._prefixes.key(space, k)
        lease = await self._cache.cache.reserve(key)
        prefix = (await self._prefix_rows.ask(source, [k]))[k]
        if lease is not None:
            self._cache.cache.fill(key, lease, *self._prefixes.encode(k, prefix))
            self._cache.hot.drop([key])
        return prefix


def _prefix_key(k: RangeKey) -> PrefixKey:
    return PrefixKey(k.id1, k.atype, size_for(k.offset + k.limit))


async def _load[K, R, V](
    family: Family[K, R, V], rows: Batcher[K, R], sources: Mapping[K, Pool], ks: Sequence[K]
) -> dict[K, V]:
    by_source: dict[Pool, list[K]] = {}
    for k in ks:
        by_source.setdefault(sources[k], []).append(k)
    answers = await _ask(rows, by_source)
    return {k: family.value(k, answers.get(k)) for k in ks}


async def _ask[K, R](batcher: Batcher[K, R], by_pool: Mapping[Pool, list[K]]) -> dict[K, R]:
    """Ask each server for its keys, all at once; keys without a row have no answer."""
    waiting = [(batcher.ask(pool, some), some) for pool, some in by_pool.items()]
    found: dict[K, R] = {}
    for answer, some in waiting:
        rows = await answer
        for k in some:
            if k in rows:
                found[k] = rows[k]
    return found
