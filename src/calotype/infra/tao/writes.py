"""The graph's writes: what one physical server commits, and the messages that must follow the commit.

A write of a forward edge leaves a message for its inverse in the outbox of the same transaction (docs: "No half edge").
Whoever committed it relays the message at once; a process that dies leaves it to the sweep (`relay.py`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast

import asyncpg
import msgspec

from calotype.infra.ids import shard_of
from calotype.infra.partitions import HOME_PARTITION
from calotype.infra.shards import Connection, Pool, Shards
from calotype.infra.tao.reads import CLAIMED
from calotype.infra.tao.types import Association, Edge, Node, ObjectType, type_of
from calotype.std.deadline import remaining_s
from calotype.std.errors import CalotypeError, Conflict

NO_DATA = msgspec.Raw(b"null")

EDGE_BATCH = 500
"""Edges of one transaction of a batched write: it locks that many lists at most."""

_OBJ_ADD = """
insert into objects select $1::int, coalesce($2::bigint, next_id($1::int)), $3::int, $4::jsonb, 1, t, t from now_ms() t
returning id, created
"""
_OBJ_ADD_MANY = """
insert into objects
select k.shard, k.id, $3::int, k.data::jsonb, 1, t, t from unnest($1::int[], $2::bigint[], $4::text[]) k (shard, id, data), now_ms() t
returning id, created
"""
_OBJ_UPDATE = """
update objects set data = data || $4::jsonb, version = version + 1, updated = now_ms()
where shard = $1 and id = $2 and otype = $3 and ($5::bigint is null or version = $5)
returning version, created, updated, data
"""
_OBJ_DELETE = """
with gone as (delete from objects where shard = $1 and id = $2 and otype = $3 returning id)
insert into outbox select $1::int, next_id($1::int), 'forget', jsonb_build_object('id', id, 'otype', $3::int), t, t from gone, now_ms() t
returning id
"""
_OBJ_THERE = """
select id from objects where shard = $1 and id = $2 and otype = $3
"""
_LOCK_LISTS = """
select lock_list(l.shard, l.id1, l.atype) from unnest($1::int[], $2::bigint[], $3::int[]) l (shard, id1, atype)
"""
_EDGE = """
select id2, time, version, data from associations where shard = $1 and id1 = $2 and atype = $3 and id2 = $4 and not deleted
"""
_EDGE_WRITE = """
select changed, version, edge_time, message from edge_write($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_EDGE_AGAIN = """
select message from edge_write($1, $2, $3, $4, null, null, null, $5, $6, p_touch => true)
"""
_RAISE_VERSION = """
update association_counts set version = greatest(version, $4) where shard = $1 and id1 = $2 and atype = $3
"""
_PAYLOAD = """
select payload from outbox where shard = $1 and id = $2
"""
_EDGE_WRITES = """
with locked as materialized (
    select count(lock_list(l.shard, l.id1, l.atype)) as lists from unnest($10::int[], $11::bigint[], $12::int[]) l (shard, id1, atype)
)
select k.n, w.changed, w.version, w.edge_time, w.message
from locked, unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::int[])
    with ordinality k (shard, id1, id2, time, data, inverse_shard, n),
-- "lists < 0" is never so; it is asked so that all lists are locked before the first edge is written.
edge_write(k.shard, k.id1, $7, k.id2, k.time, k.data::jsonb, $8, $9, k.inverse_shard, locked.lists < 0) w
"""
_CLAIM = """
with made as (insert into claims values ($1, $2, $3, $4, now_ms()) on conflict do nothing returning id)
select id from made union all select id from claims where shard = $1 and kind = $2 and key = $3 limit 1
"""
_CLAIM_MANY = """
insert into claims select $1, $2, k.key, k.id, now_ms() from unnest($3::text[], $4::bigint[]) k (key, id)
on conflict do nothing returning key
"""
_RELEASE = """
delete from claims where shard = $1 and kind = $2 and key = $3 and id = $4 returning id
"""
_POST = """
insert into outbox select $1::int, next_id($1::int), $2, $3::jsonb, t, t + $4 from now_ms() t returning id
"""
_TAKE_BACK = """
delete from outbox where shard = $1 and id = any($2::bigint[]) returning id
"""


class Run(Protocol):
    """Run one statement: on a pool in a transaction of its own, or on a connection inside one."""

    def __call__(self, sql: str, *arguments: object) -> Awaitable[list[asyncpg.Record]]: ...


class VersionConflict(Conflict):
    """The object was changed by somebody else since it was read."""

    code = "version_conflict"


class CrossServerWrite(CalotypeError):
    """A transaction was asked to write on a second physical server: a fault in the program, never routed by chance."""

    code = "cross_server_write"


class Mirror(msgspec.Struct, frozen=True):
    """What an inverse row must become; the payload of an outbox row of kind `mirror`."""

    id1: int
    atype: int
    id2: int
    time: int
    data: msgspec.Raw
    """JSON, `null` when the edge has none: msgspec does not decode `Raw | None`."""
    source_version: int
    present: bool


@dataclass(frozen=True)
class Message:
    """A mirror to relay, and the outbox row (its shard and partition, its id) that goes once that is done."""

    partition: str
    shard: int
    outbox_id: int
    mirror: Mirror


@dataclass(frozen=True)
class EdgeWritten:
    """`changed` is False when the edge was already so. `version` is the list's. `time`: that of the edge."""

    changed: bool
    version: int
    time: int


@dataclass
class Writes:
    """Writes on one physical server; `messages` collects what must follow their commit, `changed_objects` (ids) and
    `changed_edges` (id1, atype, id2) what caches must not show any more after it.

    Each operation checks that what it writes is on this server and raises `CrossServerWrite` if not: whatever `run`
    joins in one transaction stays on one server. Every operation but `edges` is one statement.
    """

    shards: Shards
    pool: Pool
    run: Run
    messages: list[Message] = field(default_factory=list)
    changed_objects: list[int] = field(default_factory=list)
    changed_edges: list[tuple[int, int, int]] = field(default_factory=list)

    def _here(self, partition: str, shard: int) -> int:
        there = self.shards.pool(partition, shard)
        if there is not self.pool:
            raise CrossServerWrite(
                f"this write is on {self.pool.name}, so it cannot change {partition} of shard {shard}, which is on {there.name}"
            )
        return shard

    async def _own_id(self, shard: int, id_: int | None) -> int | None:
        """None lets the insert take the next id itself: only right on the server that has the shard's id stream."""
        if id_ is not None or self.shards.pool(HOME_PARTITION, shard) is self.pool:
            return id_
        return (await self.shards.next_ids(shard))[0]

    async def obj_add[T](self, data: T, shard: int, id_: int | None) -> Node[T]:
        kind = type_of(type(data))
        self._here(kind.partition, shard)
        if id_ is not None and shard_of(id_) != shard:
            raise ValueError(
                f"{id_} is an id of shard {shard_of(id_)}, so the object cannot be on shard {shard}"
            )
        own_id = await self._own_id(shard, id_)
        rows = await self.run(_OBJ_ADD, shard, own_id, kind.number, msgspec.json.encode(data))
        self.changed_objects.append(rows[0][0])
        return Node(rows[0][0], 1, rows[0][1], rows[0][1], data)

    async def obj_add_many[T](self, kind: ObjectType[T], rows: Sequence[tuple[int, T]]) -> list[Node[T]]:
        """`rows` are (id, data)."""
        ids = [id_ for id_, _ in rows]
        for id_ in ids:
            self._here(kind.partition, shard_of(id_))
        data = [msgspec.json.encode(data).decode() for _, data in rows]
        made = await self.run(_OBJ_ADD_MANY, [shard_of(id_) for id_ in ids], ids, kind.number, data)
        created = {row[0]: row[1] for row in made}
        self.changed_objects += created
        return [Node(id_, 1, created[id_], created[id_], data) for id_, data in rows]

    async def obj_update[T](
        self, struct: type[T], id_: int, changes: dict[str, object], if_version: int | None
    ) -> Node[T] | None:
        kind = type_of(struct)
        shard = self._here(kind.partition, shard_of(id_))
        self.changed_objects.append(id_)
        rows = await self.run(
            _OBJ_UPDATE, shard, id_, kind.number, encode_changes(struct, changes), if_version
        )
        if not rows:
            return None
        version, created, updated, data = rows[0]
        return Node(id_, version, created, updated, kind.decode(data))

    async def obj_delete(self, struct: type[Any], id_: int) -> bool:
        kind = type_of(struct)
        self.changed_objects.append(id_)
        return bool(await self.run(_OBJ_DELETE, self._here(kind.partition, shard_of(id_)), id_, kind.number))

    async def obj_there(self, struct: type[Any], id_: int) -> bool:
        """Whether there is such an object now."""
        kind = type_of(struct)
        return bool(await self.run(_OBJ_THERE, self._here(kind.partition, shard_of(id_)), id_, kind.number))

    async def edge(
        self,
        assoc: Association,
        id1: int,
        id2: int,
        *,
        time: int | None,
        data: bytes | None,
        present: bool,
    ) -> EdgeWritten:
        """Write one forward edge, its count and the message for its inverse."""
        back = forward(assoc).inverse
        inverse = back.number if back else None
        shard = self._here(assoc.partition, shard_of(id1))
        self.shards.pool(assoc.partition, shard_of(id2))  # an edge into nowhere is refused
        rows = await self.run(
            _EDGE_WRITE, shard, id1, assoc.number, id2, time, data, present, inverse, shard_of(id2)
        )
        changed, version, edge_time, message = rows[0]
        self._changed(assoc, id1, id2)
        if message is not None:
            self._follow(assoc, id1, Edge(id2, edge_time, version, data), present, message)
        return EdgeWritten(changed, version, edge_time)

    async def lock(self, edges: Iterable[tuple[Association, int, int]]) -> None:
        """Nobody else writes the lists on this shard that these edges (forward, id1, id2) are in until this transaction ends."""
        keys = [(self._here(assoc.partition, shard_of(id1)), assoc, id1, id2) for assoc, id1, id2 in edges]
        await self.run(_LOCK_LISTS, *_lists(keys))

    async def edge_get(self, assoc: Association, id1: int, id2: int) -> Edge | None:
        """One edge as it is now."""
        shard = self._here(assoc.partition, shard_of(id1))
        rows = await self.run(_EDGE, shard, id1, assoc.number, id2)
        return Edge(*rows[0]) if rows else None

    async def edge_again(self, assoc: Association, id1: int, id2: int, newer_than: int = 0) -> None:
        """Send the present state of an edge, there or not, to its inverse again under a version above `newer_than`."""
        back = forward(assoc).inverse
        assert back is not None
        shard = self._here(assoc.partition, shard_of(id1))
        await self.lock([(assoc, id1, id2)])
        self._changed(assoc, id1, id2)
        await self.run(_RAISE_VERSION, shard, id1, assoc.number, newer_than)
        message = (await self.run(_EDGE_AGAIN, shard, id1, assoc.number, id2, back.number, shard_of(id2)))[0][
            0
        ]
        if message is not None:
            payload = (await self.run(_PAYLOAD, shard, message))[0][0]
            mirror = msgspec.json.decode(payload, type=Mirror)
            self.messages.append(Message(assoc.partition, shard, message, mirror))

    async def edges(
        self, assoc: Association, rows: Sequence[tuple[int, Edge]], *, present: bool
    ) -> list[bool]:
        """Write many forward edges (id1, edge) of one server in one transaction."""
        inverse = forward(assoc).inverse
        for id1, edge in rows:
            self._here(assoc.partition, shard_of(id1))
            self.shards.pool(assoc.partition, shard_of(edge.id2))
        order = sorted(range(len(rows)), key=lambda at: (rows[at][0], rows[at][1].id2))
        keys = [(rows[at][0], rows[at][1]) for at in order]
        written = await self.run(
            _EDGE_WRITES,
            [shard_of(id1) for id1, _ in keys],
            [id1 for id1, _ in keys],
            [edge.id2 for _, edge in keys],
            [edge.time or None for _, edge in keys],
            [edge.data.decode() if edge.data is not None else None for _, edge in keys],
            [shard_of(edge.id2) for _, edge in keys],
            assoc.number,
            present,
            inverse.number if inverse else None,
            *_lists((shard_of(id1), assoc, id1, edge.id2) for id1, edge in keys),
        )
        changed = [False] * len(rows)
        for n, did_change, version, edge_time, message in written:
            id1, edge = keys[n - 1]
            changed[order[n - 1]] = did_change
            if did_change:
                self._changed(assoc, id1, edge.id2)
            if message is not None:
                self._follow(assoc, id1, Edge(edge.id2, edge_time, version, edge.data), present, message)
        return changed

    def _changed(self, assoc: Association, id1: int, id2: int) -> None:
        """An inverse on the same shard was written along."""
        self.changed_edges.append((id1, assoc.number, id2))
        if assoc.inverse is not None and shard_of(id1) == shard_of(id2):
            self.changed_edges.append((id2, assoc.inverse.number, id1))

    def _follow(self, assoc: Association, id1: int, edge: Edge, present: bool, message: int) -> None:
        assert assoc.inverse is not None
        data = NO_DATA if edge.data is None else msgspec.Raw(edge.data)
        mirror = Mirror(edge.id2, assoc.inverse.number, id1, edge.time, data, edge.version, present)
        self.messages.append(Message(assoc.partition, shard_of(id1), message, mirror))

    async def claim(self, partition: str, shard: int, kind: str, key: str, id_: int) -> int:
        """Who holds (kind, key) on this shard: `id_` if nobody did before. The first claim wins, for ever or until released."""
        self._here(partition, shard)
        while not (rows := await self.run(_CLAIM, shard, kind, key, id_)):
            pass  # another claim committed during the statement, which cannot see it yet: the next one does
        return cast(int, rows[0][0])

    async def claim_many(
        self, partition: str, shard: int, kind: str, rows: Sequence[tuple[str, int]]
    ) -> set[str]:
        """Claim keys given as (key, id); those that were free."""
        self._here(partition, shard)
        made = await self.run(_CLAIM_MANY, shard, kind, [key for key, _ in rows], [id_ for _, id_ in rows])
        return {row[0] for row in made}

    async def claimed(self, partition: str, shard: int, kind: str, key: str) -> tuple[int, int] | None:
        """(id, created) of the claim; None when nobody has claimed it."""
        rows = await self.run(CLAIMED, self._here(partition, shard), kind, key)
        return (rows[0][0], rows[0][1]) if rows else None

    async def release(self, partition: str, shard: int, kind: str, key: str, id_: int) -> bool:
        return bool(await self.run(_RELEASE, self._here(partition, shard), kind, key, id_))

    async def post(
        self, partition: str, shard: int, kind: str, payload: msgspec.Struct, delay_ms: int
    ) -> int:
        """Leave work for the sweep, due in `delay_ms`; the id of its outbox row."""
        return cast(
            int,
            (
                await self.run(
                    _POST, self._here(partition, shard), kind, msgspec.json.encode(payload), delay_ms
                )
            )[0][0],
        )

    async def take_back(self, partition: str, shard: int, outbox_ids: Iterable[int]) -> int:
        """Remove outbox rows whose work is done or no longer wanted; how many were there."""
        return len(await self.run(_TAKE_BACK, self._here(partition, shard), list(outbox_ids)))


def _lists(
    edges: Iterable[tuple[int, Association, int, int]],
) -> tuple[list[int], list[int], list[int]]:
    """The lists that writing these edges (shard, forward, id1, id2) locks on their shards: (shards, id1s, atypes).

    In the one order that everybody keeps, so that no two can wait for each other.
    """
    lists = set()
    for shard, assoc, id1, id2 in edges:
        lists.add((id1, assoc.number, shard))
        if assoc.inverse is not None and shard_of(id2) == shard:
            lists.add((id2, assoc.inverse.number, shard))
    ordered = sorted(lists)
    return [key[2] for key in ordered], [key[0] for key in ordered], [key[1] for key in ordered]


def encode_changes(struct: type[Any], changes: dict[str, object]) -> bytes:
    """The JSON patch of an update, checked against the declared fields; `TypeError` for a field that is none."""
    types = {item.encode_name: item.type for item in msgspec.structs.fields(struct)}
    unknown = changes.keys() - types.keys()
    if unknown:
        raise TypeError(f"{struct.__name__} has no field {', '.join(sorted(unknown))}")
    return msgspec.json.encode(
        {name: msgspec.convert(value, types[name], from_attributes=True) for name, value in changes.items()}
    )


def forward(assoc: Association) -> Association:
    """The same association; `TypeError` when it is an inverse, since only the forward side starts a write."""
    if not assoc.forward:
        raise TypeError(
            f"{assoc.name} is an inverse: write {assoc.inverse.name if assoc.inverse else 'its forward side'}"
        )
    return assoc


def on_connection(pool: Pool, connection: Connection) -> Run:
    """`Run` for statements inside an open transaction, with the pool's errors."""

    return partial(pool.run_on, connection)


def relay_deadline_ms() -> int:
    """Until when (ms since 1970) a message relayed now may be applied: carried by its statement."""
    return int((time.time() + remaining_s()) * 1000)
