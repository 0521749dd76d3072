"""Timelines in PostgreSQL: two tables on the owner's logical shard, written by one statement a physical server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from calotype.infra.ids import shard_of
from calotype.infra.invalidation import RegionCache, access
from calotype.infra.shards import Pool, Shards
from calotype.infra.shards.tickets import current, untracked
from calotype.infra.timelines.types import EVERYTHING, Entry, Page, Place

PARTITION = "people"
"""Timelines lie where their owners do."""

OWNERS_AT_ONCE = 2_000
"""Of one statement."""

DROPPED_AT_ONCE = 500

TRIM_EVERY = 16
"""Entries whose time is a multiple of so many milliseconds have the timelines trimmed that they come into: those are this
much longer at most, more or less."""

IDLE_S = 30 * 86_400.0

SEEN_AGAIN_MS = 86_400_000
"""That a timeline is read is noted once a day."""

_PUSH = """
with heads as materialized (
    select h.shard, h.owner from unnest($1::int[], $2::bigint[]) k (shard, owner)
    join timeline_heads h on (h.shard, h.owner) = (k.shard, k.owner) and h.kind = $3
)
insert into timelines
select h.shard, h.owner, $3, e.time, e.id, e.source
from heads h, unnest($4::bigint[], $5::bigint[], $6::bigint[]) e (time, id, source)
on conflict do nothing
"""
_REMOVE = """
delete from timelines t using unnest($1::int[], $2::bigint[]) k (shard, owner), unnest($4::bigint[], $5::bigint[]) e (time, id)
where (t.shard, t.owner, t.time, t.id) = (k.shard, k.owner, e.time, e.id) and t.kind = $3
"""
_PAGE = """
select h.floor_time, h.floor_id, h.seen, t.time, t.id, t.source from timeline_heads h left join lateral (
    select time, id, source from timelines
    where shard = $1 and owner = $2 and kind = $3 and (time, id) < ($4, $5) and (time, id) >= (h.floor_time, h.floor_id)
    order by time desc, id desc limit $6
) t on true
where h.shard = $1 and h.owner = $2 and h.kind = $3 and h.built
"""
_PAGE_UP = """
select h.floor_time, h.floor_id, h.seen, t.time, t.id, t.source from timeline_heads h left join lateral (
    select time, id, source from timelines
    where shard = $1 and owner = $2 and kind = $3 and (time, id) > ($4, $5) and (time, id) >= (h.floor_time, h.floor_id)
    order by time, id limit $6
) t on true
where h.shard = $1 and h.owner = $2 and h.kind = $3 and h.built
"""
_SEEN = """
update timeline_heads set seen = $4 where shard = $1 and owner = $2 and kind = $3
"""
_BEGIN = """
insert into timeline_heads values ($1, $2, $3, 1, $4, false, $6, $6, $4)
on conflict (owner, kind, shard) do update
set build = timeline_heads.build + 1, begun = $4, built = false, floor_time = $6, floor_id = $6
where $5 = 0 or (not timeline_heads.built and timeline_heads.begun < $4 - $5)
returning build
"""
_FINISH = """
update timeline_heads set built = true,
    floor_time = greatest(floor_time, $5),
    floor_id = case when (floor_time, floor_id) < ($5, $6) then $6 else floor_id end
where shard = $1 and owner = $2 and kind = $3 and build = $4 returning 1
"""
"""The higher floor, should the timeline have been trimmed meanwhile."""
_TRIM = """
with heads as materialized (
    select h.shard, h.owner from unnest($1::int[], $2::bigint[]) k (shard, owner)
    join timeline_heads h on (h.shard, h.owner) = (k.shard, k.owner) and h.kind = $3
    order by h.owner for update of h skip locked
), floors as materialized (
    select h.shard, h.owner, t.time, t.id from heads h, lateral (
        select time, id from timelines where shard = h.shard and owner = h.owner and kind = $3
        order by time desc, id desc offset $4 - 1 limit 1
    ) t
), raised as (
    update timeline_heads h set floor_time = f.time, floor_id = f.id from floors f
    where (h.shard, h.owner) = (f.shard, f.owner) and h.kind = $3 and (h.floor_time, h.floor_id) < (f.time, f.id)
)
delete from timelines t using floors f
where (t.shard, t.owner) = (f.shard, f.owner) and t.kind = $3 and (t.time, t.id) < (f.time, f.id)
"""
_DROP_IDLE = """
with idle as materialized (
    select shard, owner, kind from timeline_heads where seen < $1 order by seen limit $2 for update skip locked
), heads as (
    delete from timeline_heads h using idle i where (h.shard, h.owner, h.kind) = (i.shard, i.owner, i.kind) returning 1
), entries as (
    delete from timelines t using idle i where (t.shard, t.owner, t.kind) = (i.shard, i.owner, i.kind)
)
select * from heads
"""


class PostgresTimelines:
    """See `Timelines`. `cache`: of the region, whose position tells who may be answered by its standby.

    A push of an owner without a timeline is passed over. One that nobody has read for `idle_s` seconds is dropped.
    """

    def __init__(self, shards: Shards, cache: RegionCache | None = None, idle_s: float = IDLE_S) -> None:
        self._shards = shards
        self._cache = cache
        self._idle_s = idle_s

    async def push(self, kind: int, owners: Sequence[int], entries: Sequence[Entry], *, keep: int) -> None:
        if not entries:
            return
        await self._each(_PUSH, owners, kind, *zip(*entries, strict=True))
        if any(entry.time % TRIM_EVERY == 0 for entry in entries):
            await self.trim(kind, owners, keep)

    async def remove(self, kind: int, owners: Sequence[int], places: Sequence[Place]) -> None:
        if places:
            await self._each(_REMOVE, owners, kind, *zip(*places, strict=True))

    async def page(self, kind: int, owner: int, before: Place, limit: int) -> Page | None:
        return await self._page(_PAGE, kind, owner, before, limit)

    async def page_up(self, kind: int, owner: int, after: Place, limit: int) -> Page | None:
        page = await self._page(_PAGE_UP, kind, owner, after, limit)
        return None if page is None else page._replace(entries=page.entries[::-1])

    async def _page(self, sql: str, kind: int, owner: int, place: Place, limit: int) -> Page | None:
        pool, shard = self._home(owner)
        source, _ = access(self._cache, pool, current())
        rows = await source.fetch(sql, shard, owner, kind, place[0], place[1], limit)
        if not rows:
            return None
        now = _now_ms()
        if rows[0][2] < now - SEEN_AGAIN_MS:
            with untracked():
                await pool.write(_SEEN, shard, owner, kind, now)
        entries = [Entry(row[3], row[4], row[5]) for row in rows if row[3] is not None]
        return Page(entries, (rows[0][0], rows[0][1]))

    async def begin(self, kind: int, owner: int, *, unless_begun_s: float = 0.0) -> int | None:
        pool, shard = self._home(owner)
        rows = await pool.write(
            _BEGIN, shard, owner, kind, _now_ms(), int(unless_begun_s * 1000), EVERYTHING[0]
        )
        return rows[0][0] if rows else None

    async def finish(self, kind: int, owner: int, build: int, floor: Place) -> bool:
        pool, shard = self._home(owner)
        return bool(await pool.write(_FINISH, shard, owner, kind, build, floor[0], floor[1]))

    async def trim(self, kind: int, owners: Sequence[int], keep: int) -> None:
        """Keep the newest entries of each, and raise the floor to the last of them."""
        await self._each(_TRIM, owners, kind, keep)

    async def drop_idle(self) -> int:
        before = _now_ms() - int(self._idle_s * 1000)
        dropped = 0
        for pool in self._pools():
            while rows := await pool.write(_DROP_IDLE, before, DROPPED_AT_ONCE):
                dropped += len(rows)
        return dropped

    async def healthy(self) -> bool:
        return all(await asyncio.gather(*(pool.healthy() for pool in self._pools())))

    def _home(self, owner: int) -> tuple[Pool, int]:
        shard = shard_of(owner)
        return self._shards.pool(PARTITION, shard), shard

    def _pools(self) -> list[Pool]:
        return list(dict.fromkeys(self._shards.routes(PARTITION).values()))

    async def _each(self, sql: str, owners: Sequence[int], *arguments: object) -> None:
        """Run a statement for the owners on each server, all servers at once."""
        batches = [
            pool.write(sql, [shard_of(owner) for owner in some], some, *map(_array, arguments))
            for pool, all_of_them in self._by_pool(owners).items()
            for some in _batches(sorted(all_of_them))
        ]
        await asyncio.gather(*batches)

    def _by_pool(self, owners: Sequence[int]) -> Mapping[Pool, list[int]]:
        by_pool: dict[Pool, list[int]] = {}
        for owner in owners:
            if pool := self._shards.find(PARTITION, shard_of(owner)):
                by_pool.setdefault(pool, []).append(owner)
        return by_pool


def _batches(owners: list[int]) -> list[list[int]]:
    return [owners[start : start + OWNERS_AT_ONCE] for start in range(0, len(owners), OWNERS_AT_ONCE)]


def _array(argument: object) -> object:
    return list(argument) if isinstance(argument, tuple) else argument


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
