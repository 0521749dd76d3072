"""Records on their way to the memcached servers: what has been read from the log and not been applied everywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import batched

from calotype.infra.cache import Cache, Key
from calotype.std.errors import CalotypeError

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0
"""After a server failed: the shortest and the longest time until its part is tried again."""

BATCH_KEYS = 2_000
"""Asked of one server at once."""

type Record = tuple[Key, int | None]
"""What is older than this version must go from the cache; None: whatever is there."""


@dataclass(slots=True)
class _Part:
    """What one server has not done yet. Failures of other servers do not hold it up."""

    cache: Cache
    waiting: dict[Key, int | None] = field(default_factory=dict)
    retry_at: float = 0.0
    retry_s: float = FIRST_RETRY_S


class Backlog:
    """Coalesces records by key: of several the highest version counts, and None above all.

    Each record goes to its key's server in every one of `caches`. That order does not matter, and that a record is
    applied again neither: a delete of what is older than a version stays right.
    """

    def __init__(self, caches: Sequence[Cache]) -> None:
        self._caches = caches
        self._parts = {server: _Part(cache) for cache in caches for server in cache.servers.servers}
        self.asked = 0
        self.done = 0
        self.last_error = ""

    def __len__(self) -> int:
        return sum(len(part.waiting) for part in self._parts.values())

    def add(self, records: Iterable[Record]) -> None:
        for key, version in records:
            for cache in self._caches:
                waiting = self._parts[cache.servers.server(key)].waiting
                waiting[key] = _higher(waiting[key], version) if key in waiting else version

    async def apply(self) -> bool:
        """Apply what waits, each server its part; whether nothing is left. A server that failed is left alone for a while."""
        now = time.monotonic()
        due = [part for part in self._parts.values() if part.waiting and part.retry_at <= now]
        if due:
            await asyncio.gather(*(self._apply(part) for part in due))
        return not len(self)

    def retry_in_s(self) -> float:
        """Until a part that failed is to be tried again."""
        due = min((part.retry_at for part in self._parts.values() if part.waiting), default=0.0)
        return max(due - time.monotonic(), 0.0)

    async def _apply(self, part: _Part) -> None:
        try:
            for records in batched(list(part.waiting.items()), BATCH_KEYS):
                self.done += await part.cache.invalidate(dict(records))
                self.asked += len(records)
                for key, _ in records:
                    del part.waiting[key]
        except CalotypeError as error:
            self.last_error = str(error)
            part.retry_at = time.monotonic() + part.retry_s
            part.retry_s = min(part.retry_s * 2, LAST_RETRY_S)
        else:
            part.retry_at, part.retry_s = 0.0, FIRST_RETRY_S


def _higher(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)
