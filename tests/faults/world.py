"""A region under test: memcached servers, consumers that are processes, and workers of this process."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from calotype.config import site as configuration
from calotype.infra.cache import Cache
from calotype.infra.invalidation import Position, RegionCache, decode_position, position_key
from calotype.infra.invalidation.slots import connect, drop_slot, find_slots
from calotype.infra.shards import Shards
from calotype.infra.tao import Graph
from tests.memcached import RunningMemcached, running_memcached
from tests.running_site import SOURCE
from tests.site import Site

PATIENCE_S = 60.0
"""The longest that anything may stay stale, or take to come back, after a fault."""

WORKERS = 2
POOL_SIZE = 8

_numbers = itertools.count(1)
_workers = itertools.count(1)


class _Everything(set[tuple[int, int]]):
    """As a worker remembers the lists that it has found to be long."""

    def __contains__(self, _: object) -> bool:
        return True


class Invalidator:
    """`calotype invalidator LOG` of one region: a process that is ours alone to end."""

    def __init__(self, data: Path, region: str, log: str) -> None:
        self._data, self._region, self._log = data, region, log
        self.start()

    def start(self) -> None:
        with (self._data / f"{self._log}.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "calotype.cli", "invalidator", self._log],
                env={
                    **os.environ,
                    "PYTHONPATH": str(SOURCE),
                    "CALOTYPE_DATA": str(self._data),
                    "CALOTYPE_REGION": self._region,
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def kill(self) -> None:
        """As `kill -9` does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(PATIENCE_S)


@dataclass
class Region:
    """`workers` are graphs as worker processes have them: each with connections and a memory of its own.

    `logs`: log -> DSN of the database that is followed. `cache` is for looking at what is there.
    """

    name: str
    site: Site
    data: Path
    memcached: list[RunningMemcached]
    gutter: list[RunningMemcached]
    spare: list[RunningMemcached]
    shards: Shards
    logs: Mapping[str, str]
    standbys: Mapping[str, str]
    cache: Cache
    workers: list[Graph] = field(default_factory=list)
    consumers: dict[str, Invalidator] = field(default_factory=dict)

    def configure(self, servers: Sequence[str], before: Iterable[tuple[str, ...]] = ()) -> None:
        """Write the file that consumers read when they start."""
        here = configuration.Region(
            memcached=tuple(servers),
            memcached_before=tuple(before),
            standbys=(
                {log: self.standbys.get(log, dsn) for log, dsn in self._all_logs()} if self.standbys else {}
            ),
        )
        first = {"first": configuration.Region()} if self.standbys else {}
        regions = {**first, self.name: here}
        databases = self.site.databases
        configuration.save(
            self.data, configuration.Site("x" * 32, self.site.servers, databases, regions=regions)
        )

    def _all_logs(self) -> list[tuple[str, str]]:
        return [*self.site.servers.items(), (configuration.SESSIONS, self.site.databases["sessions"])]

    async def start_consumers(self) -> None:
        """From when each has published a position."""
        for log in self.logs:
            if log in self.consumers:
                self.consumers[log].start()
            else:
                self.consumers[log] = Invalidator(self.data, self.name, log)
        await self.caught_up()

    async def restart_consumers(self, servers: Sequence[str], before: Iterable[tuple[str, ...]] = ()) -> None:
        """With other memcached servers."""
        self.configure(servers, before)
        await asyncio.to_thread(self.stop_consumers)
        await self.start_consumers()

    def stop_consumers(self) -> None:
        for each in self.consumers.values():
            each.stop()

    async def positions(self, cache: Cache | None = None) -> dict[str, Position]:
        """The newest that was published of each log."""
        newest: dict[str, Position] = {}
        for log in self.logs:
            values = await (cache or self.cache).get_everywhere(position_key(log))
            known = [position for value in values if (position := decode_position(value)) is not None]
            if known:
                newest[log] = max(
                    known, key=lambda position: (int(position.generation, 36), position.applied_lsn)
                )
        return newest

    async def caught_up(self, cache: Cache | None = None) -> float:
        """Wait until the consumers have applied what is committed now; how many seconds that took."""
        began = time.monotonic()
        ends = await ends_of(self.site)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                known = await self.positions(cache)
                if all(log in known and known[log].applied_lsn >= ends[log] for log in self.logs):
                    return time.monotonic() - began
                await asyncio.sleep(0.02)

    async def worker(
        self, stack: AsyncExitStack, servers: Sequence[str] | None = None, shards: Shards | None = None
    ) -> Graph:
        """One more, with the region's memcached servers and databases or with others. Every other one takes all lists for
        long ones, so that single associations are kept as well."""
        chosen = servers if servers is not None else [each.address for each in self.memcached]
        cache = Cache(chosen, [each.address for each in self.gutter])
        graph = Graph(shards or self.shards, await stack.enter_async_context(RegionCache(cache, self.logs)))
        if next(_workers) % 2:
            graph._reader._long = _Everything()
        return graph

    async def close(self) -> None:
        await asyncio.to_thread(self.stop_consumers)
        await self._forget_slots()
        await self.cache.close()

    async def _forget_slots(self) -> None:
        for dsn in self.logs.values():
            async with await connect(dsn) as database, asyncio.timeout(PATIENCE_S):
                for slot in await find_slots(database, self.name):
                    while not await drop_slot(database, slot):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)


async def ends_of(site: Site) -> dict[str, int]:
    """Where the log of each primary ends now."""
    ends: dict[str, int] = {}
    for log, dsn in site.servers.items():
        async with await connect(dsn) as database:
            found = await database.execute("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
            row = await found.fetchone()
            assert row is not None
            ends[log] = int(str(row[0]))
    return ends


@asynccontextmanager
async def running_region(
    site: Site,
    directory: Path,
    *,
    memcached: int = 1,
    gutter: int = 0,
    spare: int = 0,
    workers: int = WORKERS,
    standbys: Mapping[str, str] | None = None,
) -> AsyncIterator[Region]:
    """A new region of a site, its consumers running. `standbys`: that it reads and follows instead of the primaries."""
    name = f"faults{os.getpid()}_{next(_numbers)}"
    data = directory / name
    data.mkdir()
    async with AsyncExitStack() as stack:
        servers = stack.enter_context(running_memcached(directory, memcached + gutter + spare))
        main, others = servers[:memcached], servers[memcached:]
        cache = Cache([each.address for each in main])
        shards = await stack.enter_async_context(
            Shards(site.control_dsn, site.servers, POOL_SIZE, standbys=standbys)
        )
        logs = dict(standbys or site.servers)
        region = Region(
            name, site, data, main, others[:gutter], others[gutter:], shards, logs, standbys or {}, cache
        )
        stack.push_async_callback(region.close)
        region.configure([each.address for each in main])
        await region.start_consumers()
        for _ in range(workers):
            region.workers.append(await region.worker(stack))
        yield region
