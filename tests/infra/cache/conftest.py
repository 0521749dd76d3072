"""Servers of this package's own, and caches that are closed with the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from calotype.infra.cache import Cache
from tests.memcached import Raw, RunningMemcached, raw, running_memcached

NewCache = Callable[..., Cache]

TIMEOUT_S = 0.25


async def answering(cache: Cache) -> None:
    """Wait until all servers answer again, which they do by themselves."""
    async with asyncio.timeout(3):
        while not await cache.healthy():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture(scope="package")
def shared(short_directory: Path) -> Iterator[list[RunningMemcached]]:
    """Three servers that no test ends; tests keep apart by new keys."""
    with running_memcached(short_directory, 3) as servers:
        yield servers


@pytest.fixture
def pair(short_directory: Path) -> Iterator[list[RunningMemcached]]:
    """Two of the test's own."""
    with running_memcached(short_directory, 2) as servers:
        yield servers


@pytest.fixture
async def new_cache() -> AsyncIterator[NewCache]:
    made: list[Cache] = []

    def make(
        servers: list[RunningMemcached], gutter: list[RunningMemcached] | None = None, **options: float
    ) -> Cache:
        made.append(Cache([one.address for one in servers], [one.address for one in gutter or ()], **options))
        return made[-1]

    yield make
    for cache in made:
        await cache.close()


@pytest.fixture
async def cache(new_cache: NewCache, own_memcached: RunningMemcached) -> Cache:
    """Of the test's own server alone."""
    return new_cache([own_memcached])


@pytest.fixture
async def wire(own_memcached: RunningMemcached) -> AsyncIterator[Raw]:
    """Another client of that server."""
    async with raw(own_memcached) as connected:
        yield connected
