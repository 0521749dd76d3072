"""Records on their way to real memcached servers, some of which are away."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from calotype.infra.cache import Cache, Key
from calotype.infra.invalidation.backlog import Backlog
from tests.infra.invalidation.world import eventually, fill
from tests.memcached import RunningMemcached

pytestmark = pytest.mark.memcached

KEYS = [Key(b"k%d" % n) for n in range(40)]


@pytest.fixture
async def pair(own_memcached: RunningMemcached, second_memcached: RunningMemcached) -> AsyncIterator[Cache]:
    """Keys are spread over two servers."""
    made = Cache([own_memcached.address, second_memcached.address])
    yield made
    await made.close()


async def test_what_is_older_than_a_record_goes_and_what_is_not_stays(cache: Cache) -> None:
    older, same, newer, removed = KEYS[:4]
    await fill(cache, {older: 4, same: 5, newer: 6, removed: 9})
    backlog = Backlog([cache])
    backlog.add([(older, 5), (same, 5), (newer, 5), (removed, None), (KEYS[5], 5)])
    assert await backlog.apply()
    assert await cache.get_many(KEYS[:4]) == {same: b"5", newer: b"6"}
    assert (backlog.asked, backlog.done) == (5, 2)


async def test_records_of_one_key_are_one_with_the_highest_version(cache: Cache) -> None:
    raised, removed = KEYS[:2]
    await fill(cache, {raised: 6, removed: 9})
    backlog = Backlog([cache])
    backlog.add([(raised, 7), (raised, 3), (removed, 5), (removed, None), (removed, 4)])
    assert len(backlog) == 2
    assert await backlog.apply()
    assert await cache.get_many(KEYS[:2]) == {}


async def test_every_set_of_servers_that_may_be_in_use_is_served(
    cache: Cache, second_memcached: RunningMemcached
) -> None:
    before = Cache([second_memcached.address])
    for one in (cache, before):
        await fill(one, dict.fromkeys(KEYS, 1))
    backlog = Backlog([cache, before])
    backlog.add([(key, 2) for key in KEYS])
    assert len(backlog) == 2 * len(KEYS)
    assert await backlog.apply()
    assert await cache.get_many(KEYS) == await before.get_many(KEYS) == {}
    await before.close()


async def test_a_server_that_is_away_keeps_nobody_elses_records_waiting(
    pair: Cache, second_memcached: RunningMemcached
) -> None:
    here = [key for key in KEYS if pair.servers.server(key).name != second_memcached.address]
    away = [key for key in KEYS if key not in here]
    assert here
    assert away
    await fill(pair, dict.fromkeys(KEYS, 1))
    second_memcached.kill()
    backlog = Backlog([pair])
    backlog.add([(key, 2) for key in KEYS])
    assert not await backlog.apply()
    assert len(backlog) == len(away)
    assert await pair.get_many(here) == {}
    assert "away" in backlog.last_error
    backlog.add([(here[0], None), (away[0], None)])
    assert not await backlog.apply()
    assert len(backlog) == len(away)

    second_memcached.start()
    await eventually(backlog.apply)
    assert backlog.retry_in_s() == 0


async def test_more_keys_than_go_in_one_batch_are_all_applied(cache: Cache) -> None:
    many = [Key(b"m%d" % n) for n in range(5_000)]
    await fill(cache, {many[0]: 1, many[-1]: 1})
    backlog = Backlog([cache])
    backlog.add([(key, 2) for key in many])
    assert await backlog.apply()
    assert (backlog.asked, backlog.done) == (5_000, 2)
