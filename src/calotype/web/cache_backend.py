"""`django.core.cache` on `infra.cache`: for any Django site, synchronous or not.

    CACHES = {
        "default": {
            "BACKEND": "calotype.web.cache_backend.MemcachedCache",
            "LOCATION": ["10.0.0.1:11211", "10.0.0.2:11211"],
            "OPTIONS": {"gutter": ["10.0.0.9:11211"], "timeout": 0.25},
        }
    }

The async methods run on the loop that calls them, where all requests share one connection a server. The others run on
one background thread of the process, with a loop of its own. Connections outlive requests; `aclose` ends those of the
running loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, InvalidCacheBackendError

from calotype.infra.cache import Cache, CacheMisused, Key, ValueTooLarge, safe_key
from calotype.infra.cache.types import TIMEOUT_S
from calotype.std.deadline import deadline, remaining_s
from calotype.web.cache_values import Unreadable, decode, encode

FOR_EVER_S, AT_ONCE_S = 0, -1
"""Lifetimes as the client takes them: until evicted, and none at all."""

_IGNORED = {"MAX_ENTRIES", "CULL_FREQUENCY"}
"""Options of other backends: memcached evicts by itself."""


@dataclass(frozen=True)
class Place:
    """What a `CACHES` entry names."""

    servers: tuple[str, ...]
    gutter: tuple[str, ...] = ()
    timeout_s: float = TIMEOUT_S


class MemcachedCache(BaseCache):
    """While memcached is away everything is a miss, and nothing is stored; only `clear` raises then.

    Any text is a valid key. Values: `web.cache_values`. Over a megabyte: `ValueTooLarge`.
    """

    def __init__(self, location: str | Iterable[str], params: dict[str, Any]) -> None:
        super().__init__(params)
        options = params.get("OPTIONS") or {}
        if unknown := options.keys() - _IGNORED - {"gutter", "timeout"}:
            raise InvalidCacheBackendError(f"unknown OPTIONS of a cache: {', '.join(sorted(unknown))}")
        servers = _addresses(location)
        if not servers:
            raise InvalidCacheBackendError("LOCATION names no memcached server")
        gutter = _addresses(options.get("gutter", ()))
        self._place = Place(servers, gutter, float(options.get("timeout", TIMEOUT_S)))

    def validate_key(self, key: Any) -> None:
        """Every key will do: those that memcached would not take are hashed."""

    def _key(self, key: Any, version: int | None) -> Key:
        return safe_key(self.make_and_validate_key(key, version=version))

    def _lifetime_s(self, timeout: float | None) -> int:
        if timeout == DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None:
            return FOR_EVER_S
        return int(timeout) if timeout >= 1 else AT_ONCE_S

    @property
    def _cache(self) -> Cache:
        return _of_this_loop(self._place)

    # Async, on the running loop

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return (await self.aget_many([key], version)).get(key, default)

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        asked = {key: self._key(key, version) for key in keys}
        raw = await self._cache.get_many(list(asked.values()))
        found = {}
        for key, safe in asked.items():
            if safe in raw:
                with suppress(Unreadable):
                    found[key] = decode(raw[safe])
        return found

    async def aset(
        self, key: Any, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        await self._store(self._key(key, version), encode(value), self._lifetime_s(timeout))

    async def aset_many(
        self, data: dict[Any, Any], timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """The keys that were not stored, since their server is away."""
        lifetime_s = self._lifetime_s(timeout)
        raw = [(self._key(key, version), encode(value)) for key, value in data.items()]
        stored = await asyncio.gather(*(self._store(key, value, lifetime_s) for key, value in raw))
        return [key for key, done in zip(data, stored, strict=True) if not done]

    async def _store(self, key: Key, value: bytes, lifetime_s: int) -> bool:
        try:
            return await self._cache.set(key, value, lifetime_s)
        except ValueTooLarge:
            await self._cache.remove([key])  # not the new value, but not the old one either
            raise

    async def aadd(
        self, key: Any, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return await self._cache.add(self._key(key, version), encode(value), self._lifetime_s(timeout))

    async def atouch(
        self, key: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return await self._cache.touch(self._key(key, version), self._lifetime_s(timeout))

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        return await self._cache.remove([self._key(key, version)]) == 1

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        await self._cache.remove([self._key(key, version) for key in keys])

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Atomic on the server, for whole numbers from 0; counting down ends at 0. Raises `ValueError` when no such
        number is there."""
        try:
            count = await self._cache.adjust(self._key(key, version), delta)
        except CacheMisused as error:
            raise ValueError(f"Key '{key}' does not hold a whole number from 0: {error}") from None
        if count is None:
            raise ValueError(f"Key '{key}' not found")
        return count

    async def aclear(self) -> None:
        """Empty the servers: of everything, whoever has stored it. Raises `CacheUnavailable` unless all are."""
        await self._cache.flush()

    async def aclose(self, **kwargs: Any) -> None:
        """End this loop's connections; the next call makes new ones."""
        if (cache := _caches.pop((asyncio.get_running_loop(), self._place), None)) is not None:
            await cache.close()

    # The same from synchronous code; what is not here the base class makes of these

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return _background.run(self.aget(key, default, version))

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        return _background.run(self.aget_many(keys, version))

    def set(
        self, key: Any, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        _background.run(self.aset(key, value, timeout, version))

    def set_many(
        self, data: dict[Any, Any], timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        return _background.run(self.aset_many(data, timeout, version))

    def add(
        self, key: Any, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return _background.run(self.aadd(key, value, timeout, version))

    def touch(self, key: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return _background.run(self.atouch(key, timeout, version))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return _background.run(self.adelete(key, version))

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        _background.run(self.adelete_many(keys, version))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return _background.run(self.aincr(key, delta, version))

    def clear(self) -> None:
        _background.run(self.aclear())


def _addresses(given: str | Iterable[str]) -> tuple[str, ...]:
    """As Django's other backends take them: a list, or one text with `;` or `,` between; `unix:` before a path."""
    if isinstance(given, str):
        given = given.replace(",", ";").split(";")
    return tuple(address for each in given if (address := each.strip().removeprefix("unix:")))


# Django makes a backend for each thread and each request: what they share is by loop and place.

_caches: dict[tuple[asyncio.AbstractEventLoop, Place], Cache] = {}


def _of_this_loop(place: Place) -> Cache:
    here = (asyncio.get_running_loop(), place)
    found = _caches.get(here)
    if found is None:
        for each in list(_caches):
            if each[0].is_closed():
                _caches.pop(each, None)
        found = _caches[here] = Cache(place.servers, place.gutter, timeout_s=place.timeout_s)
    return found


class _Background:
    """One thread a process that runs a loop for all synchronous callers, started with the first of them."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)  # a child has none of its parent's threads

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run[R](self, call: Coroutine[Any, Any, R]) -> R:
        """Block until it is done, under the caller's deadline."""
        return asyncio.run_coroutine_threadsafe(_within(remaining_s(), call), self._started()).result()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="django cache", daemon=True).start()
            return self._loop


async def _within[R](seconds: float, call: Coroutine[Any, Any, R]) -> R:
    with deadline(seconds):
        return await call


_background = _Background()
