"""Graphs whose partitions share their servers, and graphs where each has its own: the same tests run on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from calotype.infra.shards import Shards
from calotype.infra.tao import Graph, Sweep
from tests.conftest import NewSite
from tests.site import Layout, Site


@pytest.fixture(scope="package", params=["together", "apart"])
def layout(request: pytest.FixtureRequest) -> Layout:
    chosen: Layout = request.param
    return chosen


@pytest.fixture(scope="package")
async def layout_site(layout: Layout, new_site: NewSite) -> Site:
    return await new_site(layout)


@pytest.fixture(scope="package")
async def layout_graph(layout_site: Site) -> AsyncIterator[Graph]:
    async with Shards(layout_site.control_dsn, layout_site.servers) as shards:
        yield Graph(shards)


@asynccontextmanager
async def graph_of(site: Site, pool_size: int = 16) -> AsyncIterator[Graph]:
    async with Shards(site.control_dsn, site.servers, pool_size) as shards:
        yield Graph(shards)


async def sweep_all(graph: Graph, sweep: Sweep | None = None) -> int:
    """Do everything in the outboxes now, however young."""
    sweep = sweep or Sweep(graph.shards, {})
    swept = 0
    while True:
        waiting = 0
        for pool in graph.shards.pools.values():
            waiting += len(await pool.write("update outbox set due = 0 returning id"))
        done = await sweep.once()
        swept += done
        if not done:
            return swept


@pytest.fixture(scope="module")
async def own_graph(new_site: NewSite) -> AsyncIterator[Graph]:
    """Of the module's own: even shards on pg-1, odd ones on pg-2."""
    async with graph_of(await new_site("together")) as graph:
        yield graph


@pytest.fixture
async def quiet(own_graph: Graph) -> Graph:
    """A graph with nothing in it but what the test puts there."""
    for pool in own_graph.shards.pools.values():
        await pool.write("truncate objects, associations, association_counts, outbox")
    return own_graph
