"""The pool of one server: bounded, fair in its deadlines, quick to give up on a dead server, and without leaks."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import asyncpg
import pytest

from calotype.infra.shards import Connection, DeadlineExceeded, Pool, PoolMetrics, ServerUnavailable
from calotype.infra.shards.pool import LAST_RETRY_S, ConnectionLost
from calotype.std.deadline import deadline
from calotype.std.errors import Unavailable
from tests.site import RunningCluster, Site, kill, restart

NewPool = Callable[[int], Pool]
SEED = 7


@pytest.fixture
async def new_pool(servers: dict[str, str]) -> AsyncIterator[NewPool]:
    made: list[Pool] = []

    def make(size: int) -> Pool:
        made.append(Pool("media/pg-1", servers["pg-1"], size))
        return made[-1]

    yield make
    for pool in made:
        await pool.close()


def exits(metrics: PoolMetrics) -> int:
    return (
        metrics.returned
        + metrics.discarded
        + metrics.timed_out
        + metrics.refused
        + metrics.connect_failures
        + metrics.cancelled
    )


def in_use(pool: Pool) -> int:
    return int(repr(pool).split(": ")[1].split(" of ")[0])


async def waiting(pool: Pool, amount: int) -> None:
    """Until so many are in the queue: turns of the event loop, no time."""
    while f" {amount} waiting>" not in repr(pool):  # noqa: ASYNC110
        await asyncio.sleep(0)


async def backend(connection: Connection) -> int:
    return connection.get_server_pid()


async def test_the_connection_that_came_back_last_is_used_first(new_pool: NewPool) -> None:
    pool = new_pool(3)
    async with pool.connection() as first, pool.connection() as second:
        pids = [await backend(first), await backend(second)]
    async with pool.connection() as again:
        assert await backend(again) == pids[0]
    assert pool.metrics.connects == 2


async def test_one_after_the_other_needs_one_connection(new_pool: NewPool) -> None:
    pool = new_pool(16)
    for _ in range(20):
        await pool.fetch("select 1")
    assert pool.metrics == PoolMetrics(connects=1, returned=20)


async def test_there_are_never_more_connections_than_its_size(new_pool: NewPool) -> None:
    pool = new_pool(4)
    await asyncio.gather(*(pool.fetch("select pg_sleep(0.002)") for _ in range(60)))
    assert pool.metrics.connects == 4
    assert pool.metrics.waited == 56
    assert pool.metrics.returned == 60
    assert pool.metrics.wait_ns > 0


async def test_who_waits_is_served_in_order(new_pool: NewPool) -> None:
    pool = new_pool(1)
    served: list[int] = []

    async def ask(number: int) -> None:
        async with pool.connection():
            served.append(number)

    async with pool.connection():
        asking = []
        for number in range(10):
            asking.append(asyncio.create_task(ask(number)))
            await waiting(pool, number + 1)
    await asyncio.gather(*asking)
    assert served == list(range(10))


async def test_who_gets_no_connection_by_the_deadline_is_told_how_many_are_in_use_and_waiting(
    new_pool: NewPool,
) -> None:
    pool = new_pool(2)
    async with pool.connection(), pool.connection():
        began = time.monotonic()
        with (
            deadline(0.25),
            pytest.raises(
                ServerUnavailable, match=r"no connection to media/pg-1 after \d+ ms; 2 in use, 0 waiting"
            ) as raised,
        ):
            await pool.fetch("select 1")
        assert 0.24 < time.monotonic() - began < 5
    assert raised.value.status == 503
    assert raised.value.retry_after_s == 2
    assert raised.value.data == {"server": "media/pg-1"}
    assert pool.metrics.timed_out == 1
    assert exits(pool.metrics) == 3


async def test_a_statement_ends_at_the_deadline_of_its_work(new_pool: NewPool) -> None:
    pool = new_pool(1)
    began = time.monotonic()
    with deadline(0.2), pytest.raises(DeadlineExceeded, match="media/pg-1 was still at work"):
        await pool.write("select pg_sleep(30)")
    assert time.monotonic() - began < 5
    assert (await pool.fetch("select 1"))[0][0] == 1
    assert pool.metrics.discarded == 1


async def test_a_statement_that_the_server_refuses_costs_no_connection(new_pool: NewPool) -> None:
    pool = new_pool(1)
    for _ in range(3):
        with pytest.raises(asyncpg.DivisionByZeroError):
            await pool.fetch("select 1 / 0")
    assert pool.metrics == PoolMetrics(connects=1, returned=3)


async def test_a_statement_that_was_undone_to_end_a_deadlock_is_repeated(servers: dict[str, str]) -> None:
    impatient = Pool("pg-1", servers["pg-1"] + "&deadlock_timeout=10ms", 2)
    patient = Pool("pg-1", servers["pg-1"], 1)
    async with patient.transaction() as other:
        await patient.run_on(other, "select pg_advisory_xact_lock(501)")
        both = "select pg_advisory_xact_lock(502), pg_sleep(0.05), pg_advisory_xact_lock(501)"
        victim = asyncio.create_task(impatient.write(both))
        while not await impatient.fetch("select 1 from pg_locks where locktype = 'advisory' and objid = 502"):
            pass
        await patient.run_on(other, "select pg_advisory_xact_lock(502)")
        assert not victim.done()
    assert len(await victim) == 1
    assert impatient.metrics.returned > 2
    for pool in (impatient, patient):
        await pool.close()


async def test_a_transaction_is_undone_when_its_block_raises_and_keeps_its_connection(
    new_pool: NewPool,
) -> None:
    pool = new_pool(1)
    await pool.write("create table if not exists public.pool_test (n int)")
    with pytest.raises(KeyError):
        async with pool.transaction() as connection:
            await connection.execute("insert into public.pool_test values (1)")
            raise KeyError
    assert not await pool.fetch("select n from public.pool_test")
    async with pool.transaction() as connection:
        await connection.execute("insert into public.pool_test values (2)")
    assert [row[0] for row in await pool.fetch("select n from public.pool_test")] == [2]
    assert pool.metrics.connects == 1
    await pool.write("drop table public.pool_test")


async def test_a_cancelled_transaction_is_undone(new_pool: NewPool) -> None:
    pool = new_pool(2)
    inside = asyncio.Event()

    async def hold() -> None:
        async with pool.transaction() as connection:
            await connection.execute("select pg_advisory_xact_lock(99)")
            inside.set()
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    await inside.wait()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    with deadline(10):
        await pool.fetch("select pg_advisory_xact_lock(99)")
    assert in_use(pool) == 0


async def test_a_cancelled_connector_lets_the_next_in_the_queue_connect(new_pool: NewPool) -> None:
    pool = new_pool(1)
    connecting = asyncio.create_task(pool.fetch("select 1"))
    await asyncio.sleep(0)
    queued = asyncio.create_task(pool.fetch("select 2"))
    await waiting(pool, 1)
    connecting.cancel()
    assert (await asyncio.wait_for(queued, 5))[0][0] == 2
    assert exits(pool.metrics) == 2


@pytest.mark.parametrize("seed", range(SEED, SEED + 8))
async def test_cancelled_at_any_point_nobody_takes_a_connection_along(new_pool: NewPool, seed: int) -> None:
    dice = random.Random(seed)
    pool = new_pool(3)
    asked = 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        match dice.randrange(4):
            case 0:
                await pool.fetch("select pg_sleep($1)", dice.random() / 500)
            case 1:
                with deadline(dice.random() / 200):
                    await pool.write("select pg_sleep(0.001)")
            case 2:
                async with pool.connection():
                    await asyncio.sleep(dice.random() / 1000)
            case _:
                async with pool.transaction() as connection:
                    await pool.run_on(connection, "select 1")

    async def ask_and_maybe_leave() -> None:
        asking = asyncio.create_task(ask())
        for _ in range(dice.randrange(12)):
            await asyncio.sleep(0)
        if dice.random() < 0.3:
            await asyncio.sleep(dice.random() / 300)
        if dice.random() < 0.6:
            asking.cancel()
        with suppress(asyncio.CancelledError, Unavailable):
            await asking

    for _ in range(10):
        await asyncio.gather(*(ask_and_maybe_leave() for _ in range(20)))
    assert in_use(pool) == 0
    assert exits(pool.metrics) == asked > 150
    async with pool.connection(), pool.connection(), pool.connection():
        assert in_use(pool) == 3


async def test_a_closed_pool_refuses_those_who_wait_and_those_who_come(new_pool: NewPool) -> None:
    pool = new_pool(1)
    async with pool.connection():
        queued = [asyncio.create_task(pool.fetch("select 1")) for _ in range(3)]
        await waiting(pool, 3)
        await pool.close()
        for one in queued:
            with pytest.raises(ServerUnavailable, match="is closed"):
                await asyncio.wait_for(one, 5)
    with pytest.raises(ServerUnavailable, match="is closed"):
        await pool.fetch("select 1")
    assert in_use(pool) == 0
    assert not await pool.healthy()


async def test_an_idle_connection_that_the_server_closed_is_not_noticed_by_a_read(
    new_pool: NewPool, servers: dict[str, str]
) -> None:
    pool = new_pool(4)
    await asyncio.gather(*(pool.fetch("select pg_sleep(0.01)") for _ in range(4)))
    other: Connection = await asyncpg.connect(servers["pg-1"])
    await other.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where application_name = 'calotype' and state = 'idle' and query like '%pg_sleep(0.01)%'"
    )
    await other.close()
    rows = await asyncio.gather(*(pool.fetch("select 1") for _ in range(8)))
    assert [row[0][0] for row in rows] == [1] * 8


@pytest.fixture
def server(own_clusters: Site) -> RunningCluster:
    return own_clusters.clusters["pg-1"]


@pytest.fixture
async def pool(own_clusters: Site) -> AsyncIterator[Pool]:
    pool = Pool("pg-1", own_clusters.servers["pg-1"], 4)
    yield pool
    await pool.close()


async def recovered(pool: Pool) -> None:
    """Until the server answers again: the pool must find out by itself."""
    while not await pool.healthy():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.fault
async def test_a_dead_server_fails_everybody_fast_and_is_found_again_by_itself(
    pool: Pool, server: RunningCluster
) -> None:
    await asyncio.gather(*(pool.fetch("select pg_sleep(0.01)") for _ in range(4)))
    in_flight = [asyncio.create_task(pool.write("select pg_sleep(30)")) for _ in range(4)]
    queued = [asyncio.create_task(pool.fetch("select 1")) for _ in range(20)]
    await waiting(pool, 20)
    await kill(server)
    # asked with 30 s to wait; all must know long before
    results = await asyncio.wait_for(asyncio.gather(*in_flight, *queued, return_exceptions=True), 5)
    assert {type(result) for result in results[:4]} == {ConnectionLost}
    assert all(isinstance(result, ServerUnavailable) for result in results[4:])

    refused = pool.metrics.refused
    began = time.monotonic()
    for _ in range(1_000):
        with pytest.raises(ServerUnavailable, match="cannot be reached"):
            await pool.fetch("select 1")
    assert pool.metrics.refused - refused > 900
    assert time.monotonic() - began < 5

    await restart(server)
    await asyncio.wait_for(recovered(pool), LAST_RETRY_S + 3)
    rows = await asyncio.gather(*(pool.fetch("select 1") for _ in range(20)))
    assert [row[0][0] for row in rows] == [1] * 20
    assert in_use(pool) == 0


@pytest.mark.fault
async def test_a_crowd_that_fails_at_once_does_not_put_off_the_next_attempt(
    pool: Pool, server: RunningCluster
) -> None:
    await kill(server)
    await asyncio.gather(*(pool.fetch("select 1") for _ in range(50)), return_exceptions=True)
    assert exits(pool.metrics) == 50
    assert pool.metrics.connect_failures < 5
    await restart(server)
    await asyncio.wait_for(recovered(pool), 5)


@pytest.mark.fault
async def test_a_server_that_hangs_holds_nobody_past_the_deadline(pool: Pool, server: RunningCluster) -> None:
    async with pool.transaction() as connection:
        await connection.execute("create table held (n int)")
    frozen = [server.process.pid]
    began = time.monotonic()
    with deadline(0.5):
        with pytest.raises(DeadlineExceeded):
            async with pool.transaction() as connection:
                frozen.append(connection.get_server_pid())
                await pool.run_on(connection, "insert into held values (1)")
                for pid in frozen:
                    os.kill(pid, signal.SIGSTOP)
                await pool.run_on(connection, "insert into held values (2)")
        with pytest.raises(ServerUnavailable):
            await pool.fetch("select 1")
    assert time.monotonic() - began < 5
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    await asyncio.wait_for(recovered(pool), LAST_RETRY_S + 3)
    with deadline(10):
        await pool.write("drop table held")
    assert in_use(pool) == 0


async def test_a_caller_in_a_hurry_does_not_make_the_server_count_as_dead(new_pool: NewPool) -> None:
    pool = new_pool(4)
    for _ in range(3):
        with deadline(0.0005), suppress(Unavailable):
            await pool.fetch("select 1")
    assert (await pool.fetch("select 1"))[0][0] == 1
    assert pool.metrics.refused == 0


async def test_jsonb_goes_in_and_comes_out_as_bytes(new_pool: NewPool) -> None:
    pool = new_pool(1)
    rows = await pool.fetch("select $1::jsonb", b'{"name": "Ada"}')
    assert rows[0][0] == b'{"name": "Ada"}'


async def test_a_connection_that_is_not_admitted_counts_as_none(new_pool: NewPool) -> None:
    pool = new_pool(1)

    async def refuse(connection: Connection) -> None:
        assert await connection.fetchval("select 1") == 1
        raise ConnectionError("not yet")

    pool.admit = refuse
    for reason in ("not yet", "the next attempt is due"):
        with deadline(5), pytest.raises(ServerUnavailable, match=reason):
            await pool.fetch("select 1")
    assert in_use(pool) == 0
    pool.admit = None
    with deadline(5):
        while not await pool.healthy():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
