"""The graph: TAO's API over logical shards.

Every call is async and belongs to the deadline of its work (`std.deadline`). Reads of one turn of the event loop
coalesce into one statement per physical server. A write is durable when its call returns; the inverse of an edge is
normally there too, and otherwise follows within about a second (docs/tao.md).

Ids from outside may be anything: reads of ids whose shard does not exist find nothing; writes raise `AbsentShard`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from calotype.infra.ids import shard_of
from calotype.infra.invalidation import RegionCache
from calotype.infra.shards import Pool, Shards
from calotype.infra.tao.prefix import RangeKey
from calotype.infra.tao.reader import Reader
from calotype.infra.tao.relay import Relay
from calotype.infra.tao.types import FIRST, LIST_LIMIT, START, Association, Cursor, Edge, Node, type_of
from calotype.infra.tao.writes import (
    EDGE_BATCH,
    EdgeWritten,
    VersionConflict,
    Writes,
    forward,
    on_connection,
)
from calotype.std.errors import NotFound

OLDEST = -(1 << 63)


class ObjectMissing(NotFound):
    """There is no object of that type with that id."""

    code = "object_missing"


class Graph:
    """One a process. `shards` must be entered (`async with`) and outlive it, and so must `cache`, if there is one."""

    def __init__(self, shards: Shards, cache: RegionCache | None = None) -> None:
        self.shards = shards
        self.cache = cache
        self._reader = Reader(shards, cache)
        self._relay = Relay(shards)
        if cache is not None:
            for pool in shards.pools.values():
                cache.guard(pool)

    # Objects

    async def obj_get[T](self, struct: type[T], id_: int) -> Node[T] | None:
        """The object, or None when there is none of this type."""
        return (await self.obj_get_many(struct, (id_,))).get(id_)

    async def obj_get_many[T](self, struct: type[T], ids: Iterable[int]) -> dict[int, Node[T]]:
        """Those of the objects that exist and are of this type, by id."""
        return await self._reader.objects(type_of(struct), dict.fromkeys(ids))

    async def obj_newest[T](
        self, struct: type[T], *, since_ms: int, per_shard: int, scanned_per_shard: int
    ) -> list[Node[T]]:
        """At most `per_shard` objects of each logical shard whose ids were made after `since_ms` (ms since 1970), newest
        first. For work in the background: it is a statement a server, past every cache, and looks at no more than
        `scanned_per_shard` rows of each shard, of whatever type."""
        return await self._reader.newest(type_of(struct), since_ms, per_shard, scanned_per_shard)

    async def obj_add[T](self, data: T, *, shard: int, id_: int | None = None) -> Node[T]:
        """Add an object on a logical shard, with a new id of it unless `id_` was made before (`Shards.next_ids`)."""
        async with self._writing(type_of(type(data)).partition, shard) as write:
            return await write.obj_add(data, shard, id_)

    async def obj_add_many[T](self, struct: type[T], rows: Sequence[tuple[int, T]]) -> list[Node[T]]:
        """Add many objects given as (shard, data), in that order. One transaction a server, not one for all."""
        kind = type_of(struct)
        by_shard: dict[int, list[int]] = defaultdict(list)
        for at, (shard, _) in enumerate(rows):
            by_shard[shard].append(at)
        ids: dict[int, int] = {}
        for shard, places in by_shard.items():
            ids.update(zip(places, await self.shards.next_ids(shard, len(places)), strict=True))
        by_pool: dict[Pool, list[int]] = defaultdict(list)
        for at, (shard, _) in enumerate(rows):
            by_pool[self.shards.pool(kind.partition, shard)].append(at)
        made: dict[int, Node[T]] = {}
        for pool, places in by_pool.items():
            write = Writes(self.shards, pool, pool.write)
            nodes = await write.obj_add_many(kind, [(ids[at], rows[at][1]) for at in places])
            await self._committed(write)
            made.update(zip(places, nodes, strict=True))
        return [made[at] for at in range(len(rows))]

    async def obj_update[T](
        self, struct: type[T], id_: int, *, if_version: int | None = None, **changes: object
    ) -> Node[T]:
        """Change fields of an object and answer what it is now.

        Raises `ObjectMissing`; with `if_version`, `VersionConflict` when another write came first.
        """
        async with self._writing(type_of(struct).partition, shard_of(id_)) as write:
            node = await write.obj_update(struct, id_, changes, if_version)
            if node is not None:
                return node
            there = if_version is not None and await write.obj_there(struct, id_)
        if there:
            raise VersionConflict(
                f"{struct.__name__} {id_} is no longer at version {if_version}: read it again"
            )
        raise ObjectMissing(f"there is no {struct.__name__} {id_}")

    async def obj_delete(self, struct: type[Any], id_: int) -> bool:
        """Delete an object; False when it was not there. Its edges vanish from reads of objects now, from lists soon after."""
        partition, shard = type_of(struct).partition, shard_of(id_)
        if self.shards.find(partition, shard) is None:
            return False
        async with self._writing(partition, shard) as write:
            return await write.obj_delete(struct, id_)

    async def obj_update_many[T](
        self, struct: type[T], changes: Mapping[int, dict[str, object]]
    ) -> dict[int, Node[T]]:
        """Change many objects, each a write of its own; those that exist, as they are now."""
        done: dict[int, Node[T]] = {}
        for id_, fields in changes.items():
            async with self._writing(type_of(struct).partition, shard_of(id_)) as write:
                if node := await write.obj_update(struct, id_, fields, None):
                    done[id_] = node
        return done

    async def obj_delete_many(self, struct: type[Any], ids: Iterable[int]) -> int:
        """Delete many objects, each a write of its own; how many were there."""
        return sum([await self.obj_delete(struct, id_) for id_ in ids])

    async def claimed(self, partition: str, shard: int, kind: str, key: str) -> tuple[int, int] | None:
        """(id, created) of who holds a key, None when nobody does; to look it up, not to decide on it (`Writes.claimed`)."""
        return await self._reader.claimed(partition, shard, kind, key)

    async def claimed_many(
        self, partition: str, kind: str, keys: Iterable[tuple[int, str]]
    ) -> dict[str, int]:
        """Who holds keys of one kind, given as (shard, key); those that somebody holds, one statement a server."""
        return await self._reader.claimed_many(partition, kind, keys)

    # Associations: reads

    async def assoc_get(
        self, assoc: Association, id1: int, id2s: Iterable[int], *, high: int = FIRST, low: int = OLDEST
    ) -> list[Edge]:
        """Those of id1's associations that lead to one of `id2s` and lie in [low, high], newest first."""
        found = await self.assoc_get_many(assoc, [(id1, id2) for id2 in id2s])
        edges = [edge for edge in found.values() if low <= edge.time <= high]
        return sorted(edges, key=lambda edge: edge.cursor, reverse=True)

    async def assoc_get_many(
        self, assoc: Association, pairs: Iterable[tuple[int, int]]
    ) -> dict[tuple[int, int], Edge]:
        """The associations that exist among these (id1, id2)."""
        keys = [(id1, assoc.number, id2) for id1, id2 in dict.fromkeys(pairs)]
        found = await self._reader.edges(assoc.partition, keys)
        return {(key[0], key[2]): edge for key, edge in found.items()}

    async def assoc_among(self, assocs: Sequence[Association], id1: int, id2s: Iterable[int]) -> set[int]:
        """Which of `id2s` any of id1's associations of these types, all of one partition, leads to. Made for lists that are
        nearly always empty: then nothing but their lengths is read, whatever `id2s` are."""
        partition = assocs[0].partition
        lengths = await self._reader.counts(partition, {(id1, assoc.number): 0 for assoc in assocs})
        some = [number for (_, number), length in lengths.items() if length]
        if not some:
            return set()
        keys = dict.fromkeys((id1, number, id2) for id2 in id2s for number in some)
        return {key[2] for key in await self._reader.edges(partition, keys)}

    async def assoc_count(self, assoc: Association, id1: int) -> int:
        """How long the list is: exact."""
        return (await self.assoc_count_many(assoc, (id1,)))[id1]

    async def assoc_count_many(self, assoc: Association, id1s: Iterable[int]) -> dict[int, int]:
        """The lengths of many lists, by id1; an empty list counts 0."""
        number = assoc.number
        keys = {(id1, number): 0 for id1 in id1s}
        lengths = await self._reader.counts(assoc.partition, keys)
        return {key[0]: lengths.get(key, 0) for key in keys}

    async def assoc_range(
        self, assoc: Association, id1: int, offset: int, limit: int, *, before: Cursor = START
    ) -> list[Edge]:
        """`limit` associations of a list, newest first, from position `offset` after the cursor `before`."""
        return (await self.assoc_range_many(assoc, {id1: before}, limit, offset=offset))[id1]

    async def assoc_range_many(
        self,
        assoc: Association,
        id1s: Mapping[int, Cursor] | Iterable[int],
        limit: int,
        *,
        offset: int = 0,
        low: int = OLDEST,
    ) -> dict[int, list[Edge]]:
        """The newest associations of many lists, each from its own cursor."""
        starts = id1s if isinstance(id1s, Mapping) else dict.fromkeys(id1s, START)
        skip, amount = _clip(offset, limit)
        if amount == 0:
            return {id1: [] for id1 in starts}
        number = assoc.number
        asked = {
            (id1, number): RangeKey(id1, number, before[0], before[1], low, skip, amount)
            for id1, before in starts.items()
        }
        found = await self._reader.ranges(assoc.partition, asked)
        return {key[0]: found.get(key, []) for key in asked}

    async def assoc_time_range(
        self, assoc: Association, id1: int, high: int, low: int, limit: int
    ) -> list[Edge]:
        """Associations with low <= time <= high, newest first."""
        return (await self.assoc_time_range_many(assoc, (id1,), high, low, limit))[id1]

    async def assoc_time_range_many(
        self, assoc: Association, id1s: Iterable[int], high: int, low: int, limit: int
    ) -> dict[int, list[Edge]]:
        """The same of many lists."""
        return await self.assoc_range_many(assoc, dict.fromkeys(id1s, (high, FIRST)), limit, low=low)

    async def assoc_merge(
        self,
        assoc: Association,
        id1s: Iterable[int],
        limit: int,
        *,
        before: Cursor = START,
        after: Cursor | None = None,
    ) -> list[tuple[int, Edge]]:
        """The newest associations of all these lists merged into one, as (id1, edge): one statement a physical server.

        With `after`, those just newer than that place instead. Newest first either way.
        """
        _, amount = _clip(0, limit)
        place, upwards = (before, False) if after is None else (after, True)
        found = await self._reader.merged(
            assoc.partition, assoc.number, dict.fromkeys(id1s), place, amount, upwards=upwards
        )
        nearest = sorted(found, key=lambda row: row[1].cursor, reverse=not upwards)[:amount]
        return nearest[::-1] if upwards else nearest

    # Associations: writes

    async def assoc_add(
        self,
        assoc: Association,
        id1: int,
        id2: int,
        *,
        time: int | None = None,
        data: msgspec.Struct | None = None,
    ) -> EdgeWritten:
        """Add an association and its inverse. One that is there already with this data stays as it is, its time too
        unless `time` (ms since 1970) asks for another; `changed` tells."""
        return await self._edge(assoc, id1, id2, time=time, data=_encode(data), present=True)

    async def assoc_del(self, assoc: Association, id1: int, id2: int) -> EdgeWritten:
        """Delete an association and its inverse; `changed` is False when it was not there."""
        return await self._edge(assoc, id1, id2, time=None, data=None, present=False)

    async def assoc_add_many(self, assoc: Association, rows: Sequence[tuple[int, Edge]]) -> list[bool]:
        """Add many associations given as (id1, edge); `edge.time` 0 means now. Which of them changed anything.

        One transaction for each 500 of a server: a failure leaves the earlier ones done, and repeating is harmless.
        """
        return await self._edge_batches(assoc, rows, present=True)

    async def assoc_del_many(self, assoc: Association, pairs: Sequence[tuple[int, int]]) -> list[bool]:
        """Delete many associations given as (id1, id2); which of them were there."""
        return await self._edge_batches(assoc, [(id1, Edge(id2, 0, 0)) for id1, id2 in pairs], present=False)

    async def assoc_change_type(self, old: Association, new: Association, id1: int, id2: int) -> EdgeWritten:
        """Turn an association into one of another type with the same time and data, in one transaction.

        Raises `ObjectMissing` when there is none to turn.
        """
        async with self.transaction(forward(new).partition, shard_of(id1)) as write:
            await write.lock([(forward(old), id1, id2), (new, id1, id2)])
            edge = await write.edge_get(old, id1, id2)
            if edge is None:
                raise ObjectMissing(f"there is no {old.name} from {id1} to {id2}")
            await write.edge(old, id1, id2, time=None, data=None, present=False)
            return await write.edge(new, id1, id2, time=edge.time, data=edge.data, present=True)

    def writes(self, partition: str, shard: int) -> Writes:
        """Writes and claims on the server of this partition and shard, each committed when its call returns."""
        pool = self.shards.pool(partition, shard)
        return Writes(self.shards, pool, pool.write)

    @asynccontextmanager
    async def transaction(self, partition: str, shard: int) -> AsyncIterator[Writes]:
        """Writes that commit together at the end of the block, all on the server of this partition and shard.

        One on another server raises `CrossServerWrite`; an exception undoes all of them.
        """
        pool = self.shards.pool(partition, shard)
        async with pool.transaction() as connection:
            write = Writes(self.shards, pool, on_connection(pool, connection))
            yield write
        await self._committed(write)

    @asynccontextmanager
    async def _writing(self, partition: str, shard: int) -> AsyncIterator[Writes]:
        """Writes that commit one by one, and what follows them when the block ends."""
        write = self.writes(partition, shard)
        yield write
        await self._committed(write)

    async def _committed(self, write: Writes) -> None:
        """Outdate what was written in this region's cache, so that everybody here sees it at once; then carry the
        messages to their inverses, and do the same for those."""
        await self._reader.outdate(write.pool, write.changed_objects, write.changed_edges)
        for target, mirrors in (await self._relay.carry(write.messages)).items():
            edges = [(mirror.id1, mirror.atype, mirror.id2) for mirror in mirrors]
            await self._reader.outdate(target, (), edges)

    async def _edge(
        self, assoc: Association, id1: int, id2: int, *, time: int | None, data: bytes | None, present: bool
    ) -> EdgeWritten:
        async with self._writing(assoc.partition, shard_of(id1)) as write:
            return await write.edge(assoc, id1, id2, time=time, data=data, present=present)

    async def _edge_batches(
        self, assoc: Association, rows: Sequence[tuple[int, Edge]], *, present: bool
    ) -> list[bool]:
        by_pool: dict[Pool, list[int]] = defaultdict(list)
        for at, (id1, edge) in enumerate(rows):
            self.shards.pool(assoc.partition, shard_of(edge.id2))
            by_pool[self.shards.pool(forward(assoc).partition, shard_of(id1))].append(at)
        changed = [False] * len(rows)
        for pool, places in by_pool.items():
            for start in range(0, len(places), EDGE_BATCH):
                some = places[start : start + EDGE_BATCH]
                writes = Writes(self.shards, pool, pool.write)
                done = await writes.edges(assoc, [rows[at] for at in some], present=present)
                for at, did_change in zip(some, done, strict=True):
                    changed[at] = did_change
                await self._committed(writes)
        return changed


def _clip(offset: int, limit: int) -> tuple[int, int]:
    """Keep a range inside the first 6,000 of its list."""
    skip = min(max(offset, 0), LIST_LIMIT)
    return skip, min(max(limit, 0), LIST_LIMIT - skip)


def _encode(data: msgspec.Struct | None) -> bytes | None:
    return None if data is None else msgspec.json.encode(data)
