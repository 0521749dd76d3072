"""The slot of a region: made, found again, lost, replaced."""

from __future__ import annotations

import asyncio

import pytest

from calotype.infra.invalidation.slots import (
    PublicationMissing,
    base36,
    connect,
    drop_older_slots,
    drop_slot,
    ensure_slot,
    find_slots,
    lag_bytes,
)
from tests.infra.invalidation.world import Log, create_log, eventually, ids, open_log, read
from tests.site import Site, kill, restart


async def test_a_slot_is_made_once_and_found_again(log: Log) -> None:
    slot, new = await ensure_slot(log.admin, "a", log.dsn, "calotype")
    assert new
    assert slot.name == f"calotype_a_{slot.generation}"
    assert await ensure_slot(log.admin, "a", log.dsn, "calotype") == (slot, False)


async def test_two_who_need_a_slot_at_once_get_the_same(log: Log) -> None:
    async with await connect(log.dsn) as other:
        (one, _), (two, _) = await asyncio.gather(
            ensure_slot(log.admin, "a", log.dsn, "calotype"), ensure_slot(other, "a", log.dsn, "calotype")
        )
    assert one == two


async def test_each_region_has_its_own_even_if_names_begin_alike(log: Log) -> None:
    a, _ = await ensure_slot(log.admin, "a", log.dsn, "calotype")
    b, _ = await ensure_slot(log.admin, "a_b", log.dsn, "calotype")
    assert await find_slots(log.admin, "a") == [a]
    assert await find_slots(log.admin, "a_b") == [b]


async def test_a_generation_is_the_time_but_always_above_the_last(log: Log) -> None:
    first = await log.slot()
    assert int(first.generation, 36) > 1_700_000_000_000
    ahead = base36(int(first.generation, 36) + 10_000)
    await log.sql.execute("select pg_create_logical_replication_slot($1, 'pgoutput')", f"calotype_a_{ahead}")
    fresh, new = await ensure_slot(log.admin, "a", log.dsn, "calotype", fresh=True)
    assert new
    assert int(fresh.generation, 36) == int(ahead, 36) + 1
    assert [slot.generation for slot in await find_slots(log.admin, "a")] == [
        fresh.generation,
        ahead,
        first.generation,
    ]


async def test_older_slots_of_the_region_go_unless_somebody_reads_them(log: Log) -> None:
    read_by_another, idle, newest = [await log.slot() for _ in range(3)]
    other = await log.slot("b")
    async with await log.stream(read_by_another):
        assert await drop_older_slots(log.admin, "a", newest) == 1
        left = [slot.name for slot in await find_slots(log.admin, "a")]
        assert left == [newest.name, read_by_another.name]
        assert idle.name not in left
    assert await find_slots(log.admin, "b") == [other]


async def test_to_drop_what_is_gone_is_no_error(log: Log) -> None:
    slot = await log.slot()
    assert await drop_slot(log.admin, slot)
    assert await drop_slot(log.admin, slot)


async def test_without_the_publication_no_slot_is_made(log: Log) -> None:
    with pytest.raises(PublicationMissing, match="no publication 'other'"):
        await ensure_slot(log.admin, "a", log.dsn, "other")
    assert await find_slots(log.admin, "a") == []


@pytest.mark.parametrize("region", ["", "A", "a-b", "a'b", "x" * 41])
async def test_a_region_must_fit_into_the_name_of_a_slot(log: Log, region: str) -> None:
    with pytest.raises(ValueError, match="a region's name"):
        await find_slots(log.admin, region)


async def test_the_lag_is_what_is_not_confirmed(log: Log) -> None:
    slot = await log.slot()
    before = await lag_bytes(log.admin, slot)
    await log.put(*range(1_000))
    behind = await lag_bytes(log.admin, slot)
    assert before is not None
    assert behind is not None
    assert behind > before + 50_000
    async with await log.stream(slot) as stream:
        stream.confirm((await read(stream, 1_000))[-1].position)

        async def caught_up() -> bool:
            return (await lag_bytes(log.admin, slot) or 0) < 5_000

        await eventually(caught_up)


@pytest.mark.fault
async def test_a_lost_slot_is_noticed_and_replaced(forgetful_log: Log) -> None:
    log = forgetful_log
    slot = await log.slot()
    await log.write_more_than_a_slot_keeps()
    (lost,) = await find_slots(log.admin, "a")
    assert lost.lost == "wal_removed"
    fresh, new = await ensure_slot(log.admin, "a", log.dsn, "calotype")
    assert new
    assert int(fresh.generation, 36) > int(slot.generation, 36)
    assert await drop_older_slots(log.admin, "a", fresh) == 1
    async with await log.stream(fresh) as stream:
        await log.put(7)
        assert ids(await read(stream, 1)) == [7]


@pytest.mark.fault
async def test_a_slot_outlives_a_crash_of_the_server(own_clusters: Site) -> None:
    running = own_clusters.clusters["pg-1"]
    log = await create_log(running.cluster, "log")
    slot = await log.slot()
    await kill(running)
    await restart(running)
    log = await open_log(log.dsn)
    found, new = await ensure_slot(log.admin, "a", log.dsn, "calotype")
    assert not new
    assert found.generation == slot.generation
    await log.end()
