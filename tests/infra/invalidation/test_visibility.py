"""A commit can be read in the log before it can be seen; these tests hold that moment open."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from calotype.infra.invalidation.visibility import all_visible, wait_until_visible
from tests.infra.invalidation.world import Log, create_log, ids, read
from tests.site import Site


def test_a_snapshot_sees_what_has_ended_before_it() -> None:
    assert all_visible("10:20:12,15", [9, 10, 11, 19])
    assert not all_visible("10:20:12,15", [11, 12])
    assert not all_visible("10:20:", [20])
    assert all_visible("10:10:", [])


def test_halves_of_ids_wrap() -> None:
    era = 5 << 32
    assert all_visible(f"{era + 3}:{era + 8}:{era + 4}", [7, 0, 0xFFFFFFFF])
    assert not all_visible(f"{era + 3}:{era + 8}:{era + 4}", [4])
    assert not all_visible(f"{era - 9}:{era + 1}:{era - 5}", [0xFFFFFFFB])
    assert not all_visible(f"{era - 9}:{era - 4}:", [1])


async def test_what_is_visible_is_not_waited_for(log: Log) -> None:
    async with await log.stream(await log.slot()) as stream:
        await log.put(1)
        xids = [xid for batch in await read(stream, 1) for xid in batch.xids]
        assert len(xids) == 1
        async with asyncio.timeout(0.5):
            await wait_until_visible(log.admin, xids)


@pytest.mark.fault
async def test_a_commit_that_waits_for_a_standby_is_in_the_log_before_it_is_seen(own_clusters: Site) -> None:
    log = await create_log(own_clusters.clusters["pg-1"].cluster, "log")
    async with await log.stream(await log.slot()) as stream:
        await log.commits_wait_for("nobody")
        writer: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(log.dsn)
        write = asyncio.create_task(writer.execute("insert into items values (1, 1)"))
        got = await read(stream, 1)
        assert ids(got) == [1]
        assert await log.sql.fetchval("select count(*) from items") == 0
        seen = asyncio.create_task(
            wait_until_visible(log.admin, [xid for batch in got for xid in batch.xids])
        )
        assert not (await asyncio.wait([seen], timeout=0.3))[0]
        await log.commits_wait_for("")
        await asyncio.wait_for(seen, 5)
        assert await log.sql.fetchval("select count(*) from items") == 1
        await write
        await writer.close()
    await log.end()
