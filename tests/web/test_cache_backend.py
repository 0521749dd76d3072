"""`django.core.cache` on memcached: what Django documents of a backend, from synchronous and from async code."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import CacheHandler
from django.core.cache.backends.base import BaseCache, InvalidCacheBackendError
from django.template import Context, Engine
from django.utils.safestring import SafeString, mark_safe
from hypothesis import given
from hypothesis import strategies as st

from calotype.infra.cache import VALUE_LIMIT, CacheUnavailable, ValueTooLarge
from calotype.std.deadline import deadline
from calotype.web import cache_backend
from calotype.web.cache_backend import MemcachedCache
from calotype.web.cache_values import Unreadable, decode, encode
from tests.memcached import RunningMemcached, raw, running_memcached

pytestmark = pytest.mark.memcached


@pytest.fixture(scope="module")
def shared(short_directory: Path) -> Iterator[list[RunningMemcached]]:
    with running_memcached(short_directory, 2) as servers:
        yield servers


@pytest.fixture
async def cache(shared: list[RunningMemcached]) -> AsyncIterator[MemcachedCache]:
    """Empty, and its connections are closed with the test."""
    backend = MemcachedCache([one.address for one in shared], {})
    await backend.aclear()
    yield backend
    await backend.aclose()


async def ttl(cache: MemcachedCache, key: str) -> int:
    """Seconds that an entry has left; -1: for ever."""
    safe = cache._key(key, None)
    _, flags, _ = await cache._cache.servers.one(safe, b"mg %b t\r\n" % safe)
    return int(flags[0][1:])


VALUES = [
    "text",
    "",
    "Grüße 🖼",
    b"bytes\x00",
    b"",
    0,
    7,
    -7,
    (1 << 64) - 1,
    -(1 << 63),
    1.0,
    -0.0,
    math.inf,
    True,
    False,
    None,
    [],
    [1, "two", [3.0, None]],
    {"a": {"b": [True, b"c"]}, "": 1},
    mark_safe("<b>kept</b>"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_a_value_comes_back_exactly(cache: MemcachedCache, value: object) -> None:
    await cache.aset("key", value)
    for found in (await cache.aget("key", "default"), cache.get("key", "default")):
        assert (type(found), repr(found)) == (type(value), repr(value))


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_bytes_and_back_is_the_same(value: object) -> None:
    found = decode(encode(value))
    assert (type(found), repr(found)) == (type(value), repr(value))


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1: "a"},
        {"a": {"b"}},
        [type],
        1 << 64,
        -(1 << 63) - 1,
        datetime(2026, 1, 1, tzinfo=UTC),
        [mark_safe("nested")],
        bytearray(b"x"),
        1j,
    ],
    ids=repr,
)
async def test_what_would_not_come_back_as_it_was_is_refused(cache: MemcachedCache, value: object) -> None:
    for store in (cache.aset, cache.aadd):
        with pytest.raises(TypeError, match="never pickles"):
            await store("key", value)
    with pytest.raises(TypeError, match="cannot be kept"):
        await cache.aset_many({"other": 1, "key": value})
    assert await cache.aget_many(["key", "other"]) == {}


@pytest.mark.parametrize("foreign", [b"", b"\x80\x04K\x01.", b"m\xc1", b"s\xff", b"1x", b"x"])
async def test_what_another_program_stored_is_a_miss(cache: MemcachedCache, foreign: bytes) -> None:
    await cache._cache.set(cache._key("key", None), foreign)
    assert await cache.aget("key", "default") == "default"
    with pytest.raises(Unreadable):
        decode(foreign)


async def test_a_missing_key_gives_the_default_and_a_kept_none_is_no_miss(cache: MemcachedCache) -> None:
    assert await cache.aget("key") is None
    assert await cache.aget("key", "default") == "default"
    await cache.aset("key", None)
    assert await cache.aget("key", "default") is None
    assert await cache.ahas_key("key")
    assert "key" in cache
    assert "absent" not in cache


# Times


@pytest.mark.parametrize(
    ("timeout", "left_s"), [(None, -1), (60, 60), (60.9, 60), (90 * 86_400, 90 * 86_400)]
)
async def test_an_entry_lives_for_its_timeout(
    cache: MemcachedCache, timeout: float | None, left_s: int
) -> None:
    await cache.aset("key", 1, timeout)
    assert left_s - 1 <= await ttl(cache, "key") <= left_s + 1
    await cache.aset_many({"many": 1}, timeout)
    assert left_s - 1 <= await ttl(cache, "many") <= left_s + 1


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
async def test_a_timeout_that_is_over_stores_nothing(cache: MemcachedCache, timeout: float) -> None:
    await cache.aset("key", "old")
    await cache.aset("key", "new", timeout)
    assert not await cache.ahas_key("key")
    await cache.aadd("key", "new", timeout)
    assert not await cache.ahas_key("key")
    await cache.aset("key", "old")
    assert await cache.atouch("key", timeout)
    assert not await cache.ahas_key("key")


@pytest.mark.parametrize(("default", "left_s"), [({}, 300), ({"TIMEOUT": 40}, 40), ({"TIMEOUT": None}, -1)])
async def test_without_a_timeout_it_is_the_settings(
    cache: MemcachedCache, shared: list[RunningMemcached], default: dict[str, Any], left_s: int
) -> None:
    other = MemcachedCache([one.address for one in shared], default)
    await other.aset("key", 1)
    assert left_s - 1 <= await ttl(cache, "key") <= left_s


async def test_touch_gives_a_new_timeout_to_what_is_there(cache: MemcachedCache) -> None:
    assert not await cache.atouch("key", 5)
    await cache.aset("key", 1, 5)
    assert await cache.atouch("key")
    assert await ttl(cache, "key") > 290
    assert await cache.atouch("key", None)
    assert await ttl(cache, "key") == -1


# Adding, deleting, many at once


async def test_add_stores_only_where_nothing_is(cache: MemcachedCache) -> None:
    assert await cache.aadd("key", "one")
    assert not await cache.aadd("key", "two")
    assert await cache.aget("key") == "one"


async def test_delete_says_whether_it_was_there(cache: MemcachedCache) -> None:
    await cache.aset("key", 1)
    assert [await cache.adelete("key"), await cache.adelete("key")] == [True, False]


async def test_many_at_once(cache: MemcachedCache) -> None:
    data = {f"key {number}": number for number in range(50)}
    assert await cache.aset_many(data) == []
    assert await cache.aget_many([*data, "absent"]) == data
    assert await cache.aget_many(iter(data)) == data
    await cache.adelete_many(iter(list(data)[:49]))
    assert await cache.aget_many(data) == {"key 49": 49}


async def test_clear_forgets_everything(cache: MemcachedCache) -> None:
    await cache.aset_many({f"key {number}": number for number in range(20)})
    await cache.aclear()
    assert await cache.aget_many(f"key {number}" for number in range(20)) == {}


async def test_get_or_set_stores_what_is_missing_once(cache: MemcachedCache) -> None:
    assert await cache.aget_or_set("key", lambda: "made", 60) == "made"
    assert await cache.aget_or_set("key", "other", 60) == "made"
    assert await cache.aget_or_set("none", None) is None
    assert await cache.ahas_key("none")


# Keys


@pytest.mark.filterwarnings("error")
async def test_any_text_is_a_key(cache: MemcachedCache) -> None:
    keys = ["two words", "line\r\nend", "x" * 300, "Füße", "", "#"]
    await cache.aset_many({key: key for key in keys})
    assert await cache.aget_many(keys) == {key: key for key in keys}


async def test_versions_and_prefixes_keep_apart(
    cache: MemcachedCache, shared: list[RunningMemcached]
) -> None:
    addresses = [one.address for one in shared]
    second = MemcachedCache(addresses, {"VERSION": 2})
    prefixed = MemcachedCache(addresses, {"KEY_PREFIX": "site"})
    await cache.aset("key", "first")
    await second.aset("key", "second")
    await prefixed.aset("key", "prefixed")
    assert [await each.aget("key") for each in (cache, second, prefixed)] == ["first", "second", "prefixed"]
    assert await cache.aget("key", version=2) == "second"
    assert await cache.aget_many(["key"], version=3) == {}


async def test_a_version_moves_with_its_value(cache: MemcachedCache) -> None:
    await cache.aset("key", "value")
    assert await cache.aincr_version("key") == 2
    assert (await cache.aget("key"), await cache.aget("key", version=2)) == (None, "value")
    assert await cache.adecr_version("key", version=2) == 1
    assert cache.incr_version("key", 4) == 5
    assert cache.decr_version("key", 4, version=5) == 1
    assert await cache.aget("key") == "value"
    with pytest.raises(ValueError, match="not found"):
        await cache.aincr_version("absent")


# Counters


async def test_counters_count_on_the_server(cache: MemcachedCache) -> None:
    await cache.aset("count", 9, 60)
    assert [await cache.aincr("count"), await cache.aincr("count", 90), await cache.adecr("count", 91)] == [
        10,
        100,
        9,
    ]
    assert await cache.aget("count") == 9  # memcached has kept it as wide as it was
    assert await cache.adecr("count", -1) == 10
    assert 58 <= await ttl(cache, "count") <= 60
    await asyncio.gather(*(cache.aincr("count") for _ in range(200)))
    assert await cache.aget("count") == 210


async def test_a_counter_ends_at_zero(cache: MemcachedCache) -> None:
    await cache.aset("count", 3)
    assert await cache.adecr("count", 5) == 0


async def test_what_is_no_counter_cannot_be_counted(cache: MemcachedCache) -> None:
    for value in ("text", 1.5, -1, True):
        await cache.aset("key", value)
        with pytest.raises(ValueError, match="does not hold a whole number"):
            await cache.aincr("key")
        assert await cache.aget("key") == value
    for count in (cache.aincr("absent"), cache.adecr("absent")):
        with pytest.raises(ValueError, match="'absent' not found"):
            await count


# From synchronous code


def test_all_of_it_from_synchronous_code(cache: MemcachedCache) -> None:
    cache.set("key", "value", 60)
    assert (cache.get("key"), cache.get("absent", 1), cache.has_key("key")) == ("value", 1, True)
    assert (cache.add("key", 1), cache.add("count", 1)) == (False, True)
    assert (cache.incr("count", 5), cache.decr("count", 2)) == (6, 4)
    assert (cache.touch("key", 5), cache.touch("absent")) == (True, False)
    assert cache.set_many({"a": 1, "b": 2}) == []
    assert cache.get_many(["a", "b", "absent"]) == {"a": 1, "b": 2}
    cache.delete_many(["a"])
    assert (cache.delete("a"), cache.delete("b")) == (False, True)
    assert cache.get_or_set("made", lambda: [1], 60) == [1]
    cache.close()
    assert cache.get("made") == [1]
    cache.clear()
    assert cache.get_many(["made", "key"]) == {}


async def test_many_threads_share_one_background_loop(cache: MemcachedCache) -> None:
    def work(number: int) -> int:
        backend = MemcachedCache(cache._place.servers, {})
        for turn in range(20):
            backend.set(f"{number}-{turn}", turn)
        return sum(backend.get(f"{number}-{turn}") for turn in range(20))

    with ThreadPoolExecutor(16) as threads:
        done = await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(threads, work, n) for n in range(16))
        )
    assert done == [190] * 16
    assert sum(thread.name == "django cache" for thread in threading.enumerate()) == 1


def _read_in_child(addresses: tuple[str, ...], answers: Any) -> None:
    answers.put(MemcachedCache(addresses, {}).get("key"))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_worker_has_a_loop_of_its_own(cache: MemcachedCache) -> None:
    cache.set("key", "from the parent")
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    child = fork.Process(target=_read_in_child, args=(cache._place.servers, answers))
    child.start()
    child.join(10)
    if child.exitcode is None:
        child.kill()
    assert child.exitcode == 0
    assert answers.get() == "from the parent"


def test_each_loop_has_connections_of_its_own_and_closed_loops_are_forgotten(
    shared: list[RunningMemcached],
) -> None:
    async def visit(close: bool) -> None:
        backend = MemcachedCache([shared[0].address], {})
        await backend.aset("key", "value")
        assert await backend.aget("key") == "value"
        if close:
            await backend.aclose()

    before = len(cache_backend._caches)
    for close in (True, True, False, True):
        in_thread(visit(close))
    assert len(cache_backend._caches) <= before


def in_thread(visit: Coroutine[Any, Any, None]) -> None:
    """Run it on a loop of its own: this thread has one already."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, visit).result()


# Trouble


async def test_while_memcached_is_away_everything_is_a_miss(own_memcached: RunningMemcached) -> None:
    cache = MemcachedCache(own_memcached.address, {})
    await cache.aset("key", 1)
    await asyncio.to_thread(own_memcached.kill)
    assert await cache.aget("key", "default") == "default"
    assert await cache.aget_many(["key"]) == {}
    await cache.aset("key", 2)
    assert await cache.aset_many({"key": 2}) == ["key"]
    assert not await cache.aadd("key", 2)
    assert not await cache.atouch("key")
    assert not await cache.adelete("key")
    await cache.adelete_many(["key"])
    assert await cache.aget_or_set("key", lambda: "made") == "made"
    with pytest.raises(ValueError, match="not found"):
        await cache.aincr("key")
    with pytest.raises(CacheUnavailable):
        await cache.aclear()
    await cache.aclose()


async def test_a_synchronous_caller_takes_its_deadline_along(own_memcached: RunningMemcached) -> None:
    cache = MemcachedCache(own_memcached.address, {})
    cache.set("key", 1)
    own_memcached.freeze()
    started = time.monotonic()
    with deadline(0.05):
        assert cache.get("key") is None
    assert time.monotonic() - started < 0.2


async def test_the_gutter_serves_while_a_server_is_away(
    own_memcached: RunningMemcached, shared: list[RunningMemcached]
) -> None:
    cache = MemcachedCache(
        own_memcached.address, {"OPTIONS": {"gutter": [shared[0].address], "timeout": 0.1}}
    )
    await asyncio.to_thread(own_memcached.kill)
    await cache.aset("from the gutter", 1)
    assert await cache.aget("from the gutter") == 1
    assert await ttl_in(shared[0], cache, "from the gutter") <= 10
    await cache.aclose()


async def ttl_in(own_memcached: RunningMemcached, cache: MemcachedCache, key: str) -> int:
    async with raw(own_memcached) as wire:
        return int((await wire.ask(b"mg %b t" % cache._key(key, None)))[4:])


async def test_a_value_over_the_limit_is_refused_and_the_old_one_is_gone(cache: MemcachedCache) -> None:
    await cache.aset("key", "old")
    with pytest.raises(ValueTooLarge):
        await cache.aset("key", "x" * VALUE_LIMIT)
    assert await cache.aget("key") is None


# Settings


@pytest.mark.parametrize(
    "location", ["/a.sock;b:1", "/a.sock, b:1", ["unix:/a.sock", "b:1"], ("/a.sock", " b:1")]
)
def test_locations_are_written_as_for_other_backends(location: str | list[str]) -> None:
    assert MemcachedCache(location, {})._place.servers == ("/a.sock", "b:1")


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(InvalidCacheBackendError, match="no_delay"):
        MemcachedCache("a:1", {"OPTIONS": {"no_delay": True, "MAX_ENTRIES": 5}})
    with pytest.raises(InvalidCacheBackendError, match="names no memcached server"):
        MemcachedCache("", {})


async def test_it_is_named_in_settings(shared: list[RunningMemcached]) -> None:
    named = {
        "default": {
            "BACKEND": "calotype.web.cache_backend.MemcachedCache",
            "LOCATION": [one.address for one in shared],
            "KEY_PREFIX": f"named-{os.getpid()}",
            "OPTIONS": {"timeout": 1},
        }
    }
    handler = CacheHandler(named)
    backend = handler["default"]
    assert isinstance(backend, BaseCache)
    await backend.aset("key", "value")
    handler.close_all()
    assert await backend.aget("key") == "value"
    await backend.aclose()


def test_the_template_tag_keeps_its_fragments(cache: MemcachedCache, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = CacheHandler({})
    handler["default"] = cache
    monkeypatch.setattr("django.templatetags.cache.caches", handler)
    template = Engine(libraries={"cache": "django.templatetags.cache"}).from_string(
        "{% load cache %}{% cache 60 part %}<b>{{ word }}</b>{% endcache %}"
    )
    assert template.render(Context({"word": "first"})) == "<b>first</b>"
    again = template.render(Context({"word": "second"}))
    assert (again, type(again)) == ("<b>first</b>", SafeString)
