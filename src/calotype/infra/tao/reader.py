"""The graph's reads, each of many keys at once. How they are found: `cached_reads`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from calotype.infra.cache import HotKeys, Key
from calotype.infra.ids import EPOCH_MS, compose, shard_of
from calotype.infra.invalidation import RegionCache, access
from calotype.infra.shards import Pool, Shards
from calotype.infra.shards.tickets import current
from calotype.infra.tao import reads
from calotype.infra.tao.batching import Batcher
from calotype.infra.tao.cached_reads import CachedReads
from calotype.infra.tao.entries import Edges, Objects, Prefixes
from calotype.infra.tao.keys import object_key, outdated_by_edge
from calotype.infra.tao.prefix import SHORT, SIZES, Prefix, PrefixKey, RangeKey, size_for
from calotype.infra.tao.reads import CountRow, EdgeKey, EdgeRow, ListKey, ObjectRow
from calotype.infra.tao.types import LIST_LIMIT, Cursor, Edge, Node, ObjectType

LONG_LIMIT = 20_000
"""Lists that are remembered to be long: their single associations are sought one by one at once."""


class Reader:
    """One a graph. Keys of shards that do not exist are missing from every answer."""

    def __init__(self, shards: Shards, cache: RegionCache | None) -> None:
        self._shards = shards
        self._cache = cache
        self._reads = CachedReads(shards, cache)
        self._object_rows: Batcher[int, ObjectRow] = Batcher(reads.objects)
        self._count_rows: Batcher[ListKey, CountRow] = Batcher(reads.counts)
        self._edge_rows: Batcher[EdgeKey, EdgeRow] = Batcher(reads.edge_rows)
        self._prefix_rows: Batcher[PrefixKey, Prefix] = Batcher(reads.prefixes)
        self._range_rows: Batcher[RangeKey, list[Edge]] = Batcher(reads.ranges)
        self._objects: dict[int, Objects[Any]] = {}
        self._edges = Edges()
        self._hot_lists: HotKeys[ListKey, Prefix] = HotKeys()
        self._hot_long_lists: HotKeys[ListKey, Prefix] = HotKeys()
        self._prefixes = {
            size: Prefixes(size, self._hot_lists if size <= SHORT else self._hot_long_lists) for size in SIZES
        }
        self._long: set[ListKey] = set()

    async def objects[T](self, kind: ObjectType[T], ids: Iterable[int]) -> dict[int, Node[T]]:
        """Those of the objects that exist and are of this type."""
        family: Objects[T] | None = self._objects.get(kind.number)
        if family is None:
            family = self._objects[kind.number] = Objects(kind)
        found = await self._reads.read(family, self._object_rows, kind.partition, ids)
        return {id_: node for id_, node in found.items() if isinstance(node, Node)}

    # Lists: what may be answered from the cache is, from the entry of the list

    async def counts(self, partition: str, ks: Iterable[ListKey]) -> dict[ListKey, int]:
        """The lengths of lists; those without a row are missing."""
        asked = list(ks)
        prefixes = await self._lists(SIZES[0], partition, asked)
        out = {k: prefix.length for k, prefix in prefixes.items()}
        if rest := {k: k for k in asked if k not in out}:
            rows = await self._reads.direct(self._count_rows, partition, rest, _shard_of_list)
            out |= {k: row.length for k, row in rows.items()}
        return out

    async def edges(self, partition: str, ks: Iterable[EdgeKey]) -> dict[EdgeKey, Edge]:
        """Those that exist: of short lists from the list, of long ones each by itself, there or not."""
        asked = list(ks)
        lists = await self._short_lists(partition, dict.fromkeys(k[:2] for k in asked))
        out: dict[EdgeKey, Edge] = {}
        rest: list[EdgeKey] = []
        for k in asked:
            prefix = lists.get(k[:2])
            if prefix is None:
                rest.append(k)
            elif (edge := prefix.find(k[2])) is not None:
                out[k] = edge
        if rest:
            found = await self._reads.read(self._edges, self._edge_rows, partition, rest)
            out |= {k: row.edge for k, row in found.items() if row.edge is not None}
        return out

    async def ranges(self, partition: str, ks: Mapping[ListKey, RangeKey]) -> dict[ListKey, list[Edge]]:
        """A slice of each list, all of the same offset and limit: of what is kept, where that reaches far enough."""
        if self._cache is None or not ks:
            return await self._slices(partition, ks)
        first = next(iter(ks.values()))
        found = await self._lists(size_for(first.offset + first.limit), partition, ks)
        out: dict[ListKey, list[Edge]] = {}
        short: dict[ListKey, Prefix] = {}
        for k, prefix in found.items():
            edges = prefix.slice(ks[k])
            if edges is None:
                short[k] = prefix
            else:
                out[k] = edges
        longer = await asyncio.gather(*(self._longer(partition, ks[k], part) for k, part in short.items()))
        out |= {k: edges for k, edges in zip(short, longer, strict=True) if edges is not None}
        past = {k: range_key for k, range_key in ks.items() if k not in out}
        return out | await self._slices(partition, past) if past else out

    async def _lists(self, size: int, partition: str, ks: Iterable[ListKey]) -> dict[ListKey, Prefix]:
        """What is kept of lists, filled with `size` where there is nothing; without those that the cache must not answer."""
        if self._cache is None:
            return {}
        return await self._reads.read(
            self._prefixes[size], self._prefix_rows, partition, ks, only_cached=True
        )

    async def _short_lists(self, partition: str, ks: Iterable[ListKey]) -> dict[ListKey, Prefix]:
        """Those of the lists that are short, all of each."""
        found = await self._lists(SHORT, partition, [k for k in ks if k not in self._long])
        if len(self._long) > LONG_LIMIT:
            self._long.clear()
        self._long.update(k for k, prefix in found.items() if prefix.length > SHORT)
        partly = [k for k, prefix in found.items() if not prefix.whole and prefix.length <= SHORT]
        replaced = await asyncio.gather(*(self._replace(SHORT, partition, k) for k in partly))
        found |= {k: prefix for k, prefix in zip(partly, replaced, strict=True) if prefix is not None}
        return {k: prefix for k, prefix in found.items() if prefix.whole}

    async def _longer(self, partition: str, range_key: RangeKey, prefix: Prefix) -> list[Edge] | None:
        """A slice of more of a list than was found of it, which is kept if it is known how much that is; None: unknown."""
        k = range_key.id1, range_key.atype
        needed = prefix.needed(range_key)
        if needed is None:
            longer = await self._reads.glance(self._prefixes[LIST_LIMIT], partition, k)
            return None if longer is None else longer.slice(range_key)
        if needed > LIST_LIMIT:
            return None
        size = size_for(needed)
        if size > SHORT and (longer := (await self._lists(size, partition, (k,))).get(k)) is not None:
            if (edges := longer.slice(range_key)) is not None:
                return edges
            if (more := longer.needed(range_key)) is None or more > LIST_LIMIT:
                return None
            size = size_for(more)
        replaced = await self._replace(size, partition, k)
        return None if replaced is None else replaced.slice(range_key)

    async def _replace(self, size: int, partition: str, k: ListKey) -> Prefix | None:
        return await self._reads.replace(self._prefixes[size], self._prefix_rows, partition, k)

    async def _slices(self, partition: str, ks: Mapping[ListKey, RangeKey]) -> dict[ListKey, list[Edge]]:
        """Of the database itself."""
        return await self._reads.direct(self._range_rows, partition, ks, _shard_of_list)

    # Past the cache

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

    async def newest[T](
        self, kind: ObjectType[T], since_ms: int, per_shard: int, scanned: int
    ) -> list[Node[T]]:
        """Objects by when their ids were made, newest first: always of the database, one statement a server."""
        by_pool: dict[Pool, list[int]] = {}
        for shard, pool in self._shards.routes(kind.partition).items():
            by_pool.setdefault(pool, []).append(shard)
        floor = compose(max(0, since_ms - EPOCH_MS), 0, 0)
        pending = [
            reads.newest(pool, shards, kind.number, floor, per_shard, scanned)
            for pool, shards in by_pool.items()
        ]
        rows = [row for rows in await asyncio.gather(*pending) for row in rows]
        nodes = [Node(id_, row.version, row.created, row.updated, kind.decode(row.data)) for id_, row in rows]
        return sorted(nodes, key=lambda node: node.id, reverse=True)

    async def claimed(self, partition: str, shard: int, kind: str, key: str) -> tuple[int, int] | None:
        """(id, created) of a claim, as this reader's region knows it."""
        source, _ = access(self._cache, self._shards.pool(partition, shard), current())
        rows = await source.fetch(reads.CLAIMED, shard, kind, key)
        return (rows[0][0], rows[0][1]) if rows else None

    async def claimed_many(
        self, partition: str, kind: str, keys: Iterable[tuple[int, str]]
    ) -> dict[str, int]:
        """Who holds these (shard, key), by key."""
        by_pool: dict[Pool, list[tuple[int, str]]] = {}
        for shard, key in keys:
            by_pool.setdefault(self._shards.pool(partition, shard), []).append((shard, key))
        tickets = current()
        pending = [
            reads.claims(access(self._cache, pool, tickets)[0], kind, some) for pool, some in by_pool.items()
        ]
        return {key: id_ for rows in await asyncio.gather(*pending) for key, id_ in rows}

    # After a write

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
            self._hot_lists.drop((edge[:2],))
            self._hot_long_lists.drop((edge[:2],))
        if outdated:
            await self._cache.cache.delete(list(outdated))


def _shard_of_list(k: ListKey) -> int:
    return shard_of(k[0])
