"""Timelines in Apache Cassandra: one partition each, written blindly, emptied by expiry.

A push is one insert for each owner and entry, whether or not the owner has a timeline: to find that out would cost as
much. What was built lives for `idle_s`; so do the entries, a day longer. When a head has expired the timeline is built
anew, by the next who asks for it. So nobody need note who reads, or look for the idle, and a partition holds what one
build kept and what was pushed in a month.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from calotype.infra.timelines.cassandra.session import CassandraUnavailable, Row, Session
from calotype.infra.timelines.types import EVERYTHING, Entry, Page, Place
from calotype.std.deadline import remaining_s
from calotype.std.errors import Unavailable

IDLE_S = 30 * 86_400
LONGER_S = 86_400
"""Entries outlive the head that promises them by so much."""

BEGIN_ATTEMPTS = 10

_PUSH = "INSERT INTO timelines (owner, kind, time, id, source) VALUES (?, ?, ?, ?, ?) USING TTL ?"
_REMOVE = "DELETE FROM timelines WHERE owner = ? AND kind = ? AND time = ? AND id = ?"
_PAGE = """
SELECT built, floor_time, floor_id, time, id, source FROM timelines
WHERE owner = ? AND kind = ? AND (time, id) < (?, ?) LIMIT ?
"""
_PAGE_UP = """
SELECT built, floor_time, floor_id, time, id, source FROM timelines
WHERE owner = ? AND kind = ? AND (time, id) > (?, ?) ORDER BY time ASC, id ASC LIMIT ?
"""
_HEAD = (
    "SELECT DISTINCT built, floor_time, floor_id, build, begun FROM timelines WHERE owner = ? AND kind = ?"
)
_BEGIN = """
UPDATE timelines USING TTL ? SET build = ?, begun = ?, built = false WHERE owner = ? AND kind = ? IF build = ?
"""
_FINISH = """
UPDATE timelines USING TTL ? SET build = ?, begun = ?, built = true, floor_time = ?, floor_id = ?
WHERE owner = ? AND kind = ? IF build = ?
"""
_CUT = "DELETE FROM timelines USING TIMESTAMP ? WHERE owner = ? AND kind = ? AND (time, id) < (?, ?)"


class TimelineBusy(Unavailable):
    """Others begin to build the same timeline again and again."""

    code = "timeline_busy"


class CassandraTimelines:
    """See `Timelines`. Raises `CassandraUnavailable`. Durable: on the commit logs of a majority of the replicas."""

    def __init__(self, session: Session, idle_s: int = IDLE_S) -> None:
        self._session = session
        self._idle_s = idle_s

    async def push(self, kind: int, owners: Sequence[int], entries: Sequence[Entry], *, keep: int) -> None:
        """`keep` is not needed: expiry bounds the partition."""
        ttl = self._idle_s + LONGER_S
        rows = ((owner, kind, *entry, ttl) for owner in owners for entry in entries)
        await self._session.run_many(_PUSH, rows)

    async def remove(self, kind: int, owners: Sequence[int], places: Sequence[Place]) -> None:
        await self._session.run_many(_REMOVE, ((owner, kind, *place) for owner in owners for place in places))

    async def page(self, kind: int, owner: int, before: Place, limit: int) -> Page | None:
        rows = await self._session.run(_PAGE, (owner, kind, *before, limit))
        return _page(rows or await self._head(kind, owner))

    async def page_up(self, kind: int, owner: int, after: Place, limit: int) -> Page | None:
        rows = await self._session.run(_PAGE_UP, (owner, kind, *after, limit))
        return _page(rows[::-1] or await self._head(kind, owner))

    async def begin(self, kind: int, owner: int, *, unless_begun_s: float = 0.0) -> int | None:
        """A build's number is the moment at which it began, in microseconds, and higher than those before."""
        tried = 0
        for _ in range(BEGIN_ATTEMPTS):
            now_us = time.time_ns() // 1_000
            head = await self._head(kind, owner)
            built, _, _, before, begun = head[0] if head else (None,) * 5
            if before == tried:
                return tried
            if unless_begun_s and before and (built or begun > (now_us / 1e6 - unless_begun_s) * 1e3):
                return None
            tried = max(now_us, (before or 0) + 1)
            if await self._begun(kind, owner, tried, before):
                return tried
        raise TimelineBusy(f"a build of the timeline {kind} of {owner} could not begin")

    async def _begun(self, kind: int, owner: int, build: int, before: int | None) -> bool:
        """False: another was faster, or nobody knows: then the head tells."""
        values = (self._idle_s, build, build // 1_000, owner, kind, before)
        try:
            return bool((await self._session.run(_BEGIN, values, idempotent=False))[0][0])
        except CassandraUnavailable:
            if remaining_s() <= 0:
                raise
            return False

    async def finish(self, kind: int, owner: int, build: int, floor: Place) -> bool:
        if floor != EVERYTHING:
            # As of the moment at which this build began: what a later one has pushed stays.
            await self._session.run(_CUT, (build, owner, kind, *floor))
        values = (self._idle_s, build, build // 1_000, *floor, owner, kind, build)
        # Under its condition, to do it twice is to do it once.
        return bool((await self._session.run(_FINISH, values))[0][0])

    async def drop_idle(self) -> int:
        """They expire by themselves."""
        return 0

    async def healthy(self) -> bool:
        return await self._session.healthy()

    async def _head(self, kind: int, owner: int) -> list[Row]:
        """What a page shows beside its entries, or nothing."""
        found = await self._session.run(_HEAD, (owner, kind))
        return [row for row in found if row[3] is not None]


def _page(rows: Sequence[Row]) -> Page | None:
    """A page of its rows, or of the head alone when there are none."""
    if not rows or not rows[0][0]:
        return None
    floor: Place = (rows[0][1], rows[0][2])
    return Page([Entry(*row[3:]) for row in rows if len(row) == 6 and row[3:5] >= floor], floor)
