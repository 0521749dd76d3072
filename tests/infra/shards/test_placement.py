"""Where shards live: changes reach every process at once, and nothing that the control database does stops one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from calotype.infra.partitions import PARTITIONS
from calotype.infra.shards import (
    AbsentShard,
    Connection,
    ControlUnavailable,
    Placement,
    PlacementInvalid,
    PlacementListener,
    Shards,
    schema_name,
)
from calotype.infra.shards.placement import from_rows, place, read
from tests.conftest import NewSite
from tests.site import Site, kill, restart

PUSHED_WITHIN_S = 1.0
UPDATE = "update calotype_control.placement set server = $1, version = version + 1 where partition = 'likes' and shard = 3"


class Heard:
    """What a process is told, with the moments at which it is."""

    def __init__(self) -> None:
        self.placements: list[Placement] = []
        self._news = asyncio.Event()

    def __call__(self, placement: Placement) -> None:
        self.placements.append(placement)
        self._news.set()

    async def server(self, name: str, within_s: float) -> None:
        """Until shard 3 of `likes` is known to be on this server."""
        async with asyncio.timeout(within_s):
            while not self.placements or self.placements[-1].server("likes", 3) != name:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def placed(new_site: NewSite) -> Site:
    return await new_site("together")


@pytest.fixture
async def control(placed: Site) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(placed.control_dsn)
    yield connection
    await connection.close()


async def listening(dsn: str) -> tuple[Heard, asyncio.Task[None]]:
    heard = Heard()
    task = asyncio.create_task(PlacementListener(dsn, heard).run())
    await heard.server("pg-2", 10)
    return heard, task


async def test_a_change_is_pushed_to_every_process_within_a_second(placed: Site, control: Connection) -> None:
    processes = [await listening(placed.control_dsn) for _ in range(3)]
    for server in ("pg-1", "pg-2", "pg-1"):
        await control.execute(UPDATE, server)
        for heard, _ in processes:
            await heard.server(server, PUSHED_WITHIN_S)
    for _, task in processes:
        task.cancel()


async def test_shards_route_by_the_change_as_soon_as_it_is_pushed(placed: Site, control: Connection) -> None:
    async with Shards(placed.control_dsn, placed.servers) as shards:
        assert shards.pool("likes", 3).name == "pg-2"
        await control.execute(UPDATE, "pg-1")
        async with asyncio.timeout(PUSHED_WITHIN_S):
            while shards.pool("likes", 3).name != "pg-1":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert shards.pool("people", 3).name == "pg-2"


async def test_a_map_that_names_an_unknown_server_is_not_used_and_the_next_good_one_is(
    placed: Site, control: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with Shards(placed.control_dsn, placed.servers) as shards:
        async with asyncio.timeout(5):
            await control.execute(UPDATE, "pg-99")
            while "pg-99" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert shards.pool("likes", 3).name == "pg-2"
            await control.execute(UPDATE, "pg-1")
            while shards.pool("likes", 3).name != "pg-1":  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_process_does_not_start_with_a_map_that_it_cannot_use(placed: Site) -> None:
    shards = Shards(placed.control_dsn, {"pg-1": placed.servers["pg-1"]})
    with pytest.raises(PlacementInvalid, match=r"the placement names pg-2, which \[servers\]"):
        async with shards:
            pass


@pytest.mark.fault
async def test_the_last_map_stays_in_force_while_the_control_database_is_away_and_news_come_when_it_is_back(
    own_clusters: Site,
) -> None:
    heard, task = await listening(own_clusters.control_dsn)
    async with Shards(own_clusters.control_dsn, own_clusters.servers) as shards:
        await kill(own_clusters.clusters["pg-1"])
        assert shards.pool("likes", 3).name == "pg-2"
        assert len(await shards.next_ids(3)) == 1
        with pytest.raises(ControlUnavailable, match="the control database cannot be reached"):
            async with Shards(own_clusters.control_dsn, own_clusters.servers):
                pass
        await restart(own_clusters.clusters["pg-1"])
        control = await asyncpg.connect(own_clusters.control_dsn)
        await control.execute(UPDATE, "pg-1")
        await control.close()
        await heard.server("pg-1", 5)
    task.cancel()


async def test_new_shards_join_those_that_are_there_and_none_of_those_moves(
    placed: Site, control: Connection
) -> None:
    before = await read(control)
    after = await place(control, PARTITIONS, range(12), ["pg-2"])
    assert after.shards("people") == list(range(12))
    for partition in PARTITIONS:
        for shard in range(8):
            assert after.server(partition, shard) == before.server(partition, shard)
        assert {after.server(partition, shard) for shard in range(8, 12)} == {"pg-2"}
    assert after.version == before.version + 1
    assert after.first_shards == before.first_shards == tuple(range(8))
    assert await place(control, PARTITIONS, range(12), ["pg-1"]) == after


async def test_two_who_place_at_once_agree(placed: Site) -> None:
    connections = [await asyncpg.connect(placed.control_dsn) for _ in range(4)]
    names = (["pg-1"], ["pg-2"], ["pg-1", "pg-2"], ["pg-2", "pg-1"])
    placements = await asyncio.gather(
        *(place(one, PARTITIONS, range(16), some) for one, some in zip(connections, names, strict=True))
    )
    for connection in connections:
        await connection.close()
    final = placements[0].servers
    assert all(placement.servers == final for placement in placements)
    assert len({final[partition][15] for partition in PARTITIONS}) == 1


def test_a_shard_that_is_nowhere_is_an_error_by_name_and_nothing_by_search() -> None:
    placement = from_rows([("people", 5, "pg-1", 3, 1)])
    assert placement.server("people", 5) == "pg-1"
    with pytest.raises(AbsentShard, match="there is no logical shard 6"):
        placement.server("people", 6)
    with pytest.raises(AbsentShard):
        placement.server("nowhere", 5)
    shards = Shards("", {"pg-1": ""})
    shards.use(placement)
    assert shards.find("people", 5) is shards.pools["pg-1"]
    assert shards.find("people", 6) is None
    assert shards.find("nowhere", 5) is None
    with pytest.raises(AbsentShard) as absent:
        shards.pool("people", 6)
    assert absent.value.status == 404
    assert shards.any_shard() == 5


def test_schemas_sort_like_their_numbers() -> None:
    assert [schema_name(shard) for shard in (0, 7, 8191)] == ["s0000", "s0007", "s8191"]
