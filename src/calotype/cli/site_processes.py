"""The processes of one site, as specifications for the supervisor, and what must exist before they can start."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from calotype.cli.child_process import ChildSpec, child_environment
from calotype.cli.forked import ForkServer
from calotype.cli.health import probe
from calotype.cli.places import Places, checkout
from calotype.cli.process import working_in
from calotype.config.site import FIRST_REGION, Site, Web
from calotype.infra.engines.cassandra import Node, Ring
from calotype.infra.engines.memcached import Memcached
from calotype.infra.engines.postgres import Cluster, as_nobody
from calotype.infra.engines.standby import Standby
from calotype.infra.engines.versitygw import Versitygw
from calotype.infra.jobs.types import Queue

EMBEDDED = ("pg-1", "pg-2")
"""The clusters a site has by default: two, so that one machine already plays several physical servers."""

CLI = "calotype.cli"

OURSELVES: tuple[str, ...] = (sys.executable, "-P", "-m", CLI)
"""The command line itself. `-P`: the directory it runs in is not a place to import from."""

COPIED_WITHIN_S = 3600.0
"""A standby is made by copying its primary, however large that is."""

NODES_READY_WITHIN_S = 180.0
"""Three nodes at once on two cores take 15 s; on a machine that is busy, longer."""


def clusters(places: Places) -> list[Cluster]:
    return [Cluster(name, places.cluster(name)) for name in EMBEDDED]


def environment(places: Places, site: Site, region: str = FIRST_REGION) -> dict[str, str]:
    """What every process of a region is told. `site.web` carries what the command line said for this run."""
    told = {
        "CALOTYPE_DATA": str(places.data),
        "CALOTYPE_HOST": site.web.host,
        "CALOTYPE_PORT": str(site.web.port),
        "CALOTYPE_REGION": region,
        "CALOTYPE_WORKERS": str(site.web.workers),
        "DJANGO_SETTINGS_MODULE": "calotype.config.settings",
        "PYTHONUNBUFFERED": "1",
    }
    source = checkout() / "src"
    return told | ({"PYTHONPATH": str(source)} if source.is_dir() else {})


def postgres(cluster: Cluster) -> ChildSpec:
    async def ready() -> bool:
        return await asyncio.to_thread(cluster.ready)

    prefix = as_nobody()
    command = cluster.command()
    assert command[: len(prefix)] == prefix
    # Changing the user, as the prefix does, would undo the request; so it stands behind it.
    return ChildSpec(
        cluster.name,
        [*prefix, *dying_with_us(signal.SIGINT), *command[len(prefix) :]],
        stop_signal=signal.SIGINT,
        ready=ready,
    )


def standby(copy: Standby) -> ChildSpec:
    """Made anew before a start, and stopped to be made anew, whenever its primary no longer has the log that it lacks."""

    async def before() -> None:
        await asyncio.to_thread(copy.initialise)
        forget_dead_postmaster(copy)

    async def sound() -> bool:
        return await asyncio.to_thread(copy.can_follow) is not False

    return replace(postgres(copy), before=before, sound=sound, ready_within_s=COPIED_WITHIN_S)


def memcached(server: Memcached) -> ChildSpec:
    async def ready() -> bool:
        return await asyncio.to_thread(server.ready)

    # It has nothing to save, and asked to end it first waits for its threads, one of which sleeps for up to a second.
    stop = signal.SIGKILL
    return ChildSpec(server.name, [*dying_with_us(stop), *server.command()], stop_signal=stop, ready=ready)


def cassandra(ring: Ring) -> list[ChildSpec]:
    """All nodes; to be started together. The jars must have been fetched."""

    def ready(node: Node) -> Callable[[], Awaitable[bool]]:
        return lambda: asyncio.to_thread(node.ready)

    return [
        ChildSpec(
            node.name,
            [*dying_with_us(signal.SIGTERM), *node.command()],
            ready=ready(node),
            ready_within_s=NODES_READY_WITHIN_S,
        )
        for node in ring.nodes
    ]


def s3(server: Versitygw) -> ChildSpec:
    """The program must have been built."""

    async def ready() -> bool:
        return await asyncio.to_thread(server.ready)

    command = [*dying_with_us(signal.SIGTERM), *server.command()]
    return ChildSpec(server.name, command, server.environment, ready=ready)


def invalidators(
    site: Site, told: Mapping[str, str], forks: ForkServer | None = None, suffix: str = ""
) -> list[ChildSpec]:
    """One for each commit log, for the region that `told` names."""
    return [invalidator(log, f"invalidator-{log}{suffix}", told, forks) for log in site.logs]


def invalidator(log: str, name: str, told: Mapping[str, str], forks: ForkServer | None = None) -> ChildSpec:
    return _loading(name, [CLI, "invalidator", log], told, forks)


def fork_server(places: Places, told: Mapping[str, str]) -> ForkServer | None:
    """For the processes that load the site of one region; None where it cannot be."""
    if sys.platform != "linux":
        return None
    command = [*dying_with_us(signal.SIGTERM), sys.executable, "-P", "-m", "calotype.cli.fork_server"]
    return ForkServer(command, child_environment(places, told), places.data, places.log("fork-server"))


def prepare(told: Mapping[str, str], forks: ForkServer | None = None, *, demo: bool) -> ChildSpec:
    return _loading("prepare", [CLI, "prepare", "--demo" if demo else "--no-demo"], told, forks)


def relay(told: Mapping[str, str], forks: ForkServer | None = None) -> ChildSpec:
    return _loading("relay", [CLI, "relay"], told, forks)


def workers(told: Mapping[str, str], forks: ForkServer | None = None) -> list[ChildSpec]:
    """One for each queue."""
    return [worker(queue.value, told, forks) for queue in Queue]


def worker(queue: str, told: Mapping[str, str], forks: ForkServer | None = None) -> ChildSpec:
    return _loading(f"worker-{queue}", [CLI, "worker", queue], told, forks)


def web(site: Site, told: Mapping[str, str], forks: ForkServer | None = None, name: str = "web") -> ChildSpec:
    """Its address is in `told` too."""
    address = url_of(site.web)

    async def ready() -> bool:
        return (await asyncio.to_thread(probe, address)).ok

    return replace(_loading(name, ["calotype.config.server"], told, forks), ready=ready)


def url_of(web: Web) -> str:
    """Where this machine reaches the web server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(web.host, web.host)  # noqa: S104
    return f"http://[{host}]:{web.port}" if ":" in host else f"http://{host}:{web.port}"


def default_workers() -> int:
    """All cores but one, which PostgreSQL and the relay share; one on small machines."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return 1 if cores <= 2 else cores - 1


def dying_with_us(number: signal.Signals) -> list[str]:
    """The prefix of a command that gets this signal from the kernel should the supervisor be killed.

    Empty where util-linux is not; then the next `up` or `down` ends what was left behind, as it does anyway.
    """
    setpriv = _setpriv()
    return [] if setpriv is None else [setpriv, "--pdeathsig", number.name.removeprefix("SIG"), "--"]


def forget_dead_postmaster(cluster: Cluster) -> None:
    """Remove the lock file of a server that is gone, when the number in it may meanwhile be another process's.

    PostgreSQL refuses to start while that number is in use by any process it could signal: after a reboot, or in a
    container that was started again, that may be anything. Whoever still serves this cluster works in its directory.
    """
    lock = cluster.data / "postmaster.pid"
    if sys.platform == "linux" and lock.exists() and not working_in(cluster.data):
        lock.unlink()


def _loading(name: str, run: Sequence[str], told: Mapping[str, str], forks: ForkServer | None) -> ChildSpec:
    """A module with arguments that loads the site, or is forked off a process that has, in the same environment."""
    alone = _child(name, [sys.executable, "-P", "-m", *run], told)
    if forks is None:
        return alone
    return replace(alone, forked=lambda name, output: forks.fork(name, run, output))


def _child(name: str, command: Sequence[str], told: Mapping[str, str]) -> ChildSpec:
    return ChildSpec(name, [*dying_with_us(signal.SIGTERM), *command], told)


@functools.cache
def _setpriv() -> str | None:
    found = shutil.which("setpriv")
    if sys.platform != "linux" or found is None:
        return None
    works = subprocess.run([found, "--pdeathsig", "TERM", "--", "true"], capture_output=True, check=False)
    return found if works.returncode == 0 else None
