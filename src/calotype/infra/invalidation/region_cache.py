"""A region's cache as its workers use it, and who may be answered from it."""

from __future__ import annotations

from collections.abc import Iterable

from calotype.infra.cache import Cache, ReadThrough
from calotype.infra.invalidation.progress import Progress
from calotype.infra.shards import Connection, Pool, Tickets

_REPLAYED = "select (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint"

type Access = tuple[Pool, bytes | None]
"""Where a reader's database reads of a server go, and the key space of what they may find in the cache; None: nothing."""


class RegionCache:
    """`async with RegionCache(cache, logs)` follows the positions of these logs, and closes the cache at its end."""

    def __init__(self, cache: Cache, logs: Iterable[str]) -> None:
        self.cache = cache
        self.progress = Progress(cache, logs)
        self.through = ReadThrough(cache)

    async def __aenter__(self) -> RegionCache:
        await self.progress.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.progress.__aexit__()
        await self.cache.close()

    def guard(self, pool: Pool) -> None:
        """Have the standby of a server read only where it has what was already deleted for.

        One that died takes readers before it has replayed again all that it had: an old row that is filled then would
        stay, since its delete is acknowledged and does not come again. A connection never outlives its server, so it
        is enough to look at new ones.
        """
        if pool.standby is None:
            return

        async def admit(connection: Connection) -> None:
            await self.progress.refresh()
            replayed, applied = await connection.fetchval(_REPLAYED), self.progress.applied.get(pool.name, 0)
            if replayed is not None and replayed < applied:
                raise ConnectionError(f"it has to replay {applied - replayed:,} bytes again")

        pool.standby.admit = admit


def access(region: RegionCache | None, pool: Pool, tickets: Tickets | None) -> Access:
    """What a reader may read of a server: the primary past all caches, as long as what they have written to it is not
    applied in their region; else the region's cache, and what that is filled from."""
    if tickets is not None and not _seen(region, pool.name, tickets):
        return pool, None
    source = pool.standby or pool
    return source, None if region is None else region.progress.spaces.get(pool.name)


def _seen(region: RegionCache | None, log: str, tickets: Tickets) -> bool:
    """Compared with what was applied to the cache, not with what the standby has replayed: an entry may be older."""
    if log in tickets.written:
        return False
    ticket = tickets.held.get(log)
    return ticket is None or (region is not None and region.progress.applied.get(log, 0) >= ticket)
