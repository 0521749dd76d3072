"""A graph whose cache nobody but the test writes to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from calotype.infra.shards import Shards
from calotype.infra.tao import Graph
from tests.conftest import NewSite
from tests.infra.tao.cached import cached_graph
from tests.memcached import RunningMemcached, running_memcached
from tests.site import Site


@pytest.fixture(scope="module")
async def shards(new_site: NewSite) -> AsyncIterator[Shards]:
    """Of a site that nobody else writes to."""
    site: Site = await new_site("together")
    async with Shards(site.control_dsn, site.servers) as shards:
        yield shards


@pytest.fixture(scope="module")
def memcached(short_directory: Path) -> Iterator[RunningMemcached]:
    """One where nobody else publishes positions of logs."""
    with running_memcached(short_directory) as (one,):
        yield one


@pytest.fixture
async def graph(shards: Shards, memcached: RunningMemcached) -> AsyncIterator[Graph]:
    """In a region whose logs nobody follows: whatever is put into its cache stays as it is."""
    async with cached_graph(shards, memcached.address) as graph:
        yield graph
