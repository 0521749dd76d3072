"""Real PostgreSQL for tests: clusters that are started, killed and started again, and the databases of a site on them."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import asyncpg

from calotype.infra.engines.postgres import Cluster, PostgresUnusable, start
from calotype.infra.partitions import PARTITIONS
from calotype.infra.shards.migrations import migrate
from calotype.infra.shards.placement import place_on

CLUSTERS = ("pg-1", "pg-2")
LOGICAL_SHARDS = 32

NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
"""Survives the death of any process, as before, but not of the machine: a test run needs no more."""

Layout = Literal["together", "apart"]
"""Whether the four partitions share their servers, or each has its own."""


@cache
def root() -> Path:
    """This process's own directory, removed at its end: a socket's path holds about 100 bytes, so pytest's are too deep."""
    path = Path(tempfile.mkdtemp(prefix="calotype-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


class RunningCluster:
    """A cluster and its process, which is ours alone to end."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.process = start(cluster, self._log)

    @property
    def _log(self) -> Path:
        return self.cluster.root.parent / f"{self.cluster.name}.log"

    def kill(self) -> None:
        """End the server as `kill -9` does: nothing is flushed, nobody is told. Its backends notice and end too."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait()

    def start(self) -> None:
        """Start it again. The backends of a killed server hold its shared memory until they have noticed."""
        until = time.monotonic() + 30
        while True:
            try:
                self.process = start(self.cluster, self._log)
            except PostgresUnusable:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return


@dataclass(frozen=True)
class Site:
    """`servers`: physical server -> DSN of its shards; `databases`: Django's alias -> DSN."""

    clusters: Mapping[str, RunningCluster]
    control_dsn: str
    servers: dict[str, str]
    databases: dict[str, str]


@contextmanager
def running(root: Path, settings: dict[str, str]) -> Iterator[dict[str, RunningCluster]]:
    """Two new clusters in `root`, ended with the block."""
    clusters = [Cluster(name, root / name, settings) for name in CLUSTERS]
    with ThreadPoolExecutor(len(clusters)) as threads:
        started = dict(zip(CLUSTERS, threads.map(RunningCluster, clusters), strict=True))
    try:
        yield started
    finally:
        for one in started.values():
            one.stop()


async def create_site(
    clusters: Mapping[str, RunningCluster],
    *,
    prefix: str = "",
    shards: int = LOGICAL_SHARDS,
    layout: Layout = "together",
) -> Site:
    """Create, place and migrate the databases of a new site; `prefix` keeps it apart from others on these clusters."""
    first, *_, last = (one.cluster for one in clusters.values())
    shard_servers = {name: (one.cluster, f"{prefix}shards") for name, one in clusters.items()}
    homes: dict[str, list[str]] = {partition: list(shard_servers) for partition in PARTITIONS}
    if layout == "apart":
        for at, partition in enumerate(PARTITIONS[1:]):
            shard_servers[partition] = ((first, last)[at % 2], f"{prefix}{partition}")
            homes[partition] = [partition]
    wanted = [(first, f"{prefix}main"), (last, f"{prefix}sessions"), *shard_servers.values()]
    await asyncio.gather(*(_create(wanted, cluster) for cluster in (first, last)))
    servers = {name: cluster.dsn(database) for name, (cluster, database) in shard_servers.items()}
    main = first.dsn(f"{prefix}main")
    await place_and_migrate(main, servers, homes, range(shards))
    databases = {"default": main, "sessions": last.dsn(f"{prefix}sessions")}
    return Site(clusters, main, servers, databases)


async def place_and_migrate(
    control_dsn: str, servers: Mapping[str, str], homes: Mapping[str, list[str]], shards: Sequence[int]
) -> None:
    for partition, names in homes.items():
        placement = await place_on(control_dsn, [partition], shards, names)
    await migrate(placement, servers, lambda done, total: None)


async def _create(wanted: Sequence[tuple[Cluster, str]], cluster: Cluster) -> None:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(cluster.dsn())
    try:
        for owner, database in wanted:
            if owner is cluster:
                await connection.execute(f"create database {database} strategy file_copy")
    finally:
        await connection.close()


async def kill(cluster: RunningCluster) -> None:
    """The same without stopping the event loop, on which somebody waits for this server."""
    await asyncio.to_thread(cluster.kill)


async def restart(cluster: RunningCluster) -> None:
    await asyncio.to_thread(cluster.start)
