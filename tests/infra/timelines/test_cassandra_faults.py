"""Timelines in Cassandra while nodes die, freeze and return."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from calotype.infra.timelines import EVERYTHING, Entry
from calotype.infra.timelines.cassandra import CassandraTimelines, CassandraUnavailable, Session, migrate
from calotype.std.deadline import deadline
from tests.cassandra import RunningRing
from tests.infra.timelines.conformance import HOME, NEWEST, built, entries, owners, push

pytestmark = [pytest.mark.cassandra, pytest.mark.fault]

SLOWEST_S = 1.5
"""For a page, while a node has just died: a second one is asked after 150 ms, on a machine of two busy cores."""


@pytest.fixture
async def session(ring: RunningRing) -> AsyncIterator[Session]:
    opened = Session(ring.nodes)
    yield opened
    await opened.close()


@pytest.fixture
def timelines(session: Session) -> CassandraTimelines:
    return CassandraTimelines(session)


@pytest.mark.parametrize("seed", [1])
async def test_a_node_killed_under_load_loses_nothing_and_no_reader_sees_an_error(
    ring: RunningRing, timelines: CassandraTimelines, seed: int
) -> None:
    dice = random.Random(seed)
    some = owners(40)
    await built(timelines, some)
    acknowledged: dict[int, list[Entry]] = {owner: [] for owner in some}
    slowest_s = 0.0
    over = asyncio.Event()

    async def write(writer: int) -> None:
        number = 0
        while not over.is_set():
            number += 1
            entry = Entry(number, writer, 1)
            chosen = dice.sample(some, 10)
            await push(timelines, chosen, [entry])
            for owner in chosen:
                acknowledged[owner].append(entry)

    async def read() -> None:
        nonlocal slowest_s
        while not over.is_set():
            owner = dice.choice(some)
            known = set(acknowledged[owner])
            began = time.monotonic()
            page = await timelines.page(HOME, owner, NEWEST, 10_000)
            slowest_s = max(slowest_s, time.monotonic() - began)
            assert page is not None
            assert known <= set(page.entries)

    async with asyncio.TaskGroup() as group:
        for writer in range(4):
            group.create_task(write(writer))
        group.create_task(read())
        await asyncio.sleep(1)
        await asyncio.to_thread(ring.kill, dice.randrange(3))
        await asyncio.sleep(3)
        over.set()
    assert sum(map(len, acknowledged.values())) > 100
    assert slowest_s < SLOWEST_S
    await asyncio.to_thread(ring.restart_dead)
    for owner in some:
        page = await timelines.page(HOME, owner, NEWEST, 10_000)
        assert page is not None
        assert set(acknowledged[owner]) <= set(page.entries)


async def test_a_frozen_node_is_passed_over(ring: RunningRing, timelines: CassandraTimelines) -> None:
    some = owners(12)
    await built(timelines, some)
    ring.signal(1, signal.SIGSTOP)
    try:
        for owner in some:
            began = time.monotonic()
            await push(timelines, [owner], entries(1))
            page = await timelines.page(HOME, owner, NEWEST, 10)
            assert page == (entries(1), EVERYTHING)
            assert time.monotonic() - began < 2 * SLOWEST_S
    finally:
        ring.signal(1, signal.SIGCONT)


async def test_when_none_answers_callers_are_told_within_the_deadline_and_then_at_once(
    ring: RunningRing, timelines: CassandraTimelines
) -> None:
    (one,) = owners(1)
    await built(timelines, [one])
    for at in range(3):
        ring.signal(at, signal.SIGSTOP)
    try:
        spent: list[float] = []
        for _ in range(6):
            began = time.monotonic()
            with deadline(0.5), pytest.raises(CassandraUnavailable, match="Cassandra at 127"):
                await timelines.page(HOME, one, NEWEST, 10)
            spent.append(time.monotonic() - began)
        assert max(spent) < 1.0
        assert min(spent) < 0.05
        assert not await timelines.healthy()
    finally:
        for at in range(3):
            ring.signal(at, signal.SIGCONT)
    async with asyncio.timeout(30):
        while not await timelines.healthy():  # noqa: ASYNC110  the ring has no event to wait for
            await asyncio.sleep(0.2)
    assert await timelines.page(HOME, one, NEWEST, 10) == ([], EVERYTHING)


async def test_a_cluster_that_is_not_there_is_named(ring: RunningRing) -> None:
    wrong = Session(msgspec.structs.replace(ring.nodes, port=1))
    with deadline(2), pytest.raises(CassandraUnavailable, match=r"127\.0\.0\.1.* port 1"):
        await wrong.run("SELECT release_version FROM system.local")
    await wrong.close()


async def test_nobody_gets_in_with_another_password_or_the_default_one(ring: RunningRing) -> None:
    for user, password in (("calotype", "wrong"), ("cassandra", "cassandra")):
        stranger = Session(msgspec.structs.replace(ring.nodes, user=user, password=password))
        with deadline(5), pytest.raises(CassandraUnavailable, match=r"BadCredentials|password"):
            await stranger.run("SELECT release_version FROM system.local")
        await stranger.close()


async def test_the_schema_is_made_once(ring: RunningRing) -> None:
    assert await migrate(ring.nodes, 3) == []


async def test_of_many_builds_at_once_one_can_finish(timelines: CassandraTimelines) -> None:
    (one,) = owners(1)

    async def build() -> bool:
        number = await timelines.begin(HOME, one)
        assert number is not None
        await asyncio.sleep(0.3)
        return await timelines.finish(HOME, one, number, EVERYTHING)

    assert sum(await asyncio.gather(*(build() for _ in range(4)))) == 1


async def test_of_many_who_ask_for_a_build_one_begins(timelines: CassandraTimelines) -> None:
    (one,) = owners(1)
    begun = await asyncio.gather(*(timelines.begin(HOME, one, unless_begun_s=60) for _ in range(4)))
    assert sum(number is not None for number in begun) == 1


async def test_an_old_build_that_cuts_late_takes_nothing_from_a_later_one(
    timelines: CassandraTimelines,
) -> None:
    (one,) = owners(1)
    first, second = await timelines.begin(HOME, one), await timelines.begin(HOME, one)
    assert first is not None
    assert second is not None
    await push(timelines, [one], entries(1, 2, 3))
    assert not await timelines.finish(HOME, one, first, (3, 30))
    assert await timelines.finish(HOME, one, second, EVERYTHING)
    assert await timelines.page(HOME, one, NEWEST, 10) == (entries(3, 2, 1), EVERYTHING)


async def test_what_was_built_long_ago_is_built_anew_by_whoever_asks(session: Session) -> None:
    brief = CassandraTimelines(session, idle_s=4)  # longer than a busy machine takes to build it
    (one,) = owners(1)
    await built(brief, [one])
    await push(brief, [one], entries(1))
    await asyncio.sleep(4.2)
    assert await brief.page(HOME, one, NEWEST, 10) is None
    assert await brief.begin(HOME, one, unless_begun_s=60) is not None
