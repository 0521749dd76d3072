"""The web tests' site as a worker with a cache of its own sees it, its logs followed by real consumers."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from django.conf import settings

from calotype.config.caches import consumer, region_cache
from calotype.config.site import Region
from calotype.infra.tao import Graph
from calotype.infra.timelines import PostgresTimelines
from calotype.web.session_rows import SessionRows
from calotype.web.site import Site

_numbers = itertools.count(1)
PATIENCE_S = 20


@asynccontextmanager
async def cached_site(web_site: Site, address: str) -> AsyncIterator[Site]:
    here = Region(memcached=(address,))
    name = f"web{next(_numbers)}"
    consumers = [consumer(settings.SITE, name, here, log) for log in settings.SITE.logs]
    async with AsyncExitStack() as stack:
        following = [asyncio.create_task(each.run()) for each in consumers]
        cache = await stack.enter_async_context(region_cache(settings.SITE, here))
        async with asyncio.timeout(PATIENCE_S):
            while not all(each.position.generation for each in consumers):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await cache.progress.refresh()
        yield dataclasses.replace(
            web_site,
            cache=cache,
            graph=Graph(web_site.graph.shards, cache),
            sessions=SessionRows(web_site.sessions.pool, cache),
            timelines=PostgresTimelines(web_site.graph.shards, cache),
        )
        for task in following:
            task.cancel()
        await asyncio.wait(following)


async def caught_up(site: Site) -> None:
    """Until the consumers have applied all that is written by now: what is filled after that stays."""
    assert site.cache is not None
    for pool in (*site.graph.shards.pools.values(), site.sessions.pool):
        end = (await pool.fetch("select (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint"))[0][0]
        async with asyncio.timeout(PATIENCE_S):
            while site.cache.progress.applied.get(pool.name, 0) < end:
                await asyncio.sleep(0.01)
                await site.cache.progress.refresh()
