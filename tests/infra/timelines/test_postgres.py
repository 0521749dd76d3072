"""Timelines in PostgreSQL."""

from __future__ import annotations

import asyncio
import random

import pytest

from calotype.infra.ids import shard_of
from calotype.infra.shards import Shards
from calotype.infra.timelines import EVERYTHING, Entry, PostgresTimelines
from tests.infra.timelines.conformance import HOME, NEWEST, Conformance, built, entries, owners, push


@pytest.fixture
def timelines(shards: Shards) -> PostgresTimelines:
    return PostgresTimelines(shards, idle_s=2_000)


class TestPostgres(Conformance):
    pass


async def test_what_nobody_has_read_for_long_is_dropped(timelines: PostgresTimelines, shards: Shards) -> None:
    idle, active = owners(2)
    await built(timelines, [idle, active])
    await push(timelines, [idle, active], entries(1))
    pool = shards.pool("people", shard_of(idle))
    await pool.write(
        "update timeline_heads set seen = seen - 3_000_000 where shard = $1 and owner = $2",
        shard_of(idle),
        idle,
    )
    assert await timelines.drop_idle() == 1
    assert await timelines.page(HOME, idle, NEWEST, 10) is None
    assert await timelines.page(HOME, active, NEWEST, 10) == (entries(1), EVERYTHING)


async def test_to_read_one_is_noted_once_a_day(timelines: PostgresTimelines, shards: Shards) -> None:
    (one,) = owners(1)
    await built(timelines, [one])
    pool, shard = shards.pool("people", shard_of(one)), shard_of(one)
    await pool.write(
        "update timeline_heads set seen = seen - 90_000_000 where shard = $1 and owner = $2", shard, one
    )
    for _ in range(2):
        await timelines.page(HOME, one, NEWEST, 10)
        seen = await pool.fetch(
            "select seen > now_ms() - 10_000 from timeline_heads where shard = $1 and owner = $2", shard, one
        )
        assert seen[0][0]


@pytest.mark.parametrize("seed", range(3))
async def test_concurrent_pushes_trims_and_builds_lose_nothing(
    timelines: PostgresTimelines, seed: int
) -> None:
    """Whatever was pushed is shown from the floor on, and no deadlock comes of many owners in any order."""
    dice = random.Random(seed)
    some = owners(16)
    await built(timelines, some)
    numbers = iter(range(1, 10_000))

    async def post() -> None:
        for _ in range(10):
            chosen = dice.sample(some, len(some))
            await push(timelines, chosen, [Entry(next(numbers), 1, 1) for _ in range(5)])

    async def trim() -> None:
        for _ in range(10):
            await timelines.trim(HOME, dice.sample(some, len(some)), 40)
            await asyncio.sleep(0)

    async def rebuild() -> None:
        for _ in range(5):
            owner = dice.choice(some)
            build = await timelines.begin(HOME, owner)
            page = Entry(0, 0, 0)
            assert build is not None
            await push(timelines, [owner], [page])
            await timelines.finish(HOME, owner, build, EVERYTHING)

    await asyncio.gather(post(), post(), post(), trim(), trim(), rebuild())
    await timelines.trim(HOME, some, 40)
    for owner in some:
        page = await timelines.page(HOME, owner, NEWEST, 100)
        assert page is not None
        assert [entry.time for entry in page.entries] == list(range(150, 110, -1))


async def test_trimming_keeps_the_newest_and_says_where_they_end(timelines: PostgresTimelines) -> None:
    long, short, unknown = owners(3)
    await built(timelines, [long, short])
    await push(timelines, [long], entries(*range(10)))
    await push(timelines, [short], entries(1, 2))
    await timelines.trim(HOME, [long, short, unknown], 4)
    assert await timelines.page(HOME, long, NEWEST, 10) == (entries(9, 8, 7, 6), entries(6)[0].place)
    assert await timelines.page(HOME, short, NEWEST, 10) == (entries(2, 1), EVERYTHING)
    await push(timelines, [long], entries(0))
    page = await timelines.page(HOME, long, NEWEST, 10)
    assert page is not None
    assert page.entries == entries(9, 8, 7, 6)


async def test_a_timeline_that_is_trimmed_while_it_is_built_has_the_higher_floor(
    timelines: PostgresTimelines,
) -> None:
    (one,) = owners(1)
    build = await timelines.begin(HOME, one)
    assert build is not None
    await push(timelines, [one], entries(*range(10)))
    await timelines.trim(HOME, [one], 4)
    assert await timelines.finish(HOME, one, build, entries(0)[0].place)
    assert await timelines.page(HOME, one, NEWEST, 10) == (entries(9, 8, 7, 6), entries(6)[0].place)
