"""Two primaries of these tests' own, with one site on them: they are restarted, and their backends ended, at will."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from calotype.infra.shards import Shards
from calotype.infra.tao import Graph
from tests.site import NOT_DURABLE, RunningCluster, Site, create_site, running


@pytest.fixture(scope="package")
def primaries(short_directory: Path) -> Iterator[dict[str, RunningCluster]]:
    with running(Path(tempfile.mkdtemp(dir=short_directory)), NOT_DURABLE) as started:
        yield started


@pytest.fixture(scope="package")
async def faulty_site(primaries: dict[str, RunningCluster]) -> Site:
    """Even shards on pg-1, odd ones on pg-2."""
    return await create_site(primaries, shards=8)


@pytest.fixture
async def primary(faulty_site: Site) -> AsyncIterator[Graph]:
    """Without a cache: what it writes only the log tells the caches."""
    async with Shards(faulty_site.control_dsn, faulty_site.servers) as shards:
        yield Graph(shards)
