"""What a worker knows of how far its region has followed each log: read from the region's memcached, now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from calotype.infra.cache import Cache
from calotype.infra.invalidation.positions import Position, decode_position, key_space, position_key
from calotype.std.deadline import deadline

REFRESH_S = 0.25
"""How often a worker looks. A new generation is in use everywhere within about this time."""

FORGET_S = 60.0
"""A position that cannot be read on any server for so long is not known any more."""


class Progress:
    """`async with Progress(cache, logs)` keeps it up to date until the block ends.

    A log whose position was never read has no key space: nothing of it may be read from the cache or kept there, since
    nobody may be following it. A position that cannot be read stays what it was, for a minute.
    """

    def __init__(self, cache: Cache, logs: Iterable[str]) -> None:
        self.spaces: dict[str, bytes] = {}
        """Log -> what each key of its data must hold."""
        self.applied: dict[str, int] = {}
        self._cache = cache
        self._logs = list(logs)
        self._newest: dict[str, tuple[int, int]] = {}
        self._read_at: dict[str, float] = {}
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Progress:
        with deadline(1):
            await self.refresh()
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._following is not None
        self._following.cancel()
        await asyncio.wait([self._following])

    async def refresh(self) -> None:
        """Read the positions now, from whichever servers have them: the newest counts."""
        now = time.monotonic()
        for log in self._logs:
            values = await self._cache.get_everywhere(position_key(log))
            known = [position for value in values if (position := decode_position(value)) is not None]
            newest = max(known, key=_age, default=None)
            if newest is not None and _age(newest) >= self._newest.get(log, (0, 0)):
                self._newest[log] = _age(newest)
                self.spaces[log] = key_space(log, newest.generation).encode()
                self.applied[log] = newest.applied_lsn
                self._read_at[log] = now
            elif now - self._read_at.get(log, now) > FORGET_S:
                self.spaces.pop(log, None)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self.refresh()


def _age(position: Position) -> tuple[int, int]:
    """Later positions have greater ones; a server that was cut off for a while may still show an earlier one."""
    return int(position.generation, 36), position.applied_lsn
