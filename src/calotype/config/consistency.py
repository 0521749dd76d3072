"""What the consistency checker watches of a site: every commit log, and the cache of every region that has one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import calotype.product.graph_types  # noqa: F401  declares every type: without them content cannot be compared
from calotype.config.caches import PUBLICATION
from calotype.config.site import SESSIONS, Site
from calotype.infra.cache import Cache
from calotype.infra.shards import Pool, Shards
from calotype.infra.tao.check import shards_by_pool
from calotype.infra.tao.consistency import GraphLog, Watched
from calotype.web.session_consistency import SessionLog

__all__ = ["PUBLICATION", "region_caches", "watched_logs"]

CONNECTIONS = 2
"""To each primary: a check must not be felt there."""


@asynccontextmanager
async def watched_logs(site: Site) -> AsyncIterator[Mapping[str, Watched]]:
    """The site's logs by name, for the length of the block. Always read on the primaries."""
    async with AsyncExitStack() as stack:
        shards = await stack.enter_async_context(
            Shards(site.control_dsn, site.servers, pool_size=CONNECTIONS)
        )
        sessions = Pool(SESSIONS, site.databases[SESSIONS], CONNECTIONS)
        stack.push_async_callback(sessions.close)
        logs: dict[str, Watched] = {
            pool.name: GraphLog(pool, some) for pool, some in shards_by_pool(shards).items()
        }
        yield logs | {SESSIONS: SessionLog(sessions)}


@asynccontextmanager
async def region_caches(site: Site) -> AsyncIterator[dict[str, Cache]]:
    """By region; those without memcached are left out. Without their gutters, whose entries end by themselves."""
    async with AsyncExitStack() as stack:
        caches = {name: Cache(one.memcached) for name, one in site.regions.items() if one.memcached}
        for cache in caches.values():
            stack.push_async_callback(cache.close)
        yield caches
