"""The logical shards as one process sees them: placement, and a pool for each physical server."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping

import asyncpg

from calotype.infra.partitions import HOME_PARTITION
from calotype.infra.shards.placement import AbsentShard, Placement, PlacementInvalid, PlacementListener, read
from calotype.infra.shards.pool import BROKEN, Pool
from calotype.std.errors import Unavailable

_NOWHERE: Mapping[int, Pool] = {}


class ControlUnavailable(Unavailable):
    """The control database, which holds the placement, does not answer."""

    code = "control_unavailable"


def schema_name(shard: int) -> str:
    """The PostgreSQL schema of a logical shard: `s0007`."""
    return f"s{shard:04d}"


def pool_with_standby(name: str, dsn: str, standby_dsn: str | None, size: int = 16) -> Pool:
    """The pool of a server and, if there is one, of its standby."""
    standby = Pool(f"{name} (standby)", standby_dsn, size) if standby_dsn else None
    return Pool(name, dsn, size, standby)


class Shards:
    """`async with Shards(...)` reads the placement, then follows its changes until the block ends.

    `servers` maps the name of a physical server to the DSN of its database. A pool opens connections when it needs
    them, so a server that is down keeps nobody from starting. `standbys` does the same for those in this process's
    region, if it is not that of the primaries.
    """

    def __init__(
        self,
        control_dsn: str,
        servers: Mapping[str, str],
        pool_size: int = 16,
        standbys: Mapping[str, str] | None = None,
    ) -> None:
        self._control_dsn = control_dsn
        self.pools = {
            name: pool_with_standby(name, dsn, (standbys or {}).get(name), pool_size)
            for name, dsn in servers.items()
        }
        self.placement = Placement({})
        self._routes: dict[str, dict[int, Pool]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Shards:
        try:
            control: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self._control_dsn, timeout=10)
        except (*BROKEN, TimeoutError) as error:
            raise ControlUnavailable(f"the control database cannot be reached: {error}") from error
        try:
            self.use(await read(control))
        finally:
            await control.close()
        self._listening = asyncio.create_task(PlacementListener(self._control_dsn, self.use).run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        for pool in self.pools.values():
            await pool.close()

    def use(self, placement: Placement) -> None:
        """Make `placement` the one in force. Raises `PlacementInvalid` when it names a server without a DSN."""
        unknown = {
            server for shards in placement.servers.values() for server in shards.values()
        } - self.pools.keys()
        if unknown:
            raise PlacementInvalid(
                f"the placement names {', '.join(sorted(unknown))}, which [servers] in the configuration does not"
            )
        self.placement = placement
        self._routes = {
            partition: {shard: self.pools[server] for shard, server in shards.items()}
            for partition, shards in placement.servers.items()
        }

    def pool(self, partition: str, shard: int) -> Pool:
        """The pool of the server that holds this shard; raises `AbsentShard`."""
        try:
            return self._routes[partition][shard]
        except KeyError:
            raise AbsentShard(f"there is no logical shard {shard}", shard=shard) from None

    def routes(self, partition: str) -> Mapping[int, Pool]:
        """Logical shard -> pool, as it is now: for loops over many ids."""
        return self._routes.get(partition, _NOWHERE)

    def find(self, partition: str, shard: int) -> Pool | None:
        """The same for reads of ids from outside: None when the shard is absent, since nothing can be there."""
        routes = self._routes.get(partition)
        return None if routes is None else routes.get(shard)

    def any_shard(self) -> int:
        """A logical shard for somebody new, uniformly at random."""
        return secrets.choice(self.placement.shards(HOME_PARTITION))

    async def next_ids(self, shard: int, amount: int = 1) -> list[int]:
        """Ascending new ids of a logical shard, up to 100,000 at once, from the shard's one stream."""
        rows = await self.pool(HOME_PARTITION, shard).write("select calotype.next_ids($1, $2)", shard, amount)
        return [row[0] for row in rows]
