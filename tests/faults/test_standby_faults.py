"""A second region whose standbys lag, are cut off, or die: its people see their own writes, and in the end everybody's."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from calotype.infra.engines.standby import Standby
from calotype.infra.invalidation.slots import connect, find_slots
from calotype.infra.shards import Pool, ServerUnavailable
from calotype.infra.shards.tickets import carrying
from calotype.infra.tao import Graph
from calotype.std.deadline import deadline
from calotype.std.errors import Unavailable
from tests.faults.aftermath import DEATH_S, all_is_well
from tests.faults.link import FarCluster, Link, far_cluster
from tests.faults.people import DEADLINE_S, Crowd, Tolerated, crowd, new_things
from tests.faults.world import PATIENCE_S, Region, ends_of, running_region
from tests.infra.tao.world import Person
from tests.site import RunningCluster, Site

pytestmark = [pytest.mark.fault, pytest.mark.memcached]

SEED = 1_866
LAG_S = 5

WATCHED = 12
LOOK_S = 0.5
"""Between two looks: too seldom for a worker to keep what it sees."""

NO_WRITER = {"bgwriter_lru_maxpages": "0"}
"""Nothing reaches the standbys' disks but by a checkpoint: so it is known where one that died begins again."""


@dataclass
class Regions:
    """The primaries' own, and one far away. `links`: all ways from there to the primaries."""

    here: Region
    there: Region
    links: Mapping[str, Link]
    standbys: Mapping[str, RunningCluster]

    @property
    def workers(self) -> list[Graph]:
        return [*self.here.workers, *self.there.workers]


@pytest.fixture(scope="module")
async def far(
    faulty_site: Site, short_directory: Path
) -> AsyncIterator[tuple[dict[str, FarCluster], dict[str, Link]]]:
    """The primaries as the second region reaches them, and the links on the way."""
    root = Path(tempfile.mkdtemp(dir=short_directory))
    made = {name: far_cluster(one.cluster, root / name) for name, one in faulty_site.clusters.items()}
    async with AsyncExitStack() as stack:
        links = {name: await stack.enter_async_context(link) for name, (_, link) in made.items()}
        yield {name: cluster for name, (cluster, _) in made.items()}, links


@pytest.fixture(scope="module")
async def standbys(
    far: tuple[dict[str, FarCluster], dict[str, Link]], short_directory: Path
) -> AsyncIterator[dict[str, RunningCluster]]:
    root = Path(tempfile.mkdtemp(dir=short_directory))
    copies = {
        name: Standby(f"{name}-b", root / f"{name}-b", NO_WRITER, primary=cluster)
        for name, cluster in far[0].items()
    }
    await asyncio.gather(*(asyncio.to_thread(copy.initialise) for copy in copies.values()))
    started = {name: await asyncio.to_thread(RunningCluster, copy) for name, copy in copies.items()}
    yield started
    for each in started.values():
        each.stop()
    for copy in copies.values():
        await asyncio.to_thread(copy.remove)


@pytest.fixture
async def regions(
    faulty_site: Site,
    far: tuple[dict[str, FarCluster], dict[str, Link]],
    standbys: dict[str, RunningCluster],
    short_directory: Path,
) -> AsyncIterator[Regions]:
    clusters, links = far
    site = Site(
        faulty_site.clusters,
        clusters["pg-1"].dsn("main"),
        {name: cluster.dsn("shards") for name, cluster in clusters.items()},
        {"default": clusters["pg-1"].dsn("main"), "sessions": clusters["pg-2"].dsn("sessions")},
    )
    sources = {name: each.cluster.dsn("shards") for name, each in standbys.items()}
    async with (
        running_region(faulty_site, short_directory, memcached=2) as here,
        running_region(site, short_directory, memcached=2, standbys=sources) as there,
    ):
        yield Regions(here, there, links, standbys)


async def travellers(
    primary: Graph,
    regions: Regions,
    seed: int,
    members_may_see: Tolerated = (),
    visitors_may_see: Tolerated = (),
) -> Crowd:
    """They write and read now in one region, now in the other."""
    things, said = await new_things(primary)
    everywhere = regions.workers
    return crowd(
        things,
        said,
        seed,
        writers=[*everywhere, primary],
        readers=everywhere,
        members_may_see=members_may_see,
        visitors_may_see=visitors_may_see,
    )


async def residents(primary: Graph, regions: Regions, seed: int) -> Crowd:
    """Members who stay in the primaries' region, and visitors from everywhere."""
    things, said = await new_things(primary)
    home = regions.here.workers
    people = crowd(things, said, seed, writers=home, readers=home, members=2, visitors=3)
    for visitor in people.visitors:
        visitor.readers = regions.workers
    return people


async def test_a_standby_that_lags_shows_everybody_their_own_writes_and_others_in_time(
    primary: Graph, regions: Regions
) -> None:
    people = await travellers(primary, regions, SEED)
    async with lagging(regions.standbys, LAG_S):
        async with people.at_work():
            waits = await waits_of_others(primary, regions.there)
        async with people.looking():
            await regions.there.caught_up()
    assert max(waits) < LAG_S + 1
    assert max(waits) > LAG_S - 1, "the lag was no lag"
    await all_is_well(people, primary, regions.here, regions.there)


@asynccontextmanager
async def lagging(standbys: Mapping[str, RunningCluster], seconds: int) -> AsyncIterator[None]:
    await set_lag(standbys, seconds)
    try:
        yield
    finally:
        await set_lag(standbys, 0)


async def set_lag(standbys: Mapping[str, RunningCluster], seconds: int) -> None:
    for each in standbys.values():
        async with await connect(each.cluster.dsn()) as database:
            await database.execute(f"alter system set recovery_min_apply_delay = '{seconds}s'".encode())
            await database.execute("select pg_reload_conf()")


async def waits_of_others(primary: Graph, region: Region) -> list[float]:
    """How many seconds each of some writes takes until somebody without tickets sees it in this region."""
    node = await primary.obj_add(Person("watched"), shard=0)
    written: list[float] = []
    waits: list[float] = []
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE_S):
        worker = await region.worker(stack)
        while len(waits) < WATCHED:
            if len(written) < WATCHED:
                await primary.obj_update(Person, node.id, cats=len(written) + 1)
                written.append(time.monotonic())
            with carrying({}), deadline(DEADLINE_S):
                seen = await worker.obj_get(Person, node.id)
            now = time.monotonic()
            waits += [now - at for at in written[len(waits) : seen.data.cats if seen else 0]]
            await asyncio.sleep(LOOK_S)
    return waits


@pytest.mark.parametrize(("how", "seconds"), [("cut", 12), ("silence", 6)])
async def test_the_link_between_the_regions_is_cut_and_healed(
    primary: Graph, regions: Regions, how: str, seconds: int
) -> None:
    """Whoever needs the primary from far away is told so; all others see nothing of it."""
    staying = await residents(primary, regions, SEED)
    people = await travellers(primary, regions, SEED + seconds, members_may_see=(Unavailable,))
    async with staying.at_work(), people.at_work():
        await asyncio.sleep(0.5)
        for link in regions.links.values():
            getattr(link, how)()
        await asyncio.sleep(seconds)
        for link in regions.links.values():
            link.heal()
        await asyncio.sleep(1)
    assert people.members[0].requests.refused > 0
    assert people.visitors[0].requests.slowest_s < DEADLINE_S / 2
    await all_is_well(people, primary, regions.here, regions.there)
    await all_is_well(staying, primary, regions.here, regions.there)


async def test_a_standby_and_its_consumer_killed_under_load(primary: Graph, regions: Regions) -> None:
    dice = random.Random(SEED)
    unavailable = (Unavailable,)
    people = await travellers(
        primary, regions, SEED, members_may_see=unavailable, visitors_may_see=unavailable
    )
    async with people.at_work():
        for _ in range(2):
            await asyncio.sleep(dice.uniform(0.2, 0.6))
            name = dice.choice(list(regions.standbys))
            await asyncio.to_thread(regions.standbys[name].kill)
            regions.there.consumers[name].kill()
            await asyncio.sleep(dice.uniform(0.0, 0.5))
            regions.there.consumers[name].start()
            await asyncio.to_thread(regions.standbys[name].start)
            await asyncio.sleep(0.5)
    await all_is_well(people, primary, regions.here, regions.there, shown_within_s=DEATH_S)


async def test_a_standby_that_died_is_not_read_before_it_is_where_it_was(
    primary: Graph, regions: Regions
) -> None:
    """It takes readers while it replays again what it had. What was deleted by then is acknowledged, and does not come
    again: an old row that is filled now would stay."""
    pool, standby, there = primary.shards.pools["pg-1"], regions.standbys["pg-1"], regions.there
    node = await primary.obj_add(Person("rewound"), shard=0)
    await checkpoint(pool, standby)
    await primary.obj_update(Person, node.id, cats=7)
    await acknowledged_for_good(pool, there)
    async with lagging({"pg-1": standby}, 3_600):
        await asyncio.to_thread(standby.kill)
        await asyncio.to_thread(standby.start)
        assert await version_on(standby, node.id) == 1
        with deadline(DEADLINE_S), pytest.raises(ServerUnavailable, match="has to replay"):
            await there.workers[0].obj_get(Person, node.id)
    await there.caught_up()
    async with asyncio.timeout(PATIENCE_S):
        source = there.shards.pools["pg-1"].standby
        while source is None or not await source.healthy():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    found = await there.workers[0].obj_get(Person, node.id)
    assert found is not None
    assert found.version == 2


async def checkpoint(pool: Pool, standby: RunningCluster) -> None:
    """Of the primary, then of its standby: there a standby that dies begins again."""
    await pool.write("checkpoint")
    assert isinstance(standby.cluster, Standby)
    assert await asyncio.to_thread(standby.cluster.wait_until_caught_up)
    async with await connect(standby.cluster.dsn()) as database:
        await database.execute("checkpoint")


async def acknowledged_for_good(pool: Pool, region: Region) -> None:
    """What is committed now is applied, and the slot on disk says so: it is written when it can give up old log."""
    end = (await ends_of(region.site))["pg-1"]
    async with await connect(region.logs["pg-1"]) as database, asyncio.timeout(PATIENCE_S):
        while True:
            await pool.write("select pg_log_standby_snapshot()")
            await region.caught_up()
            (slot,) = await find_slots(database, region.name)
            found = await database.execute(
                "select pg_wal_lsn_diff(restart_lsn, '0/0')::bigint from pg_replication_slots where slot_name = %s",
                (slot.name,),
            )
            ((kept_from,),) = await found.fetchall()
            if int(str(kept_from)) >= end:
                return
            await asyncio.sleep(0.1)


async def version_on(standby: RunningCluster, id_: int) -> int:
    async with await connect(standby.cluster.dsn("shards")) as database:
        found = await database.execute("select version from calotype.objects where id = %s", (id_,))
        ((version,),) = await found.fetchall()
        return int(str(version))
