from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from calotype.infra.cache import Cache
from calotype.infra.engines.postgres import Cluster
from calotype.infra.engines.standby import Standby
from tests.infra.invalidation.world import Log, create_log, open_log
from tests.memcached import RunningMemcached, running_memcached
from tests.site import NOT_DURABLE, RunningCluster

_numbers = itertools.count(1)


@pytest.fixture
async def log(clusters: dict[str, RunningCluster]) -> AsyncIterator[Log]:
    """A database of one's own with a published table `items`, and nobody following it."""
    made = await create_log(clusters["pg-1"].cluster, f"log{next(_numbers)}")
    try:
        yield made
    finally:
        await made.end()


@pytest.fixture
async def forgetful_log(short_directory: Path) -> AsyncIterator[Log]:
    """On a server of its own, whose slots keep 1 MB."""
    root = Path(tempfile.mkdtemp(dir=short_directory))
    settings = NOT_DURABLE | {"max_slot_wal_keep_size": "1MB"}
    server = RunningCluster(Cluster("pg-1", root / "pg-1", settings))
    try:
        made = await create_log(server.cluster, "log")
        yield made
        await made.end()
    finally:
        server.stop()


@pytest.fixture
async def primary_and_standby(short_directory: Path) -> AsyncIterator[tuple[Log, Log]]:
    """A log on a server of its own and the same on that server's standby, which nobody can write to."""
    root = Path(tempfile.mkdtemp(dir=short_directory))
    server = RunningCluster(Cluster("pg-1", root / "pg-1", NOT_DURABLE))
    try:
        primary = await create_log(server.cluster, "log")
        copy = Standby("pg-1-b", root / "pg-1-b", primary=server.cluster)
        await asyncio.to_thread(copy.initialise)
        follower = RunningCluster(copy)
        try:
            standby = await open_log(copy.dsn("log"))
            yield primary, standby
            await standby.end()
            await primary.end()
        finally:
            follower.stop()
    finally:
        server.stop()


@pytest.fixture
def log_dsn_of_its_own(clusters: dict[str, RunningCluster]) -> str:
    """The same for a test that runs a loop of its own."""

    async def make() -> str:
        made = await create_log(clusters["pg-1"].cluster, f"log{next(_numbers)}")
        await made.end()
        return made.dsn

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, make()).result()


@pytest.fixture
async def elsewhere(clusters: dict[str, RunningCluster]) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection to another database of the same cluster."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(clusters["pg-1"].cluster.dsn())
    yield connection
    await connection.close()


@pytest.fixture
def second_memcached(short_directory: Path) -> Iterator[RunningMemcached]:
    with running_memcached(short_directory) as (one,):
        yield one


@pytest.fixture
async def cache(own_memcached: RunningMemcached) -> AsyncIterator[Cache]:
    made = Cache([own_memcached.address])
    yield made
    await made.close()
