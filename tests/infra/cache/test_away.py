"""Servers that are dead, frozen, emptied or were never there: nothing is raised, nothing hangs, all of it mends itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calotype.infra.cache import GUTTER_S, Cache, Key
from calotype.infra.cache.connection import GRACE_S
from calotype.std.deadline import deadline
from tests.infra.cache.conftest import TIMEOUT_S, NewCache, answering
from tests.memcached import RunningMemcached, raw

pytestmark = pytest.mark.memcached

KEY = Key(b"key")
AT_ONCE_S = 0.1
SOON_S = 0.15
"""What a busy machine may add."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert took < seconds, f"took {took:.3f} s"


@pytest.fixture
async def frozen(cache: Cache, own_memcached: RunningMemcached) -> AsyncIterator[Cache]:
    """A cache whose server was frozen while it was connected."""
    assert await cache.set(KEY, b"one")
    own_memcached.freeze()
    yield cache


@pytest.fixture
async def frozen_with_stale(cache: Cache, own_memcached: RunningMemcached) -> AsyncIterator[Cache]:
    """The same, where what is there is marked stale."""
    assert await cache.set(KEY, b"one")
    await cache.invalidate({KEY: None})
    own_memcached.freeze()
    yield cache


READS: list[Callable[[Cache], Awaitable[object]]] = [
    lambda cache: cache.get(KEY),
    lambda cache: cache.lease_many([KEY]),
    lambda cache: cache.set(KEY, b"two"),
    lambda cache: cache.increment(KEY),
    lambda cache: cache.delete([KEY]),
    lambda cache: cache.reserve(KEY),
    lambda cache: cache.healthy(),
]


async def answers_away(cache: Cache) -> None:
    """Every call says that its server is away, in its own way."""
    assert await cache.get(KEY) is None
    assert await cache.get_many([KEY]) == {}
    found = await cache.lease_many([KEY])
    assert (found.away, found.hits, found.won, found.waiting) == ([KEY], {}, {}, [])
    assert not await cache.set(KEY, b"two")
    assert not await cache.add(KEY, b"two")
    assert not await cache.touch(KEY, 5)
    assert await cache.increment(KEY) is None
    assert await cache.adjust(KEY, 1) is None
    assert await cache.remove([KEY]) == 0
    assert await cache.delete([KEY]) == [KEY]
    assert await cache.reserve(KEY) is None
    assert not await cache.healthy()


async def test_a_server_that_never_was_there_is_away(short_directory: Path) -> None:
    for name in (str(short_directory / "nobody.sock"), "127.0.0.1:1", "name.invalid:11211"):
        cache = Cache([name])
        await answers_away(cache)
        await cache.close()


async def test_once_it_is_known_to_be_away_nobody_waits(
    cache: Cache, own_memcached: RunningMemcached
) -> None:
    await asyncio.to_thread(own_memcached.kill)
    with within(AT_ONCE_S):
        await answers_away(cache)


async def test_the_first_read_of_a_frozen_server_ends_with_its_time_and_later_ones_at_once(
    frozen: Cache,
) -> None:
    with within(TIMEOUT_S + GRACE_S + SOON_S):
        assert (await frozen.lease_many([KEY])).away == [KEY]
    for _ in range(3):
        await asyncio.sleep(0.1)
        with within(AT_ONCE_S):
            await answers_away(frozen)


async def test_a_frozen_server_that_thaws_is_used_again_with_what_it_had(
    frozen: Cache, own_memcached: RunningMemcached
) -> None:
    kept = Key(b"kept")
    own_memcached.thaw()
    await frozen.set(kept, b"kept")
    own_memcached.freeze()
    assert await frozen.get(KEY) is None
    own_memcached.thaw()
    await answering(frozen)
    assert await frozen.get(kept) == b"kept"


async def won(cache: Cache, *keys: Key) -> None:
    """Until these may be filled by whoever asks now."""
    async with asyncio.timeout(2):
        for key in keys:
            while key not in (await cache.lease_many([key])).won:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("ends", ["with its time", "with its deadline", "by being cancelled"])
async def test_a_lease_that_a_frozen_server_gives_to_who_has_gone_is_given_back(
    frozen_with_stale: Cache, own_memcached: RunningMemcached, ends: str
) -> None:
    """When it is thawed it does what it was asked; else what is stale would be shown until its end, and nobody fill it."""
    with deadline(0.05 if ends == "with its deadline" else 5):
        asking = asyncio.ensure_future(frozen_with_stale.lease_many([KEY]))
    if ends == "by being cancelled":
        await asyncio.sleep(0.02)
        asking.cancel()
        await asyncio.wait([asking])
    else:
        assert (await asking).away == [KEY]
    own_memcached.thaw()
    await answering(frozen_with_stale)
    await won(frozen_with_stale, KEY)


async def test_leases_that_came_while_another_server_was_waited_for_are_given_back(
    new_cache: NewCache, pair: list[RunningMemcached]
) -> None:
    cache = new_cache(pair)
    keys = [Key(b"key-%d" % number) for number in range(20)]
    assert not await cache.get_many(keys)
    pair[0].freeze()
    asking = asyncio.ensure_future(cache.lease_many(keys))
    await asyncio.sleep(0.02)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    pair[0].thaw()
    await answering(cache)
    await won(cache, *keys)


@pytest.mark.parametrize("read", [Cache.get_many, Cache.look_many])
async def test_a_read_without_leases_that_was_cancelled_takes_none_along(
    frozen_with_stale: Cache,
    own_memcached: RunningMemcached,
    read: Callable[[Cache, list[Key]], Awaitable[object]],
) -> None:
    asking = asyncio.ensure_future(read(frozen_with_stale, [KEY]))
    await asyncio.sleep(0.02)
    asking.cancel()
    await asyncio.wait([asking])
    own_memcached.thaw()
    await won(frozen_with_stale, KEY)


async def test_a_lease_is_given_back_on_a_connection_that_was_given_up_meanwhile(
    frozen: Cache, own_memcached: RunningMemcached
) -> None:
    own_memcached.thaw()
    await frozen.invalidate({KEY: None})
    leases = (await frozen.lease_many([KEY])).won
    own_memcached.freeze()
    assert await frozen.get(KEY) is None
    frozen.release(KEY, leases[KEY])
    own_memcached.thaw()
    await answering(frozen)
    await won(frozen, KEY)


async def test_a_connection_that_was_given_up_is_closed_with_the_cache_or_after_a_while(
    new_cache: NewCache, own_memcached: RunningMemcached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calotype.infra.cache.connection.LATE_S", 0.1)
    cache = new_cache([own_memcached])
    server = cache.servers.servers[0]
    await cache.get(KEY)
    given_up = server.live
    assert given_up is not None
    own_memcached.freeze()
    assert await cache.get(KEY) is None
    assert (server.live, given_up.alive, given_up.heard) == (None, False, True)
    async with asyncio.timeout(2):
        while given_up.heard:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    own_memcached.thaw()
    await answering(cache)
    monkeypatch.undo()
    another = server.live
    assert another is not None
    own_memcached.freeze()
    assert await cache.get(KEY) is None
    await cache.close()
    assert not another.heard


async def test_a_server_that_starts_again_empty_is_used_again(
    cache: Cache, own_memcached: RunningMemcached
) -> None:
    for _ in range(3):
        await answering(cache)
        await asyncio.to_thread(own_memcached.restart)
        assert await cache.get(KEY) is None
    await answering(cache)
    assert cache.servers.servers[0].metrics.connects >= 4


async def test_a_server_that_starts_late_is_found(cache: Cache, own_memcached: RunningMemcached) -> None:
    await asyncio.to_thread(own_memcached.kill)
    await answers_away(cache)
    await asyncio.to_thread(own_memcached.start)
    await answering(cache)


@pytest.mark.parametrize("ask", READS)
async def test_a_deadline_holds_against_a_frozen_server(
    frozen: Cache, ask: Callable[[Cache], Awaitable[object]]
) -> None:
    with deadline(0.05), within(0.05 + AT_ONCE_S):
        await ask(frozen)


async def test_a_deadline_holds_for_the_first_connections_too(
    new_cache: NewCache, pair: list[RunningMemcached]
) -> None:
    for one in pair:
        one.freeze()
    cache = new_cache(pair)
    with deadline(0.05), within(0.05 + AT_ONCE_S):
        await cache.lease_many([Key(b"key-%d" % number) for number in range(20)])


async def test_first_connections_to_frozen_servers_are_waited_for_together(
    new_cache: NewCache, pair: list[RunningMemcached]
) -> None:
    for one in pair:
        one.freeze()
    cache = new_cache(pair)
    with within(TIMEOUT_S + GRACE_S + SOON_S):
        found = await cache.lease_many([Key(b"key-%d" % number) for number in range(20)])
    assert len(found.away) == 20


async def test_a_call_that_is_cancelled_leaves_the_connection_to_the_others(
    cache: Cache, own_memcached: RunningMemcached
) -> None:
    await cache.set(KEY, b"one")
    own_memcached.freeze()
    given_up = asyncio.ensure_future(cache.get(KEY))
    others = [asyncio.ensure_future(cache.get_many([KEY, Key(b"absent")])) for _ in range(5)]
    await asyncio.sleep(0.02)
    given_up.cancel()
    own_memcached.thaw()
    assert await asyncio.gather(*others) == [{KEY: b"one"}] * 5


# The gutter


@pytest.fixture
async def guttered(new_cache: NewCache, pair: list[RunningMemcached]) -> Cache:
    """The first of the pair is home, and has been killed; the second is the gutter."""
    home, gutter = pair
    cache = new_cache([home], [gutter])
    assert await cache.set(KEY, b"at home")
    await asyncio.to_thread(home.kill)
    return cache


async def test_plain_values_and_counters_go_to_the_gutter(guttered: Cache) -> None:
    assert await guttered.get(KEY) is None
    assert await guttered.set(KEY, b"one")
    assert not await guttered.add(KEY, b"two")
    assert await guttered.get(KEY) == b"one"
    assert [await guttered.increment(Key(b"count")) for _ in range(3)] == [1, 2, 3]
    assert await guttered.remove([KEY]) == 1
    assert await guttered.get(KEY) is None


async def test_leases_work_in_the_gutter(guttered: Cache) -> None:
    first, second = await guttered.lease_many([KEY]), await guttered.lease_many([KEY])
    assert (list(first.won), second.waiting) == ([KEY], [KEY])
    guttered.fill(KEY, first.won[KEY], b"one", 1)
    assert (await guttered.lease_many([KEY])).hits == {KEY: b"one"}
    assert await guttered.delete([KEY]) == [KEY]
    assert list((await guttered.lease_many([KEY])).won) == [KEY]
    assert guttered.metrics.gutter == 4
    assert guttered.metrics.away == 0


async def test_nothing_lives_in_the_gutter_for_long(guttered: Cache, pair: list[RunningMemcached]) -> None:
    found = await guttered.lease_many([KEY])
    guttered.fill(KEY, found.won[KEY], b"one", 1)
    keys = [KEY, Key(b"for-ever"), Key(b"for-a-day"), Key(b"count")]
    await guttered.set(keys[1], b"one")
    await guttered.set(keys[2], b"one", 86_400)
    await guttered.increment(keys[3], ttl_s=86_400)
    await guttered.touch(keys[3], 86_400)
    async with raw(pair[1]) as wire:
        for key in keys:
            assert 0 < int((await wire.ask(b"mg %b t" % key))[4:]) <= GUTTER_S


async def test_only_the_keys_of_the_dead_server_go_there(
    new_cache: NewCache, pair: list[RunningMemcached], own_memcached: RunningMemcached
) -> None:
    cache = new_cache(pair, [own_memcached])
    keys = [Key(b"key-%d" % number) for number in range(60)]
    for key in keys:
        await cache.set(key, key)
    await asyncio.to_thread(pair[0].kill)
    found = await cache.lease_many(keys)
    lost = {key for key in keys if cache.servers.server(key).name == pair[0].address}
    assert set(found.won) == lost
    assert set(found.hits) == set(keys) - lost
    assert cache.metrics.gutter == len(lost)


async def test_what_the_gutter_had_is_not_looked_for_once_home_is_back(
    guttered: Cache, pair: list[RunningMemcached]
) -> None:
    assert await guttered.set(KEY, b"in the gutter")
    await asyncio.to_thread(pair[0].start)
    await answering(guttered)
    assert await guttered.get(KEY) is None


async def test_with_the_gutter_gone_too_everything_is_away(
    guttered: Cache, pair: list[RunningMemcached]
) -> None:
    await asyncio.to_thread(pair[1].kill)
    await answers_away(guttered)
    with within(AT_ONCE_S):
        await answers_away(guttered)


async def test_a_frozen_home_costs_its_time_once_and_then_the_gutter_serves(
    new_cache: NewCache, pair: list[RunningMemcached]
) -> None:
    cache = new_cache(pair[:1], pair[1:])
    await cache.set(KEY, b"at home")
    pair[0].freeze()
    with within(TIMEOUT_S + GRACE_S + SOON_S):
        assert list((await cache.lease_many([KEY])).won) == [KEY]
    with within(AT_ONCE_S):
        assert (await cache.lease_many([KEY])).waiting == [KEY]
