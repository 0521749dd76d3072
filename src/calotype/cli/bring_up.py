"""What `calotype up` starts, in order: each needs what came before, and is stopped before it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from calotype.cli import site_processes, site_regions, site_setup, state
from calotype.cli.child_process import ChildSpec
from calotype.cli.places import Places
from calotype.cli.progress import Progress
from calotype.cli.site_regions import RegionHere
from calotype.cli.site_setup import Wanted
from calotype.cli.supervisor import Supervisor, all_of
from calotype.config.site import Site
from calotype.infra.engines import versitygw
from calotype.infra.engines.cassandra import Ring, fetch, fetched
from calotype.infra.engines.versitygw import Versitygw


async def provide_databases(
    supervisor: Supervisor, places: Places, known: Site | None, wanted: Wanted, shown: Progress
) -> Site:
    """The primary servers with their databases, and the file that says where everything is."""
    if known.embedded_postgres if known else not wanted.postgres:
        await _start_clusters(supervisor, places, shown)
    if known is None:
        site = site_setup.make(places, wanted)
        shown.line(f"wrote {places.data / 'calotype.toml'}")
    else:
        site_setup.check_servers(places, known, wanted)
        site = site_setup.follow_moved_data(places, known)
    site = await supervisor.unless_stopped(asyncio.to_thread(site_regions.arrange, places, site, wanted))
    await supervisor.unless_stopped(asyncio.to_thread(site_setup.create_databases, site))
    site = await supervisor.unless_stopped(asyncio.to_thread(site_setup.use_broker, places, site, wanted))
    site = site_setup.use_blobs(places, site, wanted, first=known is None)
    return site_setup.use_timelines(places, site, wanted)


async def serve(
    supervisor: Supervisor, places: Places, regions: Sequence[RegionHere], shown: Progress, *, demo: bool
) -> None:
    """Caches, standbys, `prepare`, consumers of the logs, then what serves people: each needs what came before."""
    supervisor.serves([region.state() for region in regions])
    first = regions[0]
    await _start_memcached(supervisor, regions, shown)
    if first.site.s3 is not None and first.site.s3.embedded:
        await start_gateway(supervisor, site_setup.gateway(places), shown, running=engine_runs(places, "s3"))
    if first.site.cassandra is not None and first.site.cassandra.embedded:
        await start_ring(supervisor, site_setup.ring(places), shown, running=engine_runs(places, "cassandra"))
    await _start_standbys(supervisor, regions, shown)
    runs = [_Runs(supervisor, places, region) for region in regions]
    told, forks = runs[0].told, runs[0].forks
    await supervisor.run(site_processes.prepare(told, forks, demo=demo))
    await _let_standbys_catch_up(supervisor, regions, shown)
    for region in regions:
        if not region.caches:
            await supervisor.unless_stopped(asyncio.to_thread(site_regions.forget_consumers, region))
    with shown.step("starting the relay, the web server and the workers"):
        await supervisor.start(
            site_processes.relay(told, forks), *[spec for each in runs for spec in each.invalidators()]
        )
        await supervisor.start(*[each.web() for each in runs])
        # Last, so that nobody waits for them: what is to be done meanwhile waits in the outboxes.
        await supervisor.start(*site_processes.workers(told, forks))


class _Runs:
    """What the processes of one region have in common."""

    def __init__(self, supervisor: Supervisor, places: Places, region: RegionHere) -> None:
        self._region = region
        self.told = site_processes.environment(places, region.site, region.name)
        self.forks = site_processes.fork_server(places, self.told)
        if self.forks is not None:
            supervisor.close_last(self.forks.close)

    def invalidators(self) -> list[ChildSpec]:
        region = self._region
        if not region.caches:
            return []
        return site_processes.invalidators(region.site, self.told, self.forks, region.suffix)

    def web(self) -> ChildSpec:
        region = self._region
        return site_processes.web(region.site, self.told, self.forks, f"web{region.suffix}")


async def _start_memcached(supervisor: Supervisor, regions: Sequence[RegionHere], shown: Progress) -> None:
    servers = [region.memcached for region in regions if region.memcached is not None]
    if not servers and regions[0].site.embedded_memcached:
        shown.line(site_regions.HOW_TO_GET_A_CACHE)
    if servers:
        with shown.step(f"starting {', '.join(server.name for server in servers)}"):
            await supervisor.start(*[site_processes.memcached(server) for server in servers])


def engine_runs(places: Places, name: str) -> bool:
    """Whether `calotype engines start` runs it beside the site."""
    return state.supervisor(places.engine(name)) is not None


async def start_ring(supervisor: Supervisor, ring: Ring, shown: Progress, *, running: bool = False) -> None:
    """Fetch Cassandra if need be, start its nodes unless they run, and give them their log-in."""
    # What follows needs the driver, an extra of the package.
    from calotype.infra.timelines.cassandra.login import secure

    if not fetched(ring.tools):
        with shown.step("fetching Cassandra (66 MB)"):
            log = ring.root / "maven.log"
            await supervisor.unless_stopped(asyncio.to_thread(fetch, ring.tools, log))
    if not running:
        with shown.step(f"starting {', '.join(node.name for node in ring.nodes)}"):
            await supervisor.start(*site_processes.cassandra(ring))
    await supervisor.unless_stopped(secure(ring))


async def start_gateway(
    supervisor: Supervisor, server: Versitygw, shown: Progress, *, running: bool = False
) -> None:
    """Build versitygw if need be, and start it unless it runs."""
    assert server.tools is not None
    if versitygw.binary(server.tools) is None:
        log = server.root / "build.log"
        with shown.step("building versitygw, an S3 server, with Go (two minutes, once)"):
            built = await supervisor.unless_stopped(asyncio.to_thread(versitygw.install, server.tools, log))
        if not built:
            raise versitygw.VersitygwUnusable(f"versitygw cannot be built; what was said is in {log}")
    if not running:
        with shown.step(f"starting {server.name}"):
            await supervisor.start(site_processes.s3(server))


async def _start_standbys(supervisor: Supervisor, regions: Sequence[RegionHere], shown: Progress) -> None:
    standbys = [standby for region in regions for standby in region.standbys]
    if standbys:
        made = all(standby.initialised() for standby in standbys)
        verb = "starting" if made else "copying the databases for"
        with shown.step(f"{verb} the standbys {', '.join(standby.name for standby in standbys)}"):
            await supervisor.start(*[site_processes.standby(standby) for standby in standbys])


async def _let_standbys_catch_up(
    supervisor: Supervisor, regions: Sequence[RegionHere], shown: Progress
) -> None:
    """So that the web servers of their regions find all that `prepare` has made."""
    for standby in (standby for region in regions for standby in region.standbys):
        if not await supervisor.unless_stopped(asyncio.to_thread(standby.wait_until_caught_up)):
            shown.line(f"{standby.name} is still behind its primary: its region shows what is there so far")


async def _start_clusters(supervisor: Supervisor, places: Places, shown: Progress) -> None:
    made = site_processes.clusters(places)
    names = ", ".join(cluster.name for cluster in made)
    if not all(cluster.initialised() for cluster in made):
        with shown.step(f"making the PostgreSQL clusters {names}"):
            await supervisor.unless_stopped(all_of(asyncio.to_thread(cluster.initialise) for cluster in made))
    with shown.step(f"starting PostgreSQL {names}"):
        for cluster in made:
            site_processes.forget_dead_postmaster(cluster)
        await supervisor.start(*[site_processes.postgres(cluster) for cluster in made])
