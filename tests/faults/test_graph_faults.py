"""Servers and writers that die under the graph: nothing acknowledged is lost, and nothing stays half."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from calotype.infra.ids import shard_of
from calotype.infra.shards import ServerUnavailable
from calotype.infra.tao import Edge, Graph, Sweep, check_graph
from calotype.std.deadline import deadline
from calotype.std.errors import CalotypeError, Unavailable
from tests.infra.tao.conftest import graph_of, sweep_all
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, Person
from tests.site import Site, kill, restart

pytestmark = pytest.mark.fault

SEED = 20_261


@pytest.fixture
async def doomed(own_clusters: Site) -> AsyncIterator[Graph]:
    """Even shards on pg-1, odd ones on pg-2."""
    async with graph_of(own_clusters) as graph:
        yield graph


async def settled(graph: Graph) -> None:
    """Until every server answers again."""
    for pool in graph.shards.pools.values():
        async with asyncio.timeout(20):
            while not await pool.healthy():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_an_edge_to_a_dead_server_is_accepted_waits_and_arrives(
    own_clusters: Site, doomed: Graph
) -> None:
    (one,), (other,) = await doomed.shards.next_ids(0), await doomed.shards.next_ids(1)
    await kill(own_clusters.clusters["pg-2"])
    with deadline(5):
        written = await doomed.assoc_add(FOLLOWS, one, other)
    assert written.changed
    assert [edge.id2 for edge in await doomed.assoc_range(FOLLOWS, one, 0, 10)] == [other]
    waiting = await doomed.shards.pools["pg-1"].fetch("select id from outbox")
    assert len(waiting) == 1
    assert await Sweep(doomed.shards, {}).once() == 0

    await restart(own_clusters.clusters["pg-2"])
    await settled(doomed)
    assert await sweep_all(doomed) == 1
    assert [edge.id2 for edge in await doomed.assoc_range(FOLLOWED_BY, other, 0, 10)] == [one]
    assert await doomed.assoc_count(FOLLOWED_BY, other) == 1
    report = await check_graph(doomed)
    assert (report.wrong, report.waiting) == (0, 0)


async def test_a_dead_server_costs_only_those_who_need_it_and_them_no_time(
    own_clusters: Site, doomed: Graph
) -> None:
    here, there = await doomed.obj_add(Person("a"), shard=0), await doomed.obj_add(Person("b"), shard=1)
    await kill(own_clusters.clusters["pg-2"])
    with deadline(5):  # for all of it
        for _ in range(50):
            assert await doomed.obj_get(Person, here.id) == here
            for doing in (
                doomed.obj_get(Person, there.id),
                doomed.obj_get_many(Person, [here.id, there.id]),
                doomed.assoc_add(FOLLOWS, there.id, here.id),
                doomed.assoc_merge(FOLLOWS, [here.id, there.id], 5),
            ):
                with pytest.raises(ServerUnavailable, match="pg-2") as refused:
                    await doing
                assert refused.value.status == 503
                assert refused.value.retry_after_s
    await restart(own_clusters.clusters["pg-2"])
    await settled(doomed)
    assert await doomed.obj_get_many(Person, [here.id, there.id]) == {here.id: here, there.id: there}


@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
async def test_servers_killed_again_and_again_under_load_lose_nothing_and_leave_nothing_half(
    own_clusters: Site, doomed: Graph, seed: int
) -> None:
    dice = random.Random(seed)
    ids = [id_ for shard in range(8) for id_ in await doomed.shards.next_ids(shard, 2)]
    acknowledged: dict[tuple[int, int], bool | None] = {}
    stop = asyncio.Event()
    writes = 0

    async def write(own: list[tuple[int, int]], dice: random.Random) -> None:
        """Edges that nobody else writes, so that what was acknowledged last is known; None: perhaps done."""
        nonlocal writes
        while not stop.is_set():
            one, other = dice.choice(own)
            present = dice.random() < 0.6
            try:
                with deadline(2):
                    if present:
                        await doomed.assoc_add(FOLLOWS, one, other)
                    else:
                        await doomed.assoc_del(FOLLOWS, one, other)
                acknowledged[one, other] = present
                writes += 1
            except Unavailable:
                acknowledged[one, other] = None
                await asyncio.sleep(0.005)

    async def sweep() -> None:
        while not stop.is_set():
            await Sweep(doomed.shards, {}).once()
            await asyncio.sleep(0.02)

    pairs = [(one, other) for one in ids for other in ids]
    dice.shuffle(pairs)
    working = [asyncio.create_task(write(pairs[at::10], random.Random(seed + at))) for at in range(10)]
    working += [asyncio.create_task(sweep()) for _ in range(2)]
    for _ in range(3):
        victim = own_clusters.clusters[dice.choice(["pg-1", "pg-2"])]
        await asyncio.sleep(dice.uniform(0.1, 0.4))
        await kill(victim)
        await asyncio.sleep(dice.uniform(0.0, 0.2))
        await restart(victim)
        await settled(doomed)
    stop.set()
    await asyncio.gather(*working)
    await settled(doomed)
    assert writes > 200

    await sweep_all(doomed)
    found = await doomed.assoc_get_many(FOLLOWS, list(acknowledged))
    for edge, present in acknowledged.items():
        assert present is None or (edge in found) is present, edge
    mirrored = await doomed.assoc_get_many(FOLLOWED_BY, [(other, one) for one, other in acknowledged])
    assert {(one, other) for other, one in mirrored} == set(found)
    report = await check_graph(doomed)
    assert (report.wrong, report.waiting) == (0, 0)
    assert report.edges >= 2 * len(found)


async def test_writers_cancelled_at_any_point_leave_nothing_half(own_clusters: Site, doomed: Graph) -> None:
    dice = random.Random(SEED)
    ids = [id_ for shard in range(8) for id_ in await doomed.shards.next_ids(shard, 2)]

    async def write_and_maybe_leave() -> None:
        one, other = dice.sample(ids, 2)
        work: asyncio.Future[Any]
        match dice.randrange(3):
            case 0:
                work = asyncio.ensure_future(doomed.assoc_add(FOLLOWS, one, other, time=dice.randrange(9)))
            case 1:
                work = asyncio.ensure_future(doomed.assoc_del(FOLLOWS, one, other))
            case _:
                rows = [(one, Edge(id_, 0, 0)) for id_ in dice.sample(ids, 5)]
                work = asyncio.ensure_future(doomed.assoc_add_many(FOLLOWS, rows))
        await asyncio.sleep(dice.random() / 100)
        if dice.random() < 0.7:
            work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    for _ in range(30):
        await asyncio.gather(*(write_and_maybe_leave() for _ in range(16)))
    await sweep_all(doomed)
    report = await check_graph(doomed)
    assert (report.wrong, report.waiting) == (0, 0)


async def test_a_sweep_with_one_server_down_does_the_work_of_the_others(
    own_clusters: Site, doomed: Graph
) -> None:
    (one,), (far,) = await doomed.shards.next_ids(0), await doomed.shards.next_ids(1)
    (neighbour,) = await doomed.shards.next_ids(2)
    for id2 in (far, neighbour):
        async with doomed.transaction(FOLLOWS.partition, shard_of(one)) as write:
            await write.edge(FOLLOWS, one, id2, time=None, data=None, present=True)
            write.messages.clear()
    await kill(own_clusters.clusters["pg-2"])
    await doomed.shards.pools["pg-1"].write("update outbox set due = 0 returning id")
    assert await Sweep(doomed.shards, {}).once() == 1
    assert await doomed.assoc_count(FOLLOWED_BY, neighbour) == 1
    with pytest.raises(CalotypeError):  # an old message may hide on the server that is down
        await Sweep(doomed.shards, {}).purge_tombstones(retention_s=0)
