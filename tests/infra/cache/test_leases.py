"""One reader of many fills a key, and only while nothing has happened to it since."""

from __future__ import annotations

import asyncio

import pytest

from calotype.infra.cache import LEASE_S, STALE_S, VALUE_LIMIT, Cache, Key, Lease, ValueTooLarge
from tests.infra.cache.conftest import NewCache, answering
from tests.memcached import Raw, RunningMemcached, raw

pytestmark = pytest.mark.memcached

KEY = Key(b"key")


async def win(cache: Cache, key: Key = KEY) -> Lease:
    found = await cache.lease_many([key])
    assert list(found.won) == [key], found
    return found.won[key]


async def filled(cache: Cache, value: bytes, version: int, key: Key = KEY) -> None:
    cache.fill(key, await win(cache, key), value, version)
    assert await cache.get(key) == value


async def test_of_many_readers_one_wins_and_the_others_wait(
    new_cache: NewCache, own_memcached: RunningMemcached
) -> None:
    caches = [new_cache([own_memcached]) for _ in range(8)]
    found = await asyncio.gather(*(one.lease_many([KEY]) for one in caches for _ in range(5)))
    assert sum(KEY in each.won for each in found) == 1
    assert sum(each.waiting == [KEY] for each in found) == 39
    assert not any(each.hits or each.stale or each.away for each in found)


async def test_what_the_winner_fills_is_found_with_its_version(cache: Cache, wire: Raw) -> None:
    await filled(cache, b"one", 77)
    assert (await cache.lease_many([KEY])).hits == {KEY: b"one"}
    assert await wire.ask(b"mg key f") == b"HD f77"


async def test_an_empty_value_is_a_hit(cache: Cache) -> None:
    await filled(cache, b"", 1)
    assert (await cache.lease_many([KEY])).hits == {KEY: b""}


async def test_a_version_that_does_not_fit_the_flags_is_kept_as_unknown(cache: Cache, wire: Raw) -> None:
    await filled(cache, b"one", 1 << 32)
    assert await wire.ask(b"mg key f") == b"HD f0"


async def test_a_lease_lasts_for_its_seconds_and_an_entry_for_a_day(cache: Cache, wire: Raw) -> None:
    lease = await win(cache)
    assert int((await wire.ask(b"mg key t"))[4:].split()[0]) in (LEASE_S - 1, LEASE_S)
    cache.fill(KEY, lease, b"one", 1)
    await cache.get(KEY)
    assert int((await wire.ask(b"mg key t"))[4:]) in (86_399, 86_400)


async def test_a_batch_sorts_each_key_where_it_belongs(cache: Cache) -> None:
    hit, stale, won, waiting = (Key(name) for name in (b"hit", b"stale", b"won", b"waiting"))
    await filled(cache, b"h", 1, hit)
    await filled(cache, b"s", 1, stale)
    await cache.invalidate({stale: 2})
    await win(cache, waiting)
    found = await cache.lease_many([won, hit, waiting, stale])
    assert found.hits == {hit: b"h"}
    assert set(found.won) == {won, stale}
    assert found.waiting == [waiting]
    assert found.stale == {stale: b"s"}
    metrics = cache.metrics
    assert (metrics.hits, metrics.won, metrics.waiting, metrics.stale, metrics.away) == (1, 5, 1, 1, 0)


async def test_an_outdated_value_is_shown_while_the_next_reader_fills_it_anew(cache: Cache) -> None:
    await filled(cache, b"old", 1)
    assert await cache.invalidate({KEY: 2}) == 1
    first, second = await cache.lease_many([KEY]), await cache.lease_many([KEY])
    assert (list(first.won), first.stale) == ([KEY], {KEY: b"old"})
    assert (second.waiting, second.stale) == ([KEY], {KEY: b"old"})
    cache.fill(KEY, first.won[KEY], b"new", 2)
    assert (await cache.lease_many([KEY])).hits == {KEY: b"new"}


async def test_an_outdated_value_is_shown_for_a_few_seconds_at_most(cache: Cache, wire: Raw) -> None:
    await filled(cache, b"old", 1)
    await cache.invalidate({KEY: 2})
    assert 0 < int((await wire.ask(b"mg key t"))[4:].split()[0]) <= STALE_S


async def test_a_removed_value_is_shown_to_nobody(cache: Cache) -> None:
    await filled(cache, b"old", 1)
    assert await cache.delete([KEY]) == []
    found = await cache.lease_many([KEY])
    assert (list(found.won), found.stale) == ([KEY], {})


async def test_a_broken_lease_fills_nothing(cache: Cache) -> None:
    for breaks in (cache.delete([KEY]), cache.invalidate({KEY: 1}), cache.remove([KEY]), cache.flush()):
        lease = await win(cache)
        await breaks
        cache.fill(KEY, lease, b"late", 9)
        assert await cache.get(KEY) is None
        assert (await cache.lease_many([KEY])).stale == {}
        await cache.delete([KEY])


async def test_a_lease_that_was_lost_to_the_next_winner_fills_nothing(cache: Cache) -> None:
    late = await win(cache)
    await cache.delete([KEY])
    next_one = await win(cache)
    cache.fill(KEY, late, b"late", 9)
    cache.fill(KEY, next_one, b"fresh", 1)
    cache.fill(KEY, late, b"late", 9)
    assert await cache.get(KEY) == b"fresh"


async def test_a_lease_that_is_given_back_is_won_at_once(cache: Cache) -> None:
    cache.release(KEY, await win(cache))
    cache.release(KEY, await win(cache))
    await win(cache)


async def test_only_the_holder_can_give_a_lease_back(cache: Cache) -> None:
    late = await win(cache)
    await cache.delete([KEY])
    await filled(cache, b"one", 1)
    cache.release(KEY, late)
    assert await cache.get(KEY) == b"one"


async def test_a_lease_dies_with_its_connection_even_if_its_number_comes_again(
    cache: Cache, own_memcached: RunningMemcached
) -> None:
    late = await win(cache)
    await asyncio.to_thread(own_memcached.restart)
    async with raw(own_memcached) as other:
        answer = await other.ask(b"mg key v c N5")
        assert answer.split()[2:4] == [b"c" + late.cas, b"W"], "the restarted server must count as before"
        cache.fill(KEY, late, b"late", 9)
        cache.release(KEY, late)
        await answering(cache)
        cache.fill(KEY, late, b"late", 9)
        cache.release(KEY, late)
        assert await cache.get(KEY) is None
        assert await other.ask(b"ms key 5 C%b\r\nfresh" % late.cas) == b"HD"


async def test_reserve_replaces_only_what_was_seen(cache: Cache) -> None:
    assert await cache.reserve(KEY) is None
    await filled(cache, b"short", 1)
    lease = await cache.reserve(KEY)
    assert lease is not None
    cache.fill(KEY, lease, b"longer", 1)
    assert await cache.get(KEY) == b"longer"
    cache.fill(KEY, lease, b"again", 1)
    assert await cache.get(KEY) == b"longer"


async def test_a_delete_breaks_a_reservation(cache: Cache) -> None:
    for breaks in (cache.delete([KEY]), cache.invalidate({KEY: 2})):
        await filled(cache, b"short", 1)
        lease = await cache.reserve(KEY)
        assert lease is not None
        await breaks
        cache.fill(KEY, lease, b"late", 9)
        assert await cache.get(KEY) is None
        await cache.delete([KEY])


async def test_what_somebody_else_fills_cannot_be_reserved_and_what_is_outdated_can(cache: Cache) -> None:
    lease = await win(cache)
    assert await cache.reserve(KEY) is None
    cache.fill(KEY, lease, b"old", 1)
    await cache.invalidate({KEY: 2})
    reserved = await cache.reserve(KEY)
    assert reserved is not None
    assert (await cache.lease_many([KEY])).waiting == [KEY]
    cache.fill(KEY, reserved, b"new", 2)
    assert await cache.get(KEY) == b"new"


async def test_a_plain_read_of_what_is_outdated_leaves_the_lease_to_the_next_reader(cache: Cache) -> None:
    await filled(cache, b"old", 1)
    await cache.invalidate({KEY: 2})
    assert await cache.get(KEY) is None
    await win(cache)
    assert await cache.get(KEY) is None
    assert (await cache.lease_many([KEY])).waiting == [KEY]


async def test_a_value_over_the_limit_is_refused_before_it_is_sent(cache: Cache) -> None:
    lease = await win(cache)
    with pytest.raises(ValueTooLarge, match=f"{VALUE_LIMIT + 1} bytes"):
        cache.fill(KEY, lease, bytes(VALUE_LIMIT + 1), 1)
    cache.fill(KEY, lease, bytes(VALUE_LIMIT), 1)
    assert await cache.get(KEY) == bytes(VALUE_LIMIT)


async def test_what_a_fill_came_to_is_not_waited_for(cache: Cache, own_memcached: RunningMemcached) -> None:
    lease = await win(cache)
    own_memcached.freeze()
    cache.fill(KEY, lease, b"one", 1)
    assert lease.connection.alive
    own_memcached.thaw()
    assert (await lease.connection.send(b"mg key v\r\n", 1)) == [(b"VA", [], b"one")]


async def test_whoever_looks_takes_nobodys_lease_and_counts_as_no_reader(cache: Cache, wire: Raw) -> None:
    hit, stale, waiting, absent = (Key(name) for name in (b"hit", b"stale", b"waiting", b"absent"))
    await filled(cache, b"h", 7, hit)
    await filled(cache, b"s", 1, stale)
    await cache.invalidate({stale: 2})
    await win(cache, waiting)
    before = await wire.ask(b"mg hit h l t")
    assert await cache.look_many([hit, stale, waiting, absent]) == {hit: (b"h", 7)}
    assert await wire.ask(b"mg hit h l t u") == before
    found = await cache.lease_many([stale, waiting])
    assert (list(found.won), found.stale, found.waiting) == ([stale], {stale: b"s"}, [waiting])
