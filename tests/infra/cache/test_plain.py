"""Values and counters with no database behind them."""

from __future__ import annotations

import asyncio
import time

import pytest

from calotype.infra.cache import VALUE_LIMIT, Cache, CacheMisused, Key, ValueTooLarge
from tests.infra.cache.conftest import NewCache
from tests.memcached import Raw, RunningMemcached, raw

pytestmark = pytest.mark.memcached

KEY = Key(b"plain")
DAY_S = 86_400


async def ttl(wire: Raw, key: Key = KEY) -> int:
    return int((await wire.ask(b"mg %b t" % key))[4:])


async def test_what_is_set_is_got_and_what_is_removed_is_not(cache: Cache) -> None:
    assert await cache.get(KEY) is None
    assert await cache.set(KEY, b"one")
    assert await cache.set(KEY, b"two")
    assert await cache.get(KEY) == b"two"
    assert await cache.remove([KEY, Key(b"absent")]) == 1
    assert await cache.get(KEY) is None


async def test_add_stores_only_where_nothing_is(cache: Cache) -> None:
    assert await cache.add(KEY, b"one")
    assert not await cache.add(KEY, b"two")
    assert await cache.get(KEY) == b"one"


async def test_keys_on_several_servers_are_got_at_once(
    new_cache: NewCache, shared: list[RunningMemcached]
) -> None:
    cache = new_cache(shared)
    keys = [Key(b"many-%d" % number) for number in range(300)]
    await asyncio.gather(*(cache.set(key, key) for key in keys))
    assert await cache.get_many([*keys, Key(b"many-absent")]) == {key: key for key in keys}
    assert await cache.get_many([]) == {}
    for one in shared:
        async with raw(one) as wire:
            assert (await wire.stats())["curr_items"] > 60


@pytest.mark.parametrize(
    ("given", "kept"), [(0, -1), (30, 30), (30 * DAY_S, 30 * DAY_S), (400 * DAY_S, 400 * DAY_S)]
)
async def test_an_entry_lives_for_its_time(cache: Cache, wire: Raw, given: int, kept: int) -> None:
    await cache.set(KEY, b"one", given)
    assert kept - 1 <= await ttl(wire) <= kept + 1


async def test_a_time_that_is_over_removes(cache: Cache) -> None:
    await cache.set(KEY, b"one")
    await cache.set(KEY, b"two", -1)
    assert await cache.get(KEY) is None


async def test_touch_gives_a_new_time_to_what_is_there(cache: Cache, wire: Raw) -> None:
    assert not await cache.touch(KEY, 5)
    await cache.set(KEY, b"one", 5)
    assert await cache.touch(KEY, 40 * DAY_S)
    assert await ttl(wire) > 39 * DAY_S
    assert await cache.touch(KEY, 0)
    assert await ttl(wire) == -1


async def test_a_counter_starts_from_its_first_step_and_keeps_its_time(cache: Cache, wire: Raw) -> None:
    assert [await cache.increment(KEY, 3, 60) for _ in range(4)] == [3, 6, 9, 12]
    assert 58 <= await ttl(wire) <= 60
    counts = await asyncio.gather(*(cache.increment(KEY) for _ in range(100)))
    assert sorted(count for count in counts if count is not None) == list(range(13, 113))


async def test_adjust_counts_both_ways_what_is_there_and_never_below_zero(cache: Cache) -> None:
    assert await cache.adjust(KEY, 1) is None
    await cache.set(KEY, b"10")
    assert [await cache.adjust(KEY, by) for by in (-1, 5, 0, -14, -1)] == [9, 14, 14, 0, 0]


async def test_what_is_no_number_cannot_be_counted(cache: Cache) -> None:
    await cache.set(KEY, b"ten")
    for count in (cache.increment(KEY), cache.adjust(KEY, -1)):
        with pytest.raises(CacheMisused, match="non-numeric"):
            await count
    assert await cache.get(KEY) == b"ten"


async def test_values_over_the_limit_are_refused_with_their_size(cache: Cache) -> None:
    for store in (cache.set, cache.add):
        with pytest.raises(ValueTooLarge) as refused:
            await store(KEY, bytes(VALUE_LIMIT + 1))
        assert refused.value.code == "value_too_large"
        assert refused.value.data == {"size_bytes": VALUE_LIMIT + 1, "limit_bytes": VALUE_LIMIT}
    assert await cache.set(Key(b"k" * 250), bytes(VALUE_LIMIT))


async def test_flush_forgets_everything_everywhere(new_cache: NewCache, pair: list[RunningMemcached]) -> None:
    cache = new_cache(pair)
    keys = [Key(b"flush-%d" % number) for number in range(20)]
    for key in keys:
        await cache.set(key, key)
    await cache.flush()
    assert await cache.get_many(keys) == {}


async def test_what_is_kept_everywhere_is_found_on_each_server(
    new_cache: NewCache, pair: list[RunningMemcached]
) -> None:
    cache = new_cache(pair)
    assert await cache.set_everywhere(KEY, b"one")
    assert await cache.get_everywhere(KEY) == [b"one", b"one"]
    await asyncio.to_thread(pair[0].kill)
    assert not await cache.set_everywhere(KEY, b"two")
    assert await cache.get_everywhere(KEY) == [b"two"]


async def test_a_server_is_reached_over_tcp_too(short_directory: object) -> None:
    answers = {b"mn": b"MN\r\n", b"mg": b"VA 3\r\nyes\r\n"}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(answers[line[:2]])
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    cache = Cache([f"{host}:{port}"])
    assert await cache.get(KEY) == b"yes"
    await cache.close()
    listening.close()
    await listening.wait_closed()


async def test_a_cache_needs_a_server() -> None:
    with pytest.raises(ValueError, match="at least one server"):
        Cache([])


async def test_one_that_is_closed_answers_as_if_its_servers_were_away(cache: Cache) -> None:
    await cache.set(KEY, b"one")
    await cache.close()
    started = time.monotonic()
    assert await cache.get(KEY) is None
    assert time.monotonic() - started < 0.1
