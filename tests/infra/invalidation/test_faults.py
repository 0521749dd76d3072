"""A consumer through what happens to servers: a crash, a slot that is lost, a commit that nobody sees yet; and on a standby."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from calotype.infra.cache import Cache
from calotype.infra.invalidation.positions import key_space, parse_lsn
from calotype.infra.invalidation.slots import find_slots
from tests.infra.invalidation.world import (
    LOG,
    Log,
    consumer_of,
    create_log,
    eventually,
    fill,
    item,
    open_log,
    published,
    running,
    wait_until_applied,
)
from tests.memcached import RunningMemcached
from tests.site import Site, kill, restart

pytestmark = [pytest.mark.fault, pytest.mark.memcached]


async def test_nothing_stays_through_a_crash_of_postgresql(own_clusters: Site, cache: Cache) -> None:
    server = own_clusters.clusters["pg-1"]
    log = await create_log(server.cluster, "log")
    async with running(consumer_of(log, [cache])) as consumer:
        generation = consumer.position.generation
        keys = [item(key_space(LOG, generation), n) for n in range(3)]
        await fill(cache, dict.fromkeys(keys, 1))
        await log.put(0, version=2)
        await wait_until_applied(cache, await log.end_position())
        await log.put(1, version=2)
        await kill(server)
        await asyncio.sleep(0.3)
        await restart(server)
        log = await open_log(log.dsn)
        await log.put(2, version=2)
        known = await wait_until_applied(cache, await log.end_position())
        assert known.generation == generation
        assert await cache.get_many(keys) == {}
        assert consumer.metrics.reconnects > 0
    await log.end()


async def test_a_slot_that_is_lost_while_the_consumer_is_away_is_a_new_generation(
    forgetful_log: Log, cache: Cache
) -> None:
    log = forgetful_log
    async with running(consumer_of(log, [cache])) as first:
        before = first.position.generation
    await log.put(1)
    await log.write_more_than_a_slot_keeps()
    async with running(consumer_of(log, [cache])) as second:
        known = await wait_until_applied(cache, await log.end_position())
        assert int(known.generation, 36) > int(before, 36)
        assert second.metrics.slots_made == 1

        async def alone() -> bool:
            return [slot.generation for slot in await find_slots(log.admin, "a")] == [known.generation]

        await eventually(alone)


async def test_a_slot_that_is_lost_while_a_memcached_is_away_is_a_new_generation(
    forgetful_log: Log, own_memcached: RunningMemcached
) -> None:
    """The one server comes back with everything that it had, and none of that is believed."""
    log = forgetful_log
    cache = Cache([own_memcached.address])
    async with running(consumer_of(log, [cache])) as consumer:
        before = consumer.position.generation
        own_memcached.freeze()
        await log.put(1)
        await log.write_more_than_a_slot_keeps()

        async def renewed() -> bool:
            return consumer.position.generation != before

        await eventually(renewed)
        own_memcached.thaw()
        known = await wait_until_applied(cache, await log.end_position())
        assert known.generation == consumer.position.generation
    await cache.close()


async def test_a_commit_that_nobody_sees_yet_is_not_applied_yet(own_clusters: Site, cache: Cache) -> None:
    """Deleted before it is visible, an entry would be filled again with the old row, for good."""
    log = await create_log(own_clusters.clusters["pg-1"].cluster, "log")
    async with running(consumer_of(log, [cache])) as consumer:
        key = item(key_space(LOG, consumer.position.generation), 1)
        await fill(cache, {key: 1})
        await log.commits_wait_for("nobody")
        writer: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(log.dsn)
        write = asyncio.create_task(writer.execute("insert into items values (1, 2)"))
        await asyncio.sleep(0.5)
        assert await cache.get(key) == b"1"
        await log.commits_wait_for("")
        await write
        await wait_until_applied(cache, await log.end_position())
        assert await cache.get(key) is None
        await writer.close()
    await log.end()


async def test_a_region_follows_its_own_standby(primary_and_standby: tuple[Log, Log], cache: Cache) -> None:
    primary, standby = primary_and_standby
    async with running(consumer_of(standby, [cache], "b", primary_dsn=primary.dsn)) as consumer:
        key = item(key_space(LOG, consumer.position.generation), 1)
        await fill(cache, {key: 1})
        await primary.put(1, version=2)
        known = await wait_until_applied(cache, await primary.end_position())
        assert await cache.get(key) is None
        replayed = parse_lsn(await standby.sql.fetchval("select pg_last_wal_replay_lsn()::text"))
        assert known.applied_lsn <= replayed
        assert await standby.sql.fetchval("select version from items where id = 1") == 2


async def test_what_a_standby_has_not_replayed_is_not_applied(
    primary_and_standby: tuple[Log, Log], cache: Cache
) -> None:
    primary, standby = primary_and_standby
    async with running(consumer_of(standby, [cache], "b", primary_dsn=primary.dsn)) as consumer:
        key = item(key_space(LOG, consumer.position.generation), 1)
        await fill(cache, {key: 1})
        await standby.sql.execute("select pg_wal_replay_pause()")
        await primary.put(1, version=2)
        ticket = await primary.end_position()
        await asyncio.sleep(0.5)
        assert await cache.get(key) == b"1"
        known = await published(cache)
        assert known is not None
        assert known.applied_lsn < ticket
        await standby.sql.execute("select pg_wal_replay_resume()")
        await wait_until_applied(cache, ticket)
        assert await cache.get(key) is None


async def test_a_truncate_on_the_primary_is_a_new_generation_on_the_standby(
    primary_and_standby: tuple[Log, Log], cache: Cache
) -> None:
    primary, standby = primary_and_standby
    async with running(consumer_of(standby, [cache], "b", primary_dsn=primary.dsn)) as consumer:
        before = consumer.position.generation
        await primary.sql.execute("truncate items")

        async def renewed() -> bool:
            known = await published(cache)
            return known is not None and int(known.generation, 36) > int(before, 36)

        await eventually(renewed)
