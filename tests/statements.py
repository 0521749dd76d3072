"""Which statements a site sends to its databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from calotype.infra.shards import Pool
from calotype.web.site import Site


@asynccontextmanager
async def counted(site: Site) -> AsyncIterator[list[str]]:
    """The statements that the pools of a site run inside the block, as "server: text"."""
    seen: list[str] = []
    pools = [*site.graph.shards.pools.values(), site.sessions.pool]
    for pool in pools:
        _watch(pool, seen)
    try:
        yield seen
    finally:
        for pool in pools:
            del pool.__dict__["_run"]


def _watch(pool: Pool, seen: list[str]) -> None:
    run = pool._run

    async def watched(sql: str, arguments: tuple[object, ...]) -> list[asyncpg.Record]:
        seen.append(f"{pool.name}: {' '.join(sql.split())}")
        return await run(sql, arguments)

    pool.__dict__["_run"] = watched
