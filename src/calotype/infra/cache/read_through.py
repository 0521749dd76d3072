"""Reads that go to the cache first and to the database for what is missing, with one reader filling each key.

The order is the protocol: the lease is taken before the database is read, and what was read is stored under it. Whoever
finds a key being filled waits for it a moment, takes the value that was just deleted if that is good enough, and in the
end reads the database itself, with few others at a time, and stores nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from calotype.infra.cache.cache import Cache
from calotype.infra.cache.errors import ReadersWait
from calotype.infra.cache.keys import Key
from calotype.infra.cache.types import VALUE_LIMIT, Found, Lease
from calotype.std.deadline import remaining_s

PAUSES_S = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
"""Between looks at a key that somebody else fills: 126 ms in all, then the database is asked."""

AT_ONCE = 4
"""Reads of one place (a logical shard) that go past the cache at the same time, in one process."""


class Entries[K, V](Protocol):
    """How one kind of thing is kept in the cache, and read from the database."""

    def place(self, k: K) -> int:
        """What is protected as one when many read past the cache: the logical shard."""
        ...

    def decode(self, k: K, value: bytes) -> V:
        """Raises `ValueError` for what another release wrote and this one cannot read: then it is filled anew."""
        ...

    def encode(self, k: K, v: V) -> tuple[bytes, int] | None:
        """The value and its version; None for what is not to be kept."""
        ...


type Load[K, V] = Callable[[list[K]], Awaitable[Mapping[K, V]]]
"""Reads the database: every key must be in its answer."""


@dataclass
class ReadThroughMetrics:
    """Since the process started; keys."""

    loaded: int = 0
    """Read from the database under a lease."""
    past: int = 0
    """Read from the database without one: nothing was filled."""
    unreadable: int = 0


@dataclass
class _Read[K, V]:
    """One call's state."""

    entries: Entries[K, V]
    load: Load[K, V]
    stale_allowed: bool
    by_key: Mapping[Key, K]
    out: dict[K, V] = field(default_factory=dict)
    waiting: list[Key] = field(default_factory=list)
    past: list[K] = field(default_factory=list)


class ReadThrough:
    """One a cache; `read` may be called for any kinds of entries."""

    def __init__(self, cache: Cache, at_once: int = AT_ONCE) -> None:
        self.cache = cache
        self.metrics = ReadThroughMetrics()
        self._at_once = at_once
        self._turns: dict[int, asyncio.Semaphore] = {}
        self._users: dict[int, int] = {}

    async def read[K, V](
        self,
        by_key: Mapping[Key, K],
        entries: Entries[K, V],
        load: Load[K, V],
        *,
        stale_allowed: bool = True,
    ) -> dict[K, V]:
        """The value behind each key. `stale_allowed`: whether one that was deleted within the last `STALE_S` may do
        while somebody else reads the new one, and one of the gutter. Raises what `load` raises, and `ReadersWait`.
        """
        read = _Read(entries, load, stale_allowed, by_key)
        await self._take(read, await self.cache.lease_many(list(by_key), gutter=stale_allowed))
        for pause_s in PAUSES_S:
            if not read.waiting or remaining_s() < pause_s:
                break
            await asyncio.sleep(pause_s)
            await self._take(read, await self.cache.lease_many(read.waiting, gutter=stale_allowed))
        read.past += [by_key[key] for key in read.waiting]
        if read.past:
            await self._load_past(read)
        return read.out

    async def _take[K, V](self, read: _Read[K, V], found: Found) -> None:
        """Take the hits, fill what was won, make do with what is stale if that is allowed. Leases that come to nothing,
        for whatever reason, are given back."""
        read.past += [read.by_key[key] for key in found.away]
        try:
            await self._decode(read, found)
            if found.won:
                await self._fill(read, found.won)
        finally:
            for key, lease in found.won.items():
                self.cache.release(key, lease)
        read.waiting = [key for key in found.waiting if not self._stale(read, key, found)]

    async def _decode[K, V](self, read: _Read[K, V], found: Found) -> None:
        out, by_key, decode = read.out, read.by_key, read.entries.decode
        for key, value in found.hits.items():
            k = by_key[key]
            try:
                out[k] = decode(k, value)
            except ValueError:
                self.metrics.unreadable += 1
                lease = await self.cache.reserve(key)
                if lease is None:
                    read.past.append(k)
                else:
                    found.won[key] = lease

    async def _fill[K, V](self, read: _Read[K, V], won: dict[Key, Lease]) -> None:
        """Read what was won, and fill it; leases that were used are taken from `won`."""
        keys = list(won)
        loaded = await read.load([read.by_key[key] for key in keys])
        self.metrics.loaded += len(keys)
        for key in keys:
            k = read.by_key[key]
            read.out[k] = loaded[k]
            kept = read.entries.encode(k, loaded[k])
            if kept is not None and len(kept[0]) <= VALUE_LIMIT:
                self.cache.fill(key, won.pop(key), *kept)

    @staticmethod
    def _stale[K, V](read: _Read[K, V], key: Key, found: Found) -> bool:
        """Whether the old value of a key does while somebody else reads the new one."""
        value = found.stale.get(key) if read.stale_allowed else None
        if value is None:
            return False
        k = read.by_key[key]
        try:
            read.out[k] = read.entries.decode(k, value)
        except ValueError:
            return False
        return True

    async def _load_past[K, V](self, read: _Read[K, V]) -> None:
        """Read the database without filling, place by place, few at a time each."""
        self.metrics.past += len(read.past)
        by_place: dict[int, list[K]] = {}
        for k in read.past:
            by_place.setdefault(read.entries.place(k), []).append(k)
        for part in await asyncio.gather(
            *(self._one_place(place, ks, read.load) for place, ks in by_place.items())
        ):
            read.out |= part

    async def _one_place[K, V](self, place: int, ks: list[K], load: Load[K, V]) -> Mapping[K, V]:
        async with self._turn(place):
            return await load(ks)

    @asynccontextmanager
    async def _turn(self, place: int) -> AsyncIterator[None]:
        """Wait for one's turn, until the deadline. Places that nobody reads are forgotten."""
        turns = self._turns.setdefault(place, asyncio.Semaphore(self._at_once))
        self._users[place] = self._users.get(place, 0) + 1
        try:
            try:
                async with asyncio.timeout(remaining_s()):
                    await turns.acquire()
            except TimeoutError:
                raise ReadersWait(
                    f"{self._users[place]} readers of shard {place} wait for the database; {self._at_once} read at a time"
                ) from None
            try:
                yield
            finally:
                turns.release()
        finally:
            self._users[place] -= 1
            if not self._users[place]:
                del self._users[place], self._turns[place]
