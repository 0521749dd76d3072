"""Ids as PostgreSQL makes them: unique and increasing, whatever the sessions, the clock and the crashes."""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import AsyncIterator
from itertools import pairwise

import asyncpg
import pytest

from calotype.infra.ids import EPOCH_MS, decompose, time_ms
from calotype.infra.shards import Connection, Shards
from calotype.infra.shards.pool import BROKEN, connect
from tests.conftest import NewSite
from tests.site import Site, kill, restart

AMOUNT = 10_000_000
SESSIONS = 16
LOGICAL_SHARDS = 8
SEED = 20_260_101

ONE_BY_ONE = "select array_agg(calotype.next_id($1)) from generate_series(1, $2)"
AT_ONCE = "select array_agg(id) from calotype.next_ids($1, $2) id"

SET_CLOCK = """
create or replace function calotype.clock_ms() returns bigint language sql volatile as $$ select {} $$
"""
NOW = "(extract(epoch from clock_timestamp()) * 1000)::bigint - 1767225600000"


class Stream:
    """The ids of one logical shard in the order in which they came back."""

    def __init__(self) -> None:
        self.ids = array("q")
        self.highest = 0

    def add(self, ids: list[int], highest_before: int) -> None:
        """`highest_before`: of the ids that were there when these were asked for. They must be behind it."""
        assert highest_before < ids[0]
        assert all(one < next_ for one, next_ in pairwise(ids))
        self.ids.extend(ids)
        self.highest = max(self.highest, ids[-1])


@pytest.fixture(scope="module")
async def ids_site(new_site: NewSite) -> Site:
    return await new_site("together")


@pytest.fixture
async def one_session(ids_site: Site) -> AsyncIterator[Connection]:
    connection = await connect(ids_site.servers["pg-1"], 10)
    yield connection
    await connection.execute(SET_CLOCK.format(NOW))
    await connection.close()


async def take(session: Connection, shard: int, amount: int, *, at_once: bool) -> list[int]:
    ids: list[int] = await session.fetchval(AT_ONCE if at_once else ONE_BY_ONE, shard, amount)
    return ids


async def test_ten_million_ids_of_sixteen_sessions_are_unique_and_increase_while_the_clock_steps_back(
    ids_site: Site,
) -> None:
    dice = random.Random(SEED)
    streams = [Stream() for _ in range(LOGICAL_SHARDS)]
    left = AMOUNT
    steps = [AMOUNT * 2 // 3, AMOUNT // 3]

    async def session(number: int) -> None:
        nonlocal left
        connection = await connect(ids_site.servers[f"pg-{number % 2 + 1}"], 10)
        while left > 0:
            shard = dice.randrange(LOGICAL_SHARDS // 2) * 2 + number % 2
            at_once = dice.random() < 0.4
            amount = min(left, 20_000 if at_once else 8_000)
            left -= amount
            before = streams[shard].highest
            streams[shard].add(await take(connection, shard, amount, at_once=at_once), before)
            if steps and left < steps[0]:
                steps.pop(0)
                await set_clocks(ids_site, f"{NOW} - 5000" if steps else NOW)
        await connection.close()

    await asyncio.gather(*(session(number) for number in range(SESSIONS)))

    assert sum(len(stream.ids) for stream in streams) == AMOUNT
    for shard, stream in enumerate(streams):
        ids = sorted(stream.ids)
        assert all(one < next_ for one, next_ in pairwise(ids)), f"an id of shard {shard} came twice"
        assert decompose(ids[0]).shard == decompose(ids[-1]).shard == shard


async def set_clocks(site: Site, sql: str) -> None:
    for dsn in site.servers.values():
        connection = await connect(dsn, 10)
        await connection.execute(SET_CLOCK.format(sql))
        await connection.close()


async def test_more_ids_than_a_millisecond_holds_run_into_the_next_ones(one_session: Connection) -> None:
    stopped_at = 40_000_000_000
    await one_session.execute(SET_CLOCK.format(stopped_at))
    ids = await take(one_session, 6, 2_000, at_once=False)
    ids += await take(one_session, 6, 2_000, at_once=True)
    ids += await take(one_session, 6, 1_000, at_once=False)
    assert all(one < next_ for one, next_ in pairwise(ids))
    assert [decompose(id_) for id_ in (ids[0], ids[1023], ids[1024], ids[4999])] == [
        (stopped_at, 6, 0),
        (stopped_at, 6, 1023),
        (stopped_at + 1, 6, 0),
        (stopped_at + 4, 6, 4999 % 1024),
    ]


async def test_a_clock_that_steps_back_repeats_nothing_and_is_followed_again_once_it_is_ahead(
    one_session: Connection,
) -> None:
    first = 50_000_000_000
    times = [first, first - 5_000, first - 4_000, first + 1]
    ids = []
    for now in times:
        await one_session.execute(SET_CLOCK.format(now))
        ids.append(await one_session.fetchval("select calotype.next_id(6)"))
    assert [decompose(id_)[::2] for id_ in ids] == [(first, 0), (first, 1), (first, 2), (first + 1, 0)]


async def test_an_id_carries_the_time_at_which_it_was_made(shards: Shards) -> None:
    (now,) = await shards.pool("people", 7).fetch("select calotype.now_ms()")
    (id_,) = await shards.next_ids(7)
    assert 0 <= time_ms(id_) - now[0] < 60_000
    assert time_ms(id_) > EPOCH_MS


async def test_a_row_made_by_hand_takes_its_id_from_the_stream_of_its_shard(shards: Shards) -> None:
    (before,) = await shards.next_ids(3)
    rows = await shards.pool("people", 3).write(
        "insert into s0003.objects (shard, otype, data, version, created, updated)"
        " select 3, 7999, '{}', 1, 0, 0 from generate_series(1, 3) returning id"
    )
    (after,) = await shards.next_ids(3)
    ids = [before, *(row[0] for row in rows), after]
    assert all(one < next_ for one, next_ in pairwise(ids))
    assert {decompose(id_).shard for id_ in ids} == {3}


@pytest.mark.parametrize("amount", [0, -1, 100_001])
async def test_an_amount_outside_the_limits_is_refused_and_leaves_no_lock(
    shards: Shards, amount: int
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="1 to 100000 ids can be made at once"):
        await shards.next_ids(3, amount)
    assert len(await asyncio.wait_for(shards.next_ids(3, 100_000), 10)) == 100_000


async def test_the_last_id_is_followed_by_an_error_and_not_by_a_negative_one(one_session: Connection) -> None:
    await one_session.execute(SET_CLOCK.format(2**40 - 1))
    ids = await take(one_session, 4, 1024, at_once=True)
    assert decompose(ids[-1]) == (2**40 - 1, 4, 1023)
    with pytest.raises(asyncpg.RaiseError, match="the ids of shard 4 have run out"):
        await one_session.fetchval("select calotype.next_id(4)")


async def test_a_cancelled_statement_leaves_no_lock_behind(ids_site: Site) -> None:
    dice = random.Random(SEED)
    maker, other = [await connect(ids_site.servers["pg-2"], 10) for _ in range(2)]
    backend = maker.get_server_pid()
    # Prepared beforehand: between parsing and executing a session is idle, and drops what cancels it.
    many = await maker.prepare("select max(calotype.next_id(5)) from generate_series(1, 10000000)")
    cancelled = 0
    for _ in range(60):
        making = asyncio.create_task(many.fetchval())
        while not await other.fetchval(
            "select state = 'active' from pg_stat_activity where pid = $1", backend
        ):
            pass
        # Not to wait for anything, but so that the cancellation meets the statement at any point.
        await asyncio.sleep(dice.random() / 200)
        await other.execute("select pg_cancel_backend($1)", backend)
        with pytest.raises(asyncpg.QueryCanceledError):
            await making
        held = await other.fetchval(
            "select count(*) from pg_locks where locktype = 'advisory' and pid = $1", backend
        )
        assert held == 0
        cancelled += 1
    assert cancelled == 60
    assert await asyncio.wait_for(other.fetchval("select calotype.next_id(5)"), 10)
    await maker.close()
    await other.close()


@pytest.mark.fault
async def test_no_id_comes_again_after_the_server_was_killed(own_clusters: Site) -> None:
    server = own_clusters.clusters["pg-1"]
    seen: list[int] = []
    enough = asyncio.Event()

    async def ask_until_it_dies() -> None:
        session = await connect(server.cluster.dsn("shards"), 10)
        try:
            while True:
                seen.append(await session.fetchval("select calotype.next_id(2)"))
                seen.extend(await take(session, 2, 50, at_once=True))
                if len(seen) >= wanted:
                    enough.set()
        except BROKEN:
            session.terminate()

    for _ in range(3):
        wanted = len(seen) + 2_000
        enough.clear()
        asking = [asyncio.create_task(ask_until_it_dies()) for _ in range(4)]
        await enough.wait()
        await kill(server)
        await asyncio.gather(*asking)
        highest = max(seen)
        await restart(server)
        session = await connect(server.cluster.dsn("shards"), 10)
        assert await session.fetchval("select calotype.next_id(2)") > highest
        await session.close()
    assert len(set(seen)) == len(seen)
