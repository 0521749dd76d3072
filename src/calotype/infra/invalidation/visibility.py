"""Wait until what the log tells is what a reader sees.

A primary makes a commit durable, and with it readable in the log, before it makes it visible to others: normally
microseconds before, but as long as it takes when it waits for a synchronous standby. A delete in between would be
followed by a fill with the old row, for good. (On a standby the log can be read only as far as it was replayed.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from calotype.infra.invalidation.slots import Database

FIRST_WAIT_S = 0.0005
LAST_WAIT_S = 0.05

_XID_MASK = 0xFFFFFFFF
_HALF = 1 << 31


async def wait_until_visible(database: Database, xids: Sequence[int]) -> None:
    """Return when every statement that begins from now on sees these transactions (the lower halves of their ids)."""
    await _wait(database, lambda snapshot: all_visible(snapshot, xids))


async def wait_for_those_under_way(database: Database) -> None:
    """Return when every transaction that has written something by now has ended.

    A new slot tells nothing of those that committed before it begins, and some of them may still be invisible.
    """
    row = await (await database.execute("select pg_current_xact_id()::text")).fetchone()
    assert row is not None
    newest = int(str(row[0]))
    await _wait(database, lambda snapshot: int(snapshot.split(":")[0]) > newest)


async def _wait(database: Database, enough: Callable[[str], bool]) -> None:
    wait_s = FIRST_WAIT_S
    while not enough(await _snapshot(database)):
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, LAST_WAIT_S)


async def _snapshot(database: Database) -> str:
    row = await (await database.execute("select pg_current_snapshot()::text", prepare=True)).fetchone()
    assert row is not None
    return str(row[0])


def all_visible(snapshot: str, xids: Sequence[int]) -> bool:
    """Whether a snapshot, as PostgreSQL writes it (`xmin:xmax:running,...`), sees all of these committed transactions."""
    _, end, under_way = snapshot.split(":")
    running = {int(xid) & _XID_MASK for xid in under_way.split(",") if xid}
    return not any(xid in running or _is_from(xid, int(end)) for xid in xids)


def _is_from(xid: int, end: int) -> bool:
    """Whether it is not before `end`: halves of ids wrap, and none is 2 billion away from another."""
    return (xid - end) & _XID_MASK < _HALF
