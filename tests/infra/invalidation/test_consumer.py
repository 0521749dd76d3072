"""A consumer between a real PostgreSQL and real memcached servers, each of which fails now and then."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from calotype.infra.cache import Cache, safe_key
from calotype.infra.invalidation.consumer import MESSAGE_PREFIX
from calotype.infra.invalidation.positions import key_space
from calotype.infra.invalidation.slots import find_slots
from tests.infra.invalidation.world import (
    LOG,
    Log,
    consumer_of,
    eventually,
    fill,
    item,
    published,
    running,
    wait_until_applied,
)
from tests.memcached import RunningMemcached

pytestmark = pytest.mark.memcached


async def test_a_committed_row_outdates_what_is_older_and_nothing_else(log: Log, cache: Cache) -> None:
    async with running(consumer_of(log, [cache])) as consumer:
        space = key_space(LOG, consumer.position.generation)
        older, newer, deleted, untouched = (item(space, n) for n in range(4))
        await log.put(2)
        await wait_until_applied(cache, await log.end_position())
        await fill(cache, {older: 4, newer: 6, deleted: 9, untouched: 1})
        await log.put(0, 1, version=5)
        await log.sql.execute("delete from items where id = 2")
        await wait_until_applied(cache, await log.end_position())
        assert set(await cache.get_many([older, newer, deleted, untouched])) == {newer, untouched}
        assert (consumer.metrics.rows, consumer.metrics.transactions) == (4, 3)
        assert (consumer.metrics.deletes_asked, consumer.metrics.deletes_done) == (4, 2)
        assert consumer.metrics.slots_made == 1


async def test_a_delete_breaks_the_lease_of_who_fills_meanwhile(log: Log, cache: Cache) -> None:
    async with running(consumer_of(log, [cache])) as consumer:
        key = item(key_space(LOG, consumer.position.generation), 1)
        lease = (await cache.lease_many([key])).won[key]
        await log.put(1, version=2)
        await wait_until_applied(cache, await log.end_position())
        cache.fill(key, lease, b"1", 1)
        assert await cache.get(key) is None


async def test_a_ticket_is_reached_at_once_and_the_slot_knows(log: Log, cache: Cache) -> None:
    async with running(consumer_of(log, [cache])):
        for n in range(5):
            await log.put(n)
            ticket = await log.end_position()
            known = await wait_until_applied(cache, ticket, seconds=0.5)
            assert abs(known.at_ms - time.time() * 1000) < 1_000

        async def confirmed() -> bool:
            return await log.confirmed() >= ticket

        await eventually(confirmed, seconds=1)


async def test_an_idle_consumer_keeps_up_with_other_databases(
    log: Log, cache: Cache, elsewhere: asyncpg.Connection[asyncpg.Record]
) -> None:
    async with running(consumer_of(log, [cache])):
        await elsewhere.execute("select pg_logical_emit_message(false, 'x', repeat('x', 100000), true)")
        await wait_until_applied(cache, await log.end_position(), seconds=1)


async def test_keys_in_messages_are_deleted_whatever_they_look_like(log: Log, cache: Cache) -> None:
    texts = ["plain", "with a space", "ü" * 300]
    await fill(cache, {safe_key(text): 9 for text in texts})
    await fill(cache, {safe_key("kept"): 9})
    async with running(consumer_of(log, [cache])):
        emit = "select pg_logical_emit_message(true, $1, $2)"
        await log.sql.execute(emit, "other", "kept")
        await log.sql.execute(emit, MESSAGE_PREFIX, "\n".join(texts))
        await wait_until_applied(cache, await log.end_position())
        assert set(await cache.get_many([safe_key(text) for text in [*texts, "kept"]])) == {safe_key("kept")}


async def test_the_next_consumer_goes_on_where_the_last_one_ended(log: Log, cache: Cache) -> None:
    async with running(consumer_of(log, [cache])) as first:
        generation = first.position.generation
    key = item(key_space(LOG, generation), 1)
    await fill(cache, {key: 1})
    await log.put(1, version=2)
    async with running(consumer_of(log, [cache])) as second:
        known = await wait_until_applied(cache, await log.end_position())
        assert known.generation == generation
        assert second.metrics.slots_made == 0
        assert await cache.get(key) is None


async def test_a_second_consumer_waits_and_takes_over(log: Log, cache: Cache) -> None:
    first, second = consumer_of(log, [cache]), consumer_of(log, [cache])

    async def reads() -> bool:
        return [slot.active for slot in await find_slots(log.admin, "a")] == [True]

    async with running(first):
        await eventually(reads)  # it has published before it reads
        waiting = asyncio.create_task(second.run())

        async def refused() -> bool:
            return "read by another" in second.metrics.last_error

        await eventually(refused)
        assert second.position.generation == ""
    await log.put(1)
    await wait_until_applied(cache, await log.end_position())
    assert second.position.generation == first.position.generation
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_a_truncate_is_a_new_generation_and_the_old_slot_goes(log: Log, cache: Cache) -> None:
    async with running(consumer_of(log, [cache])) as consumer:
        before = consumer.position.generation
        await log.sql.execute("truncate items")
        await log.put(1)
        known = await wait_until_applied(cache, await log.end_position())

        async def renewed() -> bool:
            return [slot.generation for slot in await find_slots(log.admin, "a")] != [before]

        await eventually(renewed)
        known = await wait_until_applied(cache, await log.end_position())
        assert int(known.generation, 36) > int(before, 36)

        async def alone() -> bool:
            return [slot.generation for slot in await find_slots(log.admin, "a")] == [known.generation]

        await eventually(alone)
        await log.put(2)
        await wait_until_applied(cache, await log.end_position())
        assert consumer.metrics.slots_made == 2


async def test_a_slot_that_somebody_dropped_is_a_new_generation(log: Log, cache: Cache) -> None:
    async with running(consumer_of(log, [cache])) as consumer:
        before = consumer.position.generation
    (slot,) = await find_slots(log.admin, "a")
    await log.sql.execute("select pg_drop_replication_slot($1)", slot.name)
    await log.put(1)
    async with running(consumer_of(log, [cache])):
        known = await wait_until_applied(cache, await log.end_position())
        assert known.generation != before


async def test_a_new_generation_waits_for_those_who_may_have_committed_before_it(
    log: Log, cache: Cache
) -> None:
    """What began before the slot and is not told by it must be visible before anybody fills."""
    await log.slot()
    other: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(log.dsn)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("insert into items values (1, 1)")
    task = asyncio.create_task(consumer_of(log, [cache]).run())
    await asyncio.sleep(0.3)
    early = await published(cache)
    await transaction.commit()
    assert early is None
    await wait_until_applied(cache, await log.end_position())
    task.cancel()
    await asyncio.wait([task])
    await other.close()


async def test_nothing_is_acknowledged_while_a_server_is_frozen_and_all_is_applied_when_it_is_back(
    log: Log, own_memcached: RunningMemcached, second_memcached: RunningMemcached
) -> None:
    cache = Cache([own_memcached.address, second_memcached.address])
    async with running(consumer_of(log, [cache])) as consumer:
        space = key_space(LOG, consumer.position.generation)
        keys = [item(space, n) for n in range(40)]
        frozen = {own_memcached.address: own_memcached, second_memcached.address: second_memcached}[
            cache.servers.server(keys[0]).name
        ]
        here = [key for key in keys if cache.servers.server(key).name != frozen.address]
        await fill(cache, dict.fromkeys(keys, 1))
        await wait_until_applied(cache, await log.end_position())
        frozen.freeze()
        await log.put(*range(40), version=2)
        ticket = await log.end_position()

        async def gone_here() -> bool:
            return not await cache.get_many(here)

        await eventually(gone_here)
        for n in range(40, 45):
            await log.put(n)

        async def late() -> bool:
            return consumer.metrics.lag_s > 1

        await eventually(late)
        assert await log.confirmed() < ticket
        assert consumer.position.applied_lsn < ticket
        assert "is away" in consumer.metrics.last_error

        frozen.thaw()
        await wait_until_applied(cache, await log.end_position())
        assert await cache.get_many(keys) == {}
    await cache.close()


async def test_a_memcached_that_was_restarted_has_the_position_again(
    log: Log, cache: Cache, own_memcached: RunningMemcached
) -> None:
    async with running(consumer_of(log, [cache])) as consumer:
        own_memcached.kill()
        await log.put(1)
        await asyncio.sleep(0.2)
        own_memcached.start()
        known = await wait_until_applied(cache, await log.end_position())
        assert known.generation == consumer.position.generation


async def test_what_waits_for_a_server_is_bounded(log: Log, own_memcached: RunningMemcached) -> None:
    cache = Cache([own_memcached.address])
    async with running(consumer_of(log, [cache], backlog_limit=1_000)) as consumer:
        key = item(key_space(LOG, consumer.position.generation), 39_999)
        await fill(cache, {key: 1})
        own_memcached.freeze()
        await log.put(*range(40_000), version=2)
        await asyncio.sleep(1.5)
        assert 1_000 <= len(consumer._backlog) <= 1_000 + 5_000
        assert consumer.metrics.rows <= 6_000
        own_memcached.thaw()
        await wait_until_applied(cache, await log.end_position())
        assert consumer.metrics.rows == 40_000
        assert await cache.get(key) is None
    await cache.close()


async def test_nothing_stays_through_killed_walsenders(log: Log, cache: Cache) -> None:
    async with running(consumer_of(log, [cache])) as consumer:
        space = key_space(LOG, consumer.position.generation)
        keys = [item(space, n) for n in range(500)]
        await fill(cache, dict.fromkeys(keys, 1))
        for n in range(500):
            await log.put(n, version=2)
            if n % 100 == 50:
                await log.kill_walsenders()
        known = await wait_until_applied(cache, await log.end_position())
        assert await cache.get_many(keys) == {}
        assert consumer.metrics.reconnects >= 1
        assert known.generation == consumer.position.generation


def test_a_gutter_is_refused(log_dsn_of_its_own: str) -> None:
    with pytest.raises(ValueError, match="no gutter"):
        consumer_of(Log(log_dsn_of_its_own, None, None), [Cache(["/a"], ["/b"])])  # type: ignore[arg-type]
