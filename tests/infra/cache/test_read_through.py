"""Reads through the cache: one reader fills, the others wait, make do, or ask the database a few at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calotype.infra.cache import VALUE_LIMIT, Cache, Key, ReadersWait, ReadThrough, safe_key
from calotype.infra.cache.read_through import AT_ONCE, PAUSES_S
from calotype.std.deadline import deadline
from tests.infra.cache.conftest import NewCache
from tests.memcached import RunningMemcached

pytestmark = pytest.mark.memcached


class Words:
    """Entries of numbers and words; a value that does not begin with `w` is of another release."""

    def place(self, k: int) -> int:
        return k % 2

    def decode(self, k: int, value: bytes) -> str:
        if not value.startswith(b"w"):
            raise ValueError("not of this release")
        return value[1:].decode()

    def encode(self, k: int, v: str) -> tuple[bytes, int] | None:
        return None if v == "not to be kept" else (b"w" + v.encode(), 1)


@dataclass
class Database:
    """What is read through. `takes_s`: of each read. `breaks`: how many of the next reads fail. `answers`: from then on."""

    words: dict[int, str] = field(default_factory=dict)
    takes_s: float = 0.01
    breaks: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    loads: list[list[int]] = field(default_factory=list)
    now: Counter[int] = field(default_factory=Counter)
    most: Counter[int] = field(default_factory=Counter)

    async def load(self, ks: list[int]) -> Mapping[int, str]:
        self.loads.append(ks)
        places = {k % 2 for k in ks}
        self.now.update(places)
        for place in places:
            self.most[place] = max(self.most[place], self.now[place])
        try:
            await asyncio.sleep(self.takes_s)
            await self.answers.wait()
            if self.breaks:
                self.breaks -= 1
                raise ConnectionError("the database broke")
            return {k: self.words.get(k, f"word {k}") for k in ks}
        finally:
            self.now.subtract(places)


def key(k: int) -> Key:
    return safe_key(f"word:{k}")


@dataclass
class Reader:
    """One process's way to the words."""

    through: ReadThrough
    database: Database

    async def __call__(self, *ks: int, stale_allowed: bool = True) -> dict[int, str]:
        return await self.through.read(
            {key(k): k for k in ks}, Words(), self.database.load, stale_allowed=stale_allowed
        )


@pytest.fixture
def database() -> Database:
    database = Database()
    database.answers.set()
    return database


@pytest.fixture
def read(cache: Cache, database: Database) -> Reader:
    return Reader(ReadThrough(cache), database)


async def outdate(cache: Cache, *ks: int) -> None:
    await cache.invalidate({key(k): None for k in ks})


async def test_two_hundred_readers_of_a_cold_key_make_one_load(
    new_cache: NewCache, own_memcached: RunningMemcached, database: Database
) -> None:
    readers = [Reader(ReadThrough(new_cache([own_memcached])), database) for _ in range(4)]
    answers = await asyncio.gather(*(readers[number % 4](1) for number in range(200)))
    assert answers == [{1: "word 1"}] * 200
    assert database.loads == [[1]]


async def test_a_batch_reads_what_is_missing_once_and_then_nothing(read: Reader, database: Database) -> None:
    await read(1, 2)
    assert await read(1, 2, 3, 4) == {k: f"word {k}" for k in (1, 2, 3, 4)}
    assert database.loads == [[1, 2], [3, 4]]
    await read(4, 3, 2, 1)
    assert len(database.loads) == 2
    assert (read.through.metrics.loaded, read.through.metrics.past) == (4, 0)
    assert await read() == {}


async def test_a_failing_load_gives_its_leases_back(read: Reader, database: Database) -> None:
    database.breaks = 1
    with pytest.raises(ConnectionError):
        await read(1, 2)
    assert await read(1, 2) == {1: "word 1", 2: "word 2"}
    assert database.loads == [[1, 2], [1, 2]]


async def test_a_reader_that_is_cancelled_gives_its_leases_back(read: Reader, database: Database) -> None:
    database.takes_s = 10
    reading = asyncio.ensure_future(read(1))
    await asyncio.sleep(0.02)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    database.takes_s = 0
    assert await read(1) == {1: "word 1"}
    assert read.through.metrics.past == 0


async def test_what_cannot_be_kept_gives_its_lease_back(read: Reader, database: Database) -> None:
    database.words = {1: "not to be kept", 2: "x" * VALUE_LIMIT}
    for _ in range(2):
        assert await read(1, 2, 3) == {**database.words, 3: "word 3"}
    assert database.loads == [[1, 2, 3], [1, 2]]
    assert (read.through.metrics.loaded, read.through.metrics.past) == (5, 0)


async def test_a_load_without_all_its_keys_gives_every_lease_back(read: Reader, cache: Cache) -> None:
    async def forgetful(ks: list[int]) -> dict[int, str]:
        return {1: "one"}

    with pytest.raises(KeyError):
        await read.through.read({key(1): 1, key(2): 2, key(3): 3}, Words(), forgetful)
    found = await cache.lease_many([key(1), key(2), key(3)])
    assert (set(found.hits), set(found.won)) == ({key(1)}, {key(2), key(3)})


async def test_whoever_waits_takes_the_value_that_was_just_outdated(
    read: Reader, cache: Cache, database: Database
) -> None:
    database.words[1] = "old"
    await read(1)
    database.words[1] = "new"
    await outdate(cache, 1)
    database.answers.clear()
    filler = asyncio.ensure_future(read(1))
    while len(database.loads) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert await read(1) == {1: "old"}
    database.answers.set()
    assert await filler == {1: "new"}
    assert await read(1) == {1: "new"}
    assert len(database.loads) == 2


async def test_whoever_may_not_see_what_is_stale_waits_for_the_new_value(
    read: Reader, cache: Cache, database: Database
) -> None:
    database.words[1] = "old"
    await read(1)
    database.words[1] = "new"
    await outdate(cache, 1)
    answers = await asyncio.gather(*(read(1, stale_allowed=False) for _ in range(20)))
    assert answers == [{1: "new"}] * 20
    assert len(database.loads) == 2


async def test_a_stale_value_of_another_release_is_waited_for(
    read: Reader, cache: Cache, database: Database
) -> None:
    await cache.set(key(1), b"?")
    await outdate(cache, 1)
    assert await asyncio.gather(*(read(1) for _ in range(2))) == [{1: "word 1"}] * 2
    assert len(database.loads) == 1


async def test_a_filler_that_never_comes_back_is_waited_for_a_moment_only(
    read: Reader, cache: Cache, database: Database
) -> None:
    await cache.lease_many([key(1)])
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await read(1, 2) == {1: "word 1", 2: "word 2"}
    assert sum(PAUSES_S) <= loop.time() - started < sum(PAUSES_S) + 0.2
    assert await cache.get(key(1)) is None
    assert (read.through.metrics.loaded, read.through.metrics.past) == (1, 1)


async def test_values_of_another_release_are_filled_anew(
    read: Reader, cache: Cache, database: Database
) -> None:
    await cache.set(key(1), b"?")
    assert await read(1, 2) == {1: "word 1", 2: "word 2"}
    assert await cache.get(key(1)) == b"wword 1"
    assert read.through.metrics.unreadable == 1
    assert database.loads == [[2, 1]]


async def test_few_at_a_time_read_one_place_past_the_cache(
    read: Reader, database: Database, own_memcached: RunningMemcached
) -> None:
    await asyncio.to_thread(own_memcached.kill)
    answers = await asyncio.gather(*(read(k) for k in range(60)))
    assert answers == [{k: f"word {k}"} for k in range(60)]
    assert database.most == {0: AT_ONCE, 1: AT_ONCE}
    assert read.through.metrics.past == 60
    assert not read.through._turns
    assert not read.through._users


async def test_a_batch_past_the_cache_makes_one_load_for_each_place(
    read: Reader, database: Database, own_memcached: RunningMemcached
) -> None:
    await asyncio.to_thread(own_memcached.kill)
    assert await read(1, 2, 3, 4) == {k: f"word {k}" for k in (1, 2, 3, 4)}
    assert sorted(database.loads) == [[1, 3], [2, 4]]


async def test_whoever_waits_too_long_for_a_turn_is_told_how_many_do(
    read: Reader, database: Database, own_memcached: RunningMemcached
) -> None:
    await asyncio.to_thread(own_memcached.kill)
    database.takes_s = 0.3
    slow = [asyncio.ensure_future(read(1)) for _ in range(AT_ONCE)]
    await asyncio.sleep(0.05)
    with deadline(0.05), pytest.raises(ReadersWait, match="5 readers of shard 1 wait") as refused:
        await read(1)
    assert (refused.value.code, refused.value.status) == ("readers_wait", 503)
    assert await asyncio.gather(*slow) == [{1: "word 1"}] * AT_ONCE


async def test_no_pause_outlasts_the_deadline(read: Reader, cache: Cache, database: Database) -> None:
    await cache.lease_many([key(1)])
    database.takes_s = 0
    with deadline(0.02):
        assert await read(1) == {1: "word 1"}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.lists(st.integers(0, 5), min_size=1, unique=True)),
            st.tuples(st.just("write"), st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True)),
            st.tuples(st.just("garble"), st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True)),
            st.tuples(st.just("break"), st.just([0])),
        ),
        max_size=25,
    )
)
async def test_one_after_the_other_a_read_sees_what_was_written_last(
    read: Reader, cache: Cache, database: Database, steps: list[tuple[str, list[int]]]
) -> None:
    await cache.flush()
    database.takes_s, database.breaks = 0, 0
    for number, (what, ks) in enumerate(steps):
        if what == "read":
            try:
                assert await read(*ks) == {k: database.words.get(k, f"word {k}") for k in ks}
            except ConnectionError:
                assert database.breaks == 0
        elif what == "write":
            database.words.update(dict.fromkeys(ks, f"written at step {number}"))
            await outdate(cache, *ks)
        elif what == "garble":
            for k in ks:
                await cache.set(key(k), b"?")
        else:
            database.breaks = 1
    assert read.through.metrics.past == 0
