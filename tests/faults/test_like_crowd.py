"""A crowd on two photos from two processes that are killed in the middle: counts are exact once all is at rest."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from calotype.infra.ids import shard_of
from calotype.infra.tao import Graph, Sweep, check_graph
from tests.faults.like_crowd import Liked, Orders, read_diary
from tests.infra.tao.conftest import graph_of, sweep_all
from tests.infra.tao.world import LIKED_BY, LIKES
from tests.running_site import SOURCE
from tests.site import Site

pytestmark = pytest.mark.fault

SEED = 20_261
PEOPLE = 48
"""In each of the two processes."""

KILLS = 4
LAST_S = 1.0
PATIENCE_S = 30.0

_LIST = """
select c.count, c.version, count(a.version) as rows, count(distinct a.version) as versions, max(a.version) as newest
from association_counts c join associations a on (a.shard, a.id1, a.atype) = (c.shard, c.id1, c.atype)
where c.shard = $1 and c.id1 = $2 and c.atype = $3 group by c.count, c.version
"""
_SENT_BEFORE = """
select pid from pg_stat_activity where application_name = 'calotype' and state = 'active' and query_start < $1 and pid <> pg_backend_pid()
"""


@pytest.fixture
async def crowded(own_clusters: Site) -> AsyncIterator[Graph]:
    """Even shards on pg-1, odd ones on pg-2."""
    async with graph_of(own_clusters) as graph:
        yield graph


class Process:
    """People of one process, which is ours alone to end. Its diary goes on when it is started again."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._runs = 0
        self.liked: Liked = {}

    def start(self, seconds: float) -> None:
        self._runs += 1
        orders = msgspec.structs.replace(
            self._orders,
            seed=self._orders.seed + self._runs,
            seconds=seconds,
            diary=f"{self._orders.diary}-{self._runs}",
        )
        Path(orders.diary).touch()
        self._diary = Path(orders.diary)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.like_crowd", msgspec.json.encode(orders).decode()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(SOURCE), str(SOURCE.parent)))},
            stdin=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self.liked |= read_diary(self._diary)

    def end(self) -> int:
        """By itself, when its time is up; its exit status."""
        status = self._process.wait(PATIENCE_S)
        self.liked |= read_diary(self._diary)
        return status

    async def at_work(self) -> None:
        """From when it has written something."""
        async with asyncio.timeout(PATIENCE_S):
            while self._diary.stat().st_size == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def new_process(site: Site, graph: Graph, photos: list[int], directory: Path, seed: int) -> Process:
    """People on all shards: some beside a photo, some on the other server."""
    each = PEOPLE // 8
    people = [id_ for shard in range(8) for id_ in await graph.shards.next_ids(shard, each)]
    diary = str(directory / f"diary-{seed}")
    return Process(Orders(site.control_dsn, site.servers, people, photos, diary, seed, 0))


async def the_dead_are_silent(graph: Graph) -> None:
    """What a process sent before it was killed is done: its people must not write after it in their next life."""
    for pool in graph.shards.pools.values():
        ((now,),) = await pool.fetch("select clock_timestamp()")
        async with asyncio.timeout(PATIENCE_S):
            while await pool.fetch(_SENT_BEFORE, now):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
async def test_processes_killed_in_the_middle_of_a_crowd_leave_exact_counts(
    own_clusters: Site, crowded: Graph, short_directory: Path, seed: int
) -> None:
    dice = random.Random(seed)
    directory = Path(tempfile.mkdtemp(dir=short_directory))
    photos = [(await crowded.shards.next_ids(shard))[0] for shard in (0, 1)]
    crowds = [await new_process(own_clusters, crowded, photos, directory, seed + 100 * n) for n in (1, 2)]
    stop = asyncio.Event()

    async def sweep() -> int:
        swept = 0
        while not stop.is_set():
            swept += await Sweep(crowded.shards, {}).once()
            await asyncio.sleep(0.02)
        return swept

    sweeping = asyncio.create_task(sweep())
    for each in crowds:
        each.start(seconds=PATIENCE_S)
    for _ in range(KILLS):
        victim = dice.choice(crowds)
        await asyncio.gather(*(each.at_work() for each in crowds))
        await asyncio.sleep(dice.uniform(0.1, 0.5))
        await asyncio.to_thread(victim.kill)
        await the_dead_are_silent(crowded)
        victim.start(seconds=PATIENCE_S)
    for each in crowds:
        await each.at_work()
        await asyncio.to_thread(each.kill)
        await the_dead_are_silent(crowded)
        each.start(seconds=LAST_S)
    assert [await asyncio.to_thread(each.end) for each in crowds] == [0, 0]
    stop.set()
    assert await sweeping + await sweep_all(crowded) > 0, "nobody was killed between a like and its inverse"
    report = await check_graph(crowded)
    assert (report.wrong, report.waiting) == (0, 0)
    liked = crowds[0].liked | crowds[1].liked
    assert len(liked) > PEOPLE
    found = set(await crowded.assoc_get_many(LIKES, list(liked)))
    for edge, present in liked.items():
        assert present is None or (edge in found) is present, edge
    for photo in photos:
        await exact(crowded, photo, len([one for one, other in found if other == photo]))


async def exact(graph: Graph, photo: int, likes: int) -> None:
    """The count is that of the forward edges, and no two rows of the list have one version."""
    assert await graph.assoc_count(LIKED_BY, photo) == likes
    pool = graph.shards.pool(LIKED_BY.partition, shard_of(photo))
    (of_list,) = await pool.fetch(_LIST, shard_of(photo), photo, LIKED_BY.number)
    assert of_list["count"] == likes
    assert of_list["rows"] == of_list["versions"] >= likes
    assert of_list["newest"] == of_list["version"]
