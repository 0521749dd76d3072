"""A whole site as `calotype up` runs it, in the bench's data directory: started, peopled, watched, stopped."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from benchmarks import population, processes, site, stacks
from benchmarks.site import BenchSite
from calotype.cli import state
from calotype.cli.places import Places, checkout
from calotype.config.site import Site, read

GROUPS = {
    "web": "web server",
    "worker-": "workers",
    "relay": "relay",
    "invalidator-": "consumers",
    "pg-": "PostgreSQL",
    "memcached": "memcached",
}
"""How the name of a child of the supervisor begins -> what it is counted as."""

AT_ONCE = 8
"""Timelines that are built at the same time."""


@dataclass(frozen=True)
class WholeSite:
    places: Places
    port: int
    site: Site

    def calotype(self, *arguments: str) -> str:
        """Run a command of the command line against this site; raises `ServerFailed`."""
        return calotype(self.places, *arguments)

    def cpu_s(self) -> dict[str, float]:
        """CPU that each group of processes has used since the site was started."""
        known = state.read(self.places)
        assert known is not None, "the site runs"
        used = dict.fromkeys(GROUPS.values(), 0.0)
        for child in known.children:
            group = next((name for start, name in GROUPS.items() if child.name.startswith(start)), None)
            if group and child.process is not None:
                used[group] += processes.cpu_s(child.process.pid)
        return used


def calotype(places: Places, *arguments: str) -> str:
    command = [sys.executable, "-P", "-m", "calotype.cli", *arguments]
    paths = str(checkout() / "src")
    return processes.run(command, {"CALOTYPE_DATA": str(places.data), "PYTHONPATH": paths})


@contextmanager
def running(directory: Path) -> Iterator[WholeSite]:
    """A new site in `directory`, with its settings for Django here too; stopped with the block, and all that it has stored removed."""
    site.remove(directory)
    places = Places(directory.resolve())
    places.make()
    (places.data / site.MARKER).touch()
    os.environ["CALOTYPE_DATA"] = str(places.data)
    (port,) = processes.free_ports(1)
    try:
        calotype(places, "up", "--detach", "--no-demo", f"--port={port}")
        population.set_django_up()
        yield WholeSite(places, port, read(places.data))
    finally:
        calotype(places, "down")
        site.remove(directory)


async def people_of(whole: WholeSite) -> dict[int, str]:
    """Everybody on the site, each with the Cookie header of a session."""
    ids = await _objects(whole, 1)
    return await stacks.session_cookies(BenchSite(whole.places, whole.site, (), ()), ids)


async def posts_of(whole: WholeSite) -> list[int]:
    """All posts, oldest first."""
    return sorted(await _objects(whole, 2))


async def _objects(whole: WholeSite, otype: int) -> list[int]:
    found: list[int] = []
    for server in whole.site.servers.values():
        connection = await asyncpg.connect(server)
        try:
            rows = await connection.fetch("select id from objects where otype = $1", otype)
        finally:
            await connection.close()
        found += [row[0] for row in rows]
    return found


async def build_timelines(whole: WholeSite, owners: Sequence[int]) -> None:
    """What the first visit of each has made: the feed and the notifications, as on a site that has run for a while."""
    from calotype.config.wiring import open_site
    from calotype.product.feed.actions import build as build_feed
    from calotype.product.notifications.actions import build as build_notifications

    turn = asyncio.Semaphore(AT_ONCE)
    async with open_site(whole.site, whole.places.data) as opened:

        async def build(owner: int) -> None:
            async with turn:
                await build_feed(opened.graph, opened.timelines, owner, kept=whole.site.feed.kept)
                await build_notifications(opened.graph, opened.timelines, owner)

        await asyncio.gather(*map(build, owners))


async def backlog(whole: WholeSite) -> int:
    """Work that commits have left and nobody has done yet: due rows of the outboxes, and jobs in the queues."""
    from calotype.config.jobs import broker

    waiting = 0
    for server in whole.site.servers.values():
        connection = await asyncpg.connect(server)
        try:
            waiting += await connection.fetchval(
                "select count(*) from calotype.outbox where due <= calotype.now_ms()"
            )
        finally:
            await connection.close()
    sender = broker(whole.site)
    try:
        return waiting + sum(depth.waiting + (depth.running or 0) for depth in sender.depths())
    finally:
        sender.close()


def drained_s(whole: WholeSite, patience_s: float) -> float:
    """Seconds until nothing is left to do; `patience_s` when something still is by then."""
    began = time.monotonic()
    while asyncio.run(backlog(whole)):
        if time.monotonic() - began > patience_s:
            return patience_s
        time.sleep(0.1)
    return time.monotonic() - began


def machine_busy_s() -> float:
    """CPU that all processes of this machine have used, those of others too."""
    user, nice, system, _, _, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) * processes.TICK_S


def cores_used(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> dict[str, float]:
    return {name: (after[name] - before[name]) / seconds for name in before}
