"""Each rule of the protocol on a real server, at the steps at which a cache without it would keep an old value.

Every test stops somebody between two steps. `Primary` is the database; a version is the number of the write.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from calotype.infra.cache import Cache, CacheUnavailable, Key, Lease
from tests.infra.cache.conftest import NewCache, answering
from tests.memcached import Raw, RunningMemcached, raw

pytestmark = pytest.mark.memcached

KEY = Key(b"o:g1:1")


@dataclass
class Primary:
    version: int = 0

    def commit(self) -> int:
        self.version += 1
        return self.version


@dataclass
class Filler:
    """Takes its three steps when the test says so."""

    cache: Cache
    database: Primary
    lease: Lease | None = None
    read_version: int = 0

    async def wins(self) -> None:
        self.lease = (await self.cache.lease_many([KEY])).won[KEY]

    def reads(self) -> None:
        self.read_version = self.database.version

    async def fills(self) -> None:
        assert self.lease is not None
        self.cache.fill(KEY, self.lease, b"%d" % self.read_version, self.read_version)
        await self.cache.healthy()  # on the same connection, so the fill has been answered


async def kept(cache: Cache) -> int | None:
    """The version that readers are given."""
    value = await cache.get(KEY)
    return None if value is None else int(value)


@pytest.fixture
def primary() -> Primary:
    return Primary()


@pytest.fixture
def slow(cache: Cache, primary: Primary) -> Filler:
    return Filler(cache, primary)


@pytest.fixture
def quick(new_cache: NewCache, own_memcached: RunningMemcached, primary: Primary) -> Filler:
    """In another process: with a connection of its own."""
    return Filler(new_cache([own_memcached]), primary)


async def test_rule_1_a_slow_filler_cannot_overwrite_what_was_filled_after_a_delete(
    cache: Cache, primary: Primary, slow: Filler, quick: Filler
) -> None:
    await slow.wins()
    slow.reads()
    await cache.invalidate({KEY: primary.commit()})
    await quick.wins()
    quick.reads()
    await quick.fills()
    await slow.fills()
    assert await kept(cache) == 1


async def test_rule_1_a_slow_filler_cannot_take_the_place_of_another_that_is_still_reading(
    cache: Cache, primary: Primary, slow: Filler, quick: Filler
) -> None:
    await slow.wins()
    slow.reads()
    await cache.invalidate({KEY: primary.commit()})
    await quick.wins()
    quick.reads()
    await slow.fills()
    assert await kept(cache) is None
    await quick.fills()
    assert await kept(cache) == 1


async def test_rule_2_a_record_between_lease_and_read_costs_a_fill_and_one_after_the_read_too(
    cache: Cache, primary: Primary, slow: Filler
) -> None:
    for reads_before in (True, False):
        await slow.wins()
        if reads_before:
            slow.reads()
        await cache.invalidate({KEY: primary.commit()})
        slow.reads()
        await slow.fills()
        assert await kept(cache) is None


async def test_rule_2_a_read_before_the_lease_would_keep_the_old_value(
    cache: Cache, primary: Primary, slow: Filler
) -> None:
    """The protocol's order turned round, to show that nothing else saves it."""
    slow.reads()
    await cache.invalidate({KEY: primary.commit()})
    await slow.wins()
    await slow.fills()
    assert await kept(cache) == 0 < primary.version


async def test_rule_2_replacing_a_value_reserves_it_before_the_read(
    cache: Cache, primary: Primary, slow: Filler
) -> None:
    await slow.wins()
    slow.reads()
    await slow.fills()
    slow.lease = await cache.reserve(KEY)
    slow.reads()
    await cache.invalidate({KEY: primary.commit()})
    await slow.fills()
    assert await kept(cache) is None


async def test_rule_3_a_record_is_not_done_while_its_server_is_out_of_reach(
    cache: Cache, primary: Primary, slow: Filler, own_memcached: RunningMemcached
) -> None:
    await slow.wins()
    slow.reads()
    await slow.fills()
    version = primary.commit()
    own_memcached.freeze()
    with pytest.raises(CacheUnavailable):
        await cache.invalidate({KEY: version})
    own_memcached.thaw()
    await answering(cache)
    await cache.invalidate({KEY: version})
    assert await kept(cache) is None


async def test_rule_4_a_record_breaks_the_lease_of_a_filler_in_flight(
    cache: Cache, primary: Primary, slow: Filler
) -> None:
    await slow.wins()
    slow.reads()
    await cache.invalidate({KEY: primary.commit()})
    await slow.fills()
    assert await kept(cache) is None


async def test_rule_4_it_breaks_the_lease_on_what_is_stale_already(
    cache: Cache, primary: Primary, slow: Filler
) -> None:
    await slow.wins()
    slow.reads()
    await slow.fills()
    await cache.invalidate({KEY: primary.commit()})
    await slow.wins()
    slow.reads()
    await cache.invalidate({KEY: primary.commit()})
    await slow.fills()
    assert await kept(cache) is None


async def test_rule_4_the_delete_of_a_writer_breaks_it_too(
    cache: Cache, primary: Primary, slow: Filler
) -> None:
    await slow.wins()
    slow.reads()
    primary.commit()
    await cache.delete([KEY])
    await slow.fills()
    assert await kept(cache) is None


async def test_rule_5_a_lease_from_before_a_restart_fills_nothing_though_its_number_is_given_again(
    cache: Cache, primary: Primary, slow: Filler, own_memcached: RunningMemcached
) -> None:
    await slow.wins()
    slow.reads()
    await cache.invalidate({KEY: primary.commit()})
    await asyncio.to_thread(own_memcached.restart)
    async with raw(own_memcached) as other:
        given = await other.ask(b"mg %b c N5" % KEY)
        assert slow.lease is not None
        assert given.split()[1] == b"c" + slow.lease.cas, "else this shows nothing"
    await answering(cache)
    await slow.fills()
    assert await kept(cache) is None


async def test_rule_5_a_lease_does_not_survive_that_its_server_was_given_up(
    cache: Cache, primary: Primary, slow: Filler, quick: Filler, own_memcached: RunningMemcached
) -> None:
    await slow.wins()
    slow.reads()
    own_memcached.freeze()
    assert await cache.get(KEY) is None
    own_memcached.thaw()
    await answering(cache)
    await slow.fills()
    assert await kept(cache) is None


async def test_rule_8_writers_that_delete_leave_no_old_value_in_whatever_order_they_come(
    cache: Cache, primary: Primary, slow: Filler, quick: Filler
) -> None:
    await slow.wins()
    primary.commit()
    primary.commit()
    await cache.delete([KEY])  # the second writer is first
    await quick.wins()
    quick.reads()
    await quick.fills()
    assert await kept(cache) == 2
    await cache.delete([KEY])
    assert await kept(cache) is None


async def test_rule_9_a_version_is_never_taken_for_a_lease(
    cache: Cache, primary: Primary, slow: Filler, quick: Filler, wire: Raw
) -> None:
    await quick.wins()
    assert quick.lease is not None
    primary.version = int(quick.lease.cas) + 2
    quick.reads()
    await quick.fills()
    assert await wire.ask(b"mg %b f" % KEY) == b"HD f%d" % primary.version
    cas = int((await wire.ask(b"mg %b c" % KEY))[4:])
    assert cas != primary.version, "memcached numbers by itself"
    slow.lease = Lease(cache.servers.servers[0].live or quick.lease.connection, b"%d" % primary.version, 60)
    slow.read_version = 0
    await slow.fills()
    assert await kept(cache) == primary.version


@pytest.mark.parametrize("record_at", range(3))
@pytest.mark.parametrize("restart_at", range(3))
async def test_at_any_step_of_a_filler_a_record_and_a_restart_leave_nothing_old(
    cache: Cache,
    primary: Primary,
    slow: Filler,
    quick: Filler,
    own_memcached: RunningMemcached,
    record_at: int,
    restart_at: int,
) -> None:
    async def happens(at: int) -> None:
        if at == record_at:
            await quick.cache.invalidate({KEY: primary.commit()})
        if at == restart_at:
            await asyncio.to_thread(own_memcached.restart)
            await answering(quick.cache)

    await happens(0)
    await answering(cache)
    await slow.wins()
    await happens(1)
    slow.reads()
    await happens(2)
    await slow.fills()
    assert await kept(quick.cache) in (None, primary.version)
