"""The stream against a real walsender: what it gives, when its position moves, and what comes again."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
import uvloop

from calotype.infra.invalidation.pgoutput import Change, Message, Operation, Truncate
from calotype.infra.invalidation.slots import Slot, find_slots
from calotype.infra.invalidation.stream import StreamLost, open_stream
from tests.conftest import NewSite
from tests.infra.invalidation.world import (
    Log,
    batches_until,
    changes,
    create_log,
    eventually,
    ids,
    open_log,
    read,
    read_to,
)
from tests.site import Site, kill, restart

ITEMS = "public.items"


async def test_inserts_updates_and_deletes_arrive_in_order(log: Log) -> None:
    async with await log.stream(await log.slot()) as stream:
        await log.sql.execute("insert into items values (1, 1, 'never sent')")
        await log.sql.execute("update items set version = 2")
        await log.sql.execute("update items set id = 3")
        await log.sql.execute("delete from items")
        assert changes(await read(stream, 4)) == [
            Change(Operation.INSERT, ITEMS, {"id": "1", "version": "1"}),
            Change(Operation.UPDATE, ITEMS, {"id": "1", "version": "2"}),
            Change(Operation.UPDATE, ITEMS, {"id": "3", "version": "2"}, {"id": "1", "version": None}),
            Change(Operation.DELETE, ITEMS, {"id": "3", "version": None}),
        ]


async def test_rows_of_all_logical_shards_arrive_under_the_name_of_their_parent(new_site: NewSite) -> None:
    site = await new_site("together")  # of its own: what is written here is no whole graph
    log = await open_log(site.servers["pg-1"])
    try:
        async with await log.stream(await log.slot()) as stream:
            shard = await log.sql.fetchval("select shard from calotype_migrations.done where shard >= 0")
            await log.sql.execute("insert into objects values ($1, 7, 1, '{}', 3, 0, 0)", shard)
            await log.sql.execute("select edge_write($1, 7, 1, 8, null, '{}', true, null, null)", shard)
            await log.sql.execute("delete from objects where shard = $1 and id = 7", shard)
            arrived = changes(await read(stream, 5))
    finally:
        await log.end()
    at, none = str(shard), None
    edge = {"shard": at, "id1": "7", "atype": "1", "id2": "8", "version": "1"}
    counts = [{"shard": at, "id1": "7", "atype": "1", "version": version} for version in ("0", "1")]
    assert arrived == [
        Change(Operation.INSERT, "calotype.objects", {"shard": at, "id": "7", "version": "3"}),
        Change(Operation.INSERT, "calotype.association_counts", {**counts[0]}),
        Change(Operation.INSERT, "calotype.associations", {**edge}),
        Change(Operation.UPDATE, "calotype.association_counts", {**counts[1]}),
        Change(Operation.DELETE, "calotype.objects", {"shard": at, "id": "7", "version": none}),
    ]


async def test_messages_and_truncates_arrive_among_the_changes(log: Log) -> None:
    async with await log.stream(await log.slot()) as stream:
        async with log.sql.transaction():
            await log.put(1)
            await log.sql.execute("select pg_logical_emit_message(true, 'calotype.invalidate', 'a')")
        await log.sql.execute("truncate items")
        insert, message, truncate = changes(await read(stream, 3))
    assert isinstance(insert, Change)
    assert isinstance(message, Message)
    assert (message.prefix, message.content, message.transactional) == ("calotype.invalidate", b"a", True)
    assert truncate == Truncate((ITEMS,))


async def test_what_was_rolled_back_never_arrives(log: Log) -> None:
    async with await log.stream(await log.slot()) as stream:
        with pytest.raises(asyncpg.RaiseError):
            await log.sql.execute("insert into items values (1, 1); do $$ begin raise 'no'; end $$")
        await log.put(2)
        assert ids(await read_to(stream, await log.end_position())) == [2]


async def test_a_position_covers_whole_transactions_only(log: Log) -> None:
    """To acknowledge what a part of a transaction says is to get all of the transaction again."""
    slot = await log.slot()
    async with await log.stream(slot) as stream:
        await log.put(1)
        await log.put(*range(100, 12_100))
        end = await log.end_position()
        got = await read_to(stream, end)
        parts = [batch for batch in got if batch.changes]
        stream.confirm(parts[-2].position)
    assert len(parts) >= 3, "12,000 rows are more than two batches"
    assert max(len(batch.changes) for batch in parts) <= 5_000
    assert sum(len(batch.changes) for batch in parts) == 12_001
    assert sum(len(batch.xids) for batch in got) == 2
    await _free(log, slot)
    async with await log.stream(slot) as stream:
        assert ids(await read_to(stream, end)) == list(range(100, 12_100))


async def test_a_confirmed_change_never_comes_again_and_an_unconfirmed_one_does(log: Log) -> None:
    slot = await log.slot()
    async with await log.stream(slot) as stream:
        await log.put(1)
        # A change may come a moment before the end of its transaction, to which the position belongs.
        position = (await read_to(stream, await log.end_position()))[-1].position
        stream.confirm(position)
        async with asyncio.timeout(20):
            while await log.confirmed() < position:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await log.put(2)
        await read(stream, 1)
    await _free(log, slot)
    async with await log.stream(slot) as stream:
        assert ids(await read_to(stream, await log.end_position())) == [2]


async def test_a_confirmation_is_the_slots_at_once(log: Log) -> None:
    slot = await log.slot()
    async with await log.stream(slot) as stream:
        await log.put(1)
        position = (await read(stream, 1))[-1].position
        stream.confirm(position)

        async def confirmed() -> bool:
            return (await find_slots(log.admin, "a"))[0].confirmed == position

        await eventually(confirmed, seconds=0.5)


async def test_a_batch_tells_when_its_transactions_were_committed(log: Log) -> None:
    async with await log.stream(await log.slot()) as stream:
        await log.put(1)
        now_ms = await log.sql.fetchval("select extract(epoch from clock_timestamp()) * 1000")
        (batch,) = [batch for batch in await read(stream, 1) if batch.changes]
    assert 0 <= float(now_ms) - batch.committed_ms < 1_000


async def test_the_position_moves_with_what_other_databases_write(
    log: Log, elsewhere: asyncpg.Connection[asyncpg.Record]
) -> None:
    async with await log.stream(await log.slot()) as stream:
        for _ in range(3):
            await elsewhere.execute(
                "select pg_logical_emit_message(false, 'elsewhere', repeat('x', 10000), true)"
            )
            end = await log.end_position()
            got = await batches_until(stream, lambda got, end=end: bool(got) and got[-1].position >= end)  # type: ignore[misc]
            assert changes(got) == []
            stream.confirm(got[-1].position)


async def test_an_idle_stream_lives_on_and_its_heartbeat_is_answered(log: Log) -> None:
    async with await log.stream(await log.slot()) as stream:
        heard = stream._heard_at
        assert (await stream.batch(2.2)).changes == []
        assert stream._heard_at > heard
        await log.put(1)
        assert ids(await read(stream, 1)) == [1]


async def test_while_nobody_reads_the_session_stays_alive(log: Log) -> None:
    slot = await log.slot()
    impatient = f"{log.dsn}&options=-c%20wal_sender_timeout%3D2s"
    async with await open_stream(impatient, slot.name, "calotype", slot.confirmed) as stream:
        await log.put(*range(30_000))
        await asyncio.sleep(3)
        assert len(ids(await read(stream, 30_000))) == 30_000


async def test_a_killed_walsender_is_a_lost_stream(log: Log) -> None:
    async with await log.stream(await log.slot()) as stream:
        await stream.batch(0.1)
        assert await log.kill_walsenders() == 1
        with pytest.raises(StreamLost, match=r"terminating connection|no reason|closed"):
            await batches_until(stream, lambda _: False)


async def test_a_slot_that_is_not_there_or_read_by_another_is_a_lost_stream(log: Log) -> None:
    slot = await log.slot()
    with pytest.raises(StreamLost, match="calotype_a_nowhere"):
        await open_stream(log.dsn, "calotype_a_nowhere", "calotype", slot.confirmed)
    async with await log.stream(slot):
        with pytest.raises(StreamLost, match="is active"):
            await log.stream(slot)


async def test_a_server_that_is_not_there_is_a_lost_stream(log: Log) -> None:
    slot = await log.slot()
    with pytest.raises(StreamLost, match="No such file"):
        await open_stream("postgresql:///x?host=/nowhere", slot.name, "calotype", slot.confirmed)


async def test_nothing_is_lost_through_killed_walsenders(log: Log) -> None:
    """Twenty streams that each end at an unlucky moment see every row; some rows more than once."""
    slot = await log.slot()
    seen: set[int] = set()
    writer = asyncio.create_task(_write(log.dsn, 2_000))
    for _ in range(20):
        await _free(log, slot)
        async with await log.stream(slot) as stream:
            try:
                batch = await stream.batch(0.2)
                seen |= set(ids([batch]))
                stream.confirm(batch.position)
                await log.kill_walsenders()
                seen |= set(ids([await stream.batch(0.05)]))  # and is not confirmed
            except StreamLost:
                continue
    await writer
    await _free(log, slot)
    async with await log.stream(slot) as stream:
        seen |= set(ids(await read_to(stream, await log.end_position())))
    assert seen == set(range(2_000))


@pytest.mark.fault
async def test_nothing_is_lost_through_an_immediate_restart(own_clusters: Site) -> None:
    running = own_clusters.clusters["pg-1"]
    log = await create_log(running.cluster, "log")
    slot = await log.slot()
    async with await log.stream(slot) as stream:
        await log.put(1)
        # A change may come a moment before the end of its transaction, to which the position belongs.
        position = (await read_to(stream, await log.end_position()))[-1].position
        stream.confirm(position)
        async with asyncio.timeout(20):
            while await log.confirmed() < position:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await log.put(2)
        seen = set(ids(await read(stream, 1)))
        await log.put(3)
        await kill(running)
        with pytest.raises(StreamLost):
            await batches_until(stream, lambda _: False)
    await restart(running)
    log = await open_log(log.dsn)
    async with await log.stream(slot) as stream:
        seen |= set(ids(await read_to(stream, await log.end_position())))
    assert seen >= {2, 3}
    await log.end()


def test_it_works_on_uvloop_as_well(log_dsn_of_its_own: str) -> None:
    async def follow() -> list[int]:
        log = await open_log(log_dsn_of_its_own)
        try:
            async with await log.stream(await log.slot()) as stream:
                await log.put(1, 2, 3)
                got = await read(stream, 3)
                stream.confirm(got[-1].position)
                assert (await stream.batch(1.2)).changes == []
                return ids(got)
        finally:
            await log.end()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(follow()) == [1, 2, 3]


async def _free(log: Log, slot: Slot) -> None:
    """Wait until the server has noticed that the last reader of the slot is gone."""

    async def free() -> bool:
        return not any(one.active for one in await find_slots(log.admin, "a") if one.name == slot.name)

    await eventually(free)


async def _write(dsn: str, amount: int) -> None:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn)
    for number in range(amount):
        await connection.execute("insert into items values ($1, 1)", number)
    await connection.close()
