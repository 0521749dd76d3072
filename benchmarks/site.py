"""A site of the bench's own: two embedded PostgreSQL clusters in the bench's data directory, as `calotype up` makes them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from benchmarks import processes
from calotype.cli import site_processes, site_setup
from calotype.cli.places import Places, checkout
from calotype.cli.site_setup import Wanted
from calotype.config.site import Site
from calotype.infra.engines.postgres import Cluster

NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_wal_size": "8GB"}
"""For the making of data only; what is measured runs with the settings of every site."""

MARKER = ".calotype-bench"
"""Says that a directory is a bench's own, so that a half-made one may be removed."""

ORDINARY = "ordinary"
"""The database of the baselines, on the first cluster: one, with one row for each thing."""

COUNTING = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "top"}
"""Counts statements; about a microsecond each, for every stack alike."""


@dataclass(frozen=True)
class BenchSite:
    places: Places
    site: Site
    clusters: tuple[Cluster, ...]
    postmasters: tuple[int, ...]
    """Process numbers, in the clusters' order."""

    @property
    def ordinary_dsn(self) -> str:
        return self.clusters[0].dsn(ORDINARY)

    def postgres_cpu_s(self) -> float:
        """CPU that all processes of the clusters have used."""
        return sum(processes.cpu_s(pid) for pid in self.postmasters)


@contextmanager
def clusters_running(directory: Path, settings: Mapping[str, str]) -> Iterator[BenchSite]:
    """The site in `directory`, made if it is not there, with its clusters running and its databases created."""
    places = Places(directory.resolve())
    places.make()
    (places.data / MARKER).touch()
    os.environ["CALOTYPE_DATA"] = str(places.data)
    made = tuple(Cluster(each.name, each.root, dict(settings)) for each in site_processes.clusters(places))
    with ExitStack() as stack:
        pids = []
        for cluster in made:
            cluster.initialise()
            site_processes.forget_dead_postmaster(cluster)
            spec = site_processes.postgres(cluster)
            log = places.log(cluster.name)
            pids.append(
                stack.enter_context(
                    processes.running(spec.command, log, cluster.ready, spec.environment, spec.stop_signal)
                )
            )
        known = site_setup.existing(places)
        site = site_setup.follow_moved_data(places, known) if known else site_setup.make(places, Wanted())
        site_setup.create_databases(site)
        yield BenchSite(places, site, made, tuple(pids))


def prepare(bench: BenchSite) -> None:
    """Bring every database and logical shard to this release, as `calotype up` does before it starts to serve. Once for the
    same sources."""
    stamp, sources = bench.places.data / "prepared", _sources()
    if stamp.exists() and stamp.read_text() == sources:
        return
    told = site_processes.environment(bench.places, bench.site)
    spec = site_processes.prepare(told, demo=False)
    processes.run(spec.command, spec.environment)
    stamp.write_text(sources)


def _sources() -> str:
    """A digest of which files the site is made of, how long they are and when they were changed."""
    digest = hashlib.sha256()
    for path in sorted((checkout() / "src").rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            stat = path.stat()
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def remove(directory: Path) -> None:
    """Remove a site that a bench has made."""
    if (directory / MARKER).exists():
        shutil.rmtree(directory)


async def create_ordinary(bench: BenchSite) -> None:
    """Make the database of the baselines anew, empty."""
    connection = await asyncpg.connect(bench.clusters[0].dsn())
    try:
        await connection.execute(f"drop database if exists {ORDINARY} with (force)")
        await connection.execute(f"create database {ORDINARY} template template0")
    finally:
        await connection.close()


async def settle(bench: BenchSite) -> None:
    """Statistics and visibility as they are on a site that has run for a while; the log written out."""

    async def one(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("vacuum analyze")
        finally:
            await connection.close()

    await asyncio.gather(*(one(dsn) for dsn in [*bench.site.servers.values(), bench.ordinary_dsn]))
    for cluster in bench.clusters:
        connection = await asyncpg.connect(cluster.dsn())
        try:
            await connection.execute("checkpoint")
        finally:
            await connection.close()
