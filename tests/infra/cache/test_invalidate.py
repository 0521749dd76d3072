"""What the commit log's consumer does: outdates what is older than a record, on the key's own server or not at all."""

from __future__ import annotations

import asyncio

import pytest

from calotype.infra.cache import STALE_S, Cache, CacheUnavailable, Key
from tests.infra.cache.conftest import NewCache
from tests.infra.cache.test_leases import KEY, filled, win
from tests.memcached import Raw, RunningMemcached

pytestmark = pytest.mark.memcached


@pytest.mark.parametrize(("version", "stays"), [(6, True), (7, True), (8, False), (None, False)])
async def test_what_is_as_new_as_the_record_stays(cache: Cache, version: int | None, stays: bool) -> None:
    await filled(cache, b"seven", 7)
    assert await cache.invalidate({KEY: version}) == (0 if stays else 1)
    assert await cache.get(KEY) == (b"seven" if stays else None)


async def test_an_unknown_version_is_always_older(cache: Cache) -> None:
    await filled(cache, b"unknown", 1 << 40)
    assert await cache.invalidate({KEY: 1}) == 1


async def test_what_is_not_there_is_only_asked_for(cache: Cache, wire: Raw) -> None:
    keys = [Key(b"absent-%d" % number) for number in range(100)]
    assert await cache.invalidate(dict.fromkeys(keys, 1)) == 0
    stats = await wire.stats()
    assert stats["cmd_get"] >= 100
    assert stats["delete_misses"] == stats["delete_hits"] == stats["cmd_set"] == 0


async def test_what_is_outdated_already_can_still_be_won(cache: Cache) -> None:
    await filled(cache, b"old", 1)
    await cache.invalidate({KEY: 2})
    await cache.invalidate({KEY: 3})  # asking has taken the right to fill it
    found = await cache.lease_many([KEY])
    assert list(found.won) == [KEY]


async def test_a_key_that_is_written_all_the_time_is_not_shown_stale_for_longer(cache: Cache) -> None:
    await filled(cache, b"old", 1)
    await cache.invalidate({KEY: 2})
    for version in range(3, 3 + STALE_S):
        await cache.invalidate({KEY: version})
    found = await cache.lease_many([KEY])
    assert (list(found.won), found.stale) == ([KEY], {})


async def test_a_lease_in_flight_is_broken_whatever_the_version(cache: Cache) -> None:
    lease = await win(cache)
    assert await cache.invalidate({KEY: 1}) == 1
    cache.fill(KEY, lease, b"late", 9)
    assert await cache.get(KEY) is None


async def test_it_raises_when_a_server_is_away_though_the_others_have_done_theirs(
    new_cache: NewCache, pair: list[RunningMemcached]
) -> None:
    cache = new_cache(pair)
    keys = [Key(b"key-%d" % number) for number in range(50)]
    for key in keys:
        await filled(cache, b"old", 1, key)
    await asyncio.to_thread(pair[0].kill)
    with pytest.raises(CacheUnavailable, match="keys is away"):
        await cache.invalidate(dict.fromkeys(keys, 2))
    here = [key for key in keys if cache.servers.server(key).name == pair[1].address]
    assert set((await cache.lease_many(keys)).stale) == set(here)
    assert await cache.invalidate(dict.fromkeys(here, 3)) == len(here)


async def test_the_gutter_does_not_count(new_cache: NewCache, pair: list[RunningMemcached]) -> None:
    home, gutter = pair
    cache = new_cache([home], [gutter])
    await asyncio.to_thread(home.kill)
    assert await cache.set(KEY, b"in the gutter")
    with pytest.raises(CacheUnavailable):
        await cache.invalidate({KEY: None})
    assert await cache.get(KEY) == b"in the gutter"
