"""The graph's read statements: each reads any number of keys of one physical server.

Statements name the partitioned parents and join them with a list of keys, so their number does not grow with the
logical shards (docs/shards.md has the figures). One key alone takes a cheaper form of the same statement.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from calotype.infra.ids import shard_of
from calotype.infra.shards import Pool
from calotype.infra.tao.prefix import Prefix, PrefixKey, RangeKey
from calotype.infra.tao.types import Cursor, Edge


class ObjectRow(NamedTuple):
    otype: int
    version: int
    created: int
    updated: int
    data: bytes


class CountRow(NamedTuple):
    length: int
    version: int


class EdgeRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An association or its absence, as it was at this version of its list."""

    version: int
    edge: Edge | None


EdgeKey = tuple[int, int, int]
"""(id1, atype, id2)"""
ListKey = tuple[int, int]
"""(id1, atype)"""

_OBJECT = """
select id, otype, version, created, updated, data from objects where shard = $1 and id = $2
"""
_OBJECTS = """
select o.id, o.otype, o.version, o.created, o.updated, o.data
from unnest($1::text::int[], $2::text::bigint[]) k (shard, id) join objects o on (o.shard, o.id) = (k.shard, k.id)
"""
_NEWEST = """
select o.id, o.otype, o.version, o.created, o.updated, o.data
from unnest($1::text::int[]) k (shard),
lateral (
    select * from (
        select * from objects a where a.shard = k.shard and a.id >= $3 order by a.id desc limit $5
    ) scanned
    where otype = $2 order by id desc limit $4
) o
"""
_COUNT = """
select id1, atype, count, version from association_counts where shard = $1 and id1 = $2 and atype = $3
"""
_COUNTS = """
select c.id1, c.atype, c.count, c.version
from unnest($1::text::int[], $2::text::bigint[], $3::text::int[]) k (shard, id1, atype)
join association_counts c on (c.shard, c.id1, c.atype) = (k.shard, k.id1, k.atype)
"""
_EDGES = """
select a.id1, a.atype, a.id2, a.time, a.version, a.data
from unnest($1::text::int[], $2::text::bigint[], $3::text::int[], $4::text::bigint[]) k (shard, id1, atype, id2)
join associations a on (a.shard, a.id1, a.atype, a.id2) = (k.shard, k.id1, k.atype, k.id2)
where not a.deleted
"""
_EDGE_ROWS = """
select k.id1, k.atype, k.id2, c.version, a.time, a.version, a.data
from unnest($1::text::int[], $2::text::bigint[], $3::text::int[], $4::text::bigint[]) k (shard, id1, atype, id2)
left join association_counts c on (c.shard, c.id1, c.atype) = (k.shard, k.id1, k.atype)
left join associations a on (a.shard, a.id1, a.atype, a.id2) = (k.shard, k.id1, k.atype, k.id2) and not a.deleted
"""
_PREFIXES = """
select k.n, c.version, c.count, a.id2, a.time, a.version, a.data
from unnest($1::text::int[], $2::text::bigint[], $3::text::int[], $4::text::int[]) with ordinality k (shard, id1, atype, amount, n)
left join association_counts c on (c.shard, c.id1, c.atype) = (k.shard, k.id1, k.atype)
left join lateral (
    select id2, time, version, data from associations a
    where a.shard = k.shard and a.id1 = k.id1 and a.atype = k.atype and not a.deleted
    order by time desc, id2 desc limit k.amount
) a on true
"""
_RANGE = """
select id2, time, version, data from associations
where shard = $1 and id1 = $2 and atype = $3 and not deleted and (time, id2) < ($4, $5) and time >= $6
order by time desc, id2 desc offset $7 limit $8
"""
_RANGES = """
select k.n, a.id2, a.time, a.version, a.data
from unnest($1::text::int[], $2::text::bigint[], $3::text::int[], $4::text::bigint[], $5::text::bigint[], $6::text::bigint[], $7::text::int[], $8::text::int[])
    with ordinality k (shard, id1, atype, before_time, before_id2, low, skip, amount, n),
lateral (
    select id2, time, version, data from associations a
    where a.shard = k.shard and a.id1 = k.id1 and a.atype = k.atype and not a.deleted
        and (a.time, a.id2) < (k.before_time, k.before_id2) and a.time >= k.low
    order by time desc, id2 desc offset k.skip limit k.amount
) a
"""
_SAME_RANGES = """
select k.n, a.id2, a.time, a.version, a.data
from unnest($1::text::bigint[]) with ordinality k (id1, n),
lateral (
    select id2, time, version, data from associations a
    where a.shard = (k.id1 >> 10 & 8191)::int and a.id1 = k.id1 and a.atype = $2 and not a.deleted
        and (a.time, a.id2) < ($3, $4) and a.time >= $5
    order by time desc, id2 desc offset $6 limit $7
) a
"""
_MERGE = """
select a.id1, a.id2, a.time, a.version, a.data
from unnest($1::text::bigint[]) k (id1),
lateral (
    select id1, id2, time, version, data from associations a
    where a.shard = (k.id1 >> 10 & 8191)::int and a.id1 = k.id1 and a.atype = $2 and not a.deleted
        and (a.time, a.id2) < ($3, $4)
    order by time desc, id2 desc limit $5
) a
order by a.time desc, a.id2 desc limit $5
"""
_MERGE_UP = """
select a.id1, a.id2, a.time, a.version, a.data
from unnest($1::text::bigint[]) k (id1),
lateral (
    select id1, id2, time, version, data from associations a
    where a.shard = (k.id1 >> 10 & 8191)::int and a.id1 = k.id1 and a.atype = $2 and not a.deleted
        and (a.time, a.id2) > ($3, $4)
    order by time, id2 limit $5
) a
order by a.time, a.id2 limit $5
"""
_CLAIMS = """
select c.key, c.id from unnest($1::int[], $3::text[]) k (shard, key)
join claims c on (c.shard, c.kind, c.key) = (k.shard, $2, k.key)
"""
CLAIMED = """
select id, created from claims where shard = $1 and kind = $2 and key = $3
"""


def array(numbers: Iterable[int]) -> str:
    """An array as PostgreSQL writes it: asyncpg's own encoder asks of each element whether it is an array (0.2 us each)."""
    return "{" + ",".join(map(str, numbers)) + "}"


async def objects(pool: Pool, ids: list[int]) -> dict[int, ObjectRow]:
    if len(ids) == 1:
        rows = await pool.fetch(_OBJECT, shard_of(ids[0]), ids[0])
    else:
        rows = await pool.fetch(_OBJECTS, array(shard_of(id_) for id_ in ids), array(ids))
    return {row[0]: ObjectRow(row[1], row[2], row[3], row[4], row[5]) for row in rows}


async def newest(
    pool: Pool, shards: list[int], otype: int, floor: int, limit: int, scanned: int
) -> list[tuple[int, ObjectRow]]:
    """Of each of these shards the objects of a type with the highest ids, from `floor` on, among `scanned` of any type."""
    rows = await pool.fetch(_NEWEST, array(shards), otype, floor, limit, scanned)
    return [(row[0], ObjectRow(row[1], row[2], row[3], row[4], row[5])) for row in rows]


async def counts(pool: Pool, keys: list[ListKey]) -> dict[ListKey, CountRow]:
    if len(keys) == 1:
        id1, atype = keys[0]
        rows = await pool.fetch(_COUNT, shard_of(id1), id1, atype)
    else:
        rows = await pool.fetch(
            _COUNTS,
            array(shard_of(id1) for id1, _ in keys),
            array(id1 for id1, _ in keys),
            array(atype for _, atype in keys),
        )
    return {(row[0], row[1]): CountRow(row[2], row[3]) for row in rows}


async def edges(pool: Pool, keys: list[EdgeKey]) -> dict[EdgeKey, Edge]:
    rows = await pool.fetch(
        _EDGES,
        array(shard_of(key[0]) for key in keys),
        array(key[0] for key in keys),
        array(key[1] for key in keys),
        array(key[2] for key in keys),
    )
    return {(row[0], row[1], row[2]): Edge(row[2], row[3], row[4], row[5]) for row in rows}


async def edge_rows(pool: Pool, keys: list[EdgeKey]) -> dict[EdgeKey, EdgeRow]:
    """Every key is in the answer: what is kept in the cache says what is not there, too."""
    rows = await pool.fetch(
        _EDGE_ROWS, array(shard_of(key[0]) for key in keys), *map(array, zip(*keys, strict=True))
    )
    return {
        (row[0], row[1], row[2]): EdgeRow(
            row[3] or 0, None if row[4] is None else Edge(row[2], row[4], row[5], row[6])
        )
        for row in rows
    }


async def prefixes(pool: Pool, keys: list[PrefixKey]) -> dict[PrefixKey, Prefix]:
    """Every key is in the answer."""
    heads: dict[int, tuple[int, int]] = {}
    edges: list[list[Edge]] = [[] for _ in keys]
    for row in await pool.fetch(
        _PREFIXES, array(shard_of(key.id1) for key in keys), *map(array, zip(*keys, strict=True))
    ):
        at = row[0] - 1
        heads[at] = row[1] or 0, row[2] or 0
        if row[3] is not None:
            edges[at].append(Edge(row[3], row[4], row[5], row[6]))
    return {key: Prefix(*heads[at], len(edges[at]) < key.amount, edges[at]) for at, key in enumerate(keys)}


async def ranges(pool: Pool, keys: list[RangeKey]) -> dict[RangeKey, list[Edge]]:
    if len(keys) == 1:
        (key,) = keys
        one = await pool.fetch(_RANGE, shard_of(key.id1), *key)
        return {key: [Edge(row[0], row[1], row[2], row[3]) for row in one]}
    found: dict[RangeKey, list[Edge]] = {key: [] for key in keys}
    if len({key[1:] for key in keys}) == 1:  # of one kind and from one place: the page of a feed
        rows = await pool.fetch(_SAME_RANGES, array(key.id1 for key in keys), *keys[0][1:])
        for row in rows:
            found[keys[row[0] - 1]].append(Edge(row[1], row[2], row[3], row[4]))
        return found
    rows = await pool.fetch(
        _RANGES, array(shard_of(key.id1) for key in keys), *map(array, zip(*keys, strict=True))
    )
    for row in rows:
        found[keys[row[0] - 1]].append(Edge(row[1], row[2], row[3], row[4]))
    return found


async def claims(pool: Pool, kind: str, keys: list[tuple[int, str]]) -> list[tuple[str, int]]:
    """(key, id) of those of these (shard, key) that are claimed."""
    rows = await pool.fetch(_CLAIMS, [shard for shard, _ in keys], kind, [key for _, key in keys])
    return [(row[0], row[1]) for row in rows]


async def merged(
    pool: Pool, id1s: list[int], atype: int, place: Cursor, limit: int, *, upwards: bool
) -> list[tuple[int, Edge]]:
    """Of all these lists together the `limit` associations next to a place, as (id1, edge): the newest below it, newest
    first, or with `upwards` the oldest above it, oldest first."""
    sql = _MERGE_UP if upwards else _MERGE
    rows = await pool.fetch(sql, array(id1s), atype, place[0], place[1], limit)
    return [(row[0], Edge(row[1], row[2], row[3], row[4])) for row in rows]
