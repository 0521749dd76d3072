"""A second region whose standbys lag, or whose link to the primaries is cut: late, and never wrong for good."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import asyncpg
import pytest

from calotype.infra.shards.tickets import carrying
from calotype.infra.tao import Graph
from calotype.std.deadline import deadline
from calotype.web.tickets import catch_up
from tests.faults.regions import Traffic, World, settled, world
from tests.infra.tao.world import Person

pytestmark = [pytest.mark.fault, pytest.mark.memcached, pytest.mark.timeout(240)]

SEED = 20_133
LAG_S = 5.0
CUT_S = 12.0


async def seen_after(graph: Graph, id_: int, cats: int, within_s: float) -> float:
    """How long until somebody without tickets is shown what was written."""
    began = time.monotonic()
    while True:
        node = await graph.obj_get(Person, id_)
        if node is not None and node.data.cats == cats:
            return time.monotonic() - began
        assert time.monotonic() - began < within_s
        await asyncio.sleep(0.02)


async def write_here_and_look_there(here: Graph, there: Graph, cats: int) -> int:
    """As one person would: the ticket goes along."""
    node = await here.obj_add(Person("traveller"), shard=0)
    await there.obj_get(Person, node.id)
    with carrying({}) as tickets:
        await here.obj_update(Person, node.id, cats=cats)
        issued = await tickets.issue()
    assert there.cache is not None
    await catch_up(there.cache, issued)
    with carrying(issued), deadline(5):
        found = await there.obj_get(Person, node.id)
    assert found is not None
    assert found.data.cats == cats
    return node.id


async def on_standbys(one: World, statement: str) -> None:
    for name in one.site.servers:
        connection = await asyncpg.connect(one.regions["b"].standbys[name])
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


async def test_both_regions_see_what_is_written_in_either(short_directory: Path) -> None:
    async with (
        world(short_directory, second_region=True) as one,
        one.worker("a") as a,
        one.worker("b") as b,
    ):
        for here, there, cats in ((a, b, 1), (b, a, 2)):
            id_ = await write_here_and_look_there(here, there, cats)
            assert await seen_after(there, id_, cats, within_s=2) < 2
        async with Traffic([a, b], [a, b], SEED) as traffic:
            await asyncio.sleep(2)
        assert traffic.missed == []
        assert traffic.failures == 0
        assert await settled(one, traffic, [a, b]) < 5


async def test_a_standby_that_lags_five_seconds_shows_nobody_less_than_they_wrote(
    short_directory: Path,
) -> None:
    async with (
        world(short_directory, second_region=True) as one,
        one.worker("a") as a,
        one.worker("b") as b,
    ):
        await on_standbys(one, f"alter system set recovery_min_apply_delay = '{LAG_S}s'")
        await on_standbys(one, "select pg_reload_conf()")
        async with Traffic([a, b], [a, b], SEED) as traffic:
            id_ = await write_here_and_look_there(a, b, 7)
            took = await seen_after(b, id_, 7, within_s=LAG_S + 3)
            await asyncio.sleep(2)
        assert took > 1, "the standby did not lag"
        assert traffic.missed == []
        assert traffic.failures == 0
        await settled(one, traffic, [a, b])


async def test_a_cut_link_makes_the_other_region_late_and_not_wrong(short_directory: Path) -> None:
    """Its standbys get nothing more; writes and the holders of tickets still reach the primaries."""
    async with (
        world(short_directory, second_region=True) as one,
        one.worker("a") as a,
        one.worker("b") as b,
    ):
        async with Traffic([a, b], [a, b], SEED) as traffic:
            for link in one.links.values():
                await link.cut()
            id_ = await write_here_and_look_there(a, b, 3)
            await asyncio.sleep(CUT_S)
            late = await b.obj_get(Person, id_)
            assert late is None or late.data.cats == 0, "the link was not cut"
            for link in one.links.values():
                await link.heal()
            await seen_after(b, id_, 3, within_s=30)
        assert traffic.missed == []
        assert traffic.failures == 0
        await settled(one, traffic, [a, b])
