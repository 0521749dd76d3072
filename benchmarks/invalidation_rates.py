"""Commits at a given rate, and how long each of them takes to the other region: `calotype bench invalidation`."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import quantiles

import asyncpg

from benchmarks import invalidation_world as world
from benchmarks.invalidation_world import Setting
from calotype.config.caches import PUBLICATION
from calotype.infra.cache import Cache, Key
from calotype.infra.invalidation import Change, LogStream, Lsn, open_stream
from calotype.infra.tao.keys import object_keys

CONNECTIONS = 8
SAMPLE = 500
"""Entries a second that are watched."""
LOOK_EVERY_S = 0.001
TICKET_EVERY_S = 0.002
"""How often the primary is asked where its log ends, for the commits that were answered meanwhile."""

_UPDATE = "update objects set version = version + 1 where shard = $1 and id = $2 returning version"

type Choose = Callable[[int], Awaitable[int]]
"""Which object a turn updates."""
type Committed = Callable[[int, int], None]
"""Told id and version when the commit's answer is there."""


@dataclass
class Pass:
    """What one pass at one rate found, in the order of what was seen."""

    commits: int = 0
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    """Deletes: of the entries that were watched. Bare stream: of every commit."""
    covered_ms: list[float] = field(default_factory=list)
    """Of every commit: until the published position was behind it."""

    @property
    def reached(self) -> float:
        return self.commits / self.seconds


def percentile(found: list[float], thousandths: int) -> float:
    return quantiles(found, n=1_000, method="inclusive")[thousandths - 1]


@dataclass
class Watch:
    """What is still waited for in the region. `entries`: key -> when the commit was answered. `tickets`: end of the log
    -> when the commits before it were answered."""

    cache: Cache
    made: Pass
    entries: dict[Key, float] = field(default_factory=dict)
    answered: list[float] = field(default_factory=list)
    tickets: deque[tuple[Lsn, list[float]]] = field(default_factory=deque)

    async def look(self) -> None:
        """Again and again, until cancelled."""
        while True:
            await self._look_at_position()
            await self._look_at_entries()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look_at_position(self) -> None:
        found = await world.position(self.cache) if self.tickets else None
        now = time.perf_counter()
        while found is not None and self.tickets and self.tickets[0][0] <= found.applied_lsn:
            self.made.covered_ms += [(now - at) * 1_000 for at in self.tickets.popleft()[1]]

    async def _look_at_entries(self) -> None:
        if not self.entries:
            return
        asked = list(self.entries)
        there = await self.cache.look_many(asked)
        now = time.perf_counter()
        for key in asked:
            if key not in there:
                self.made.latencies_ms.append((now - self.entries.pop(key)) * 1_000)

    async def issue_tickets(self, connection: world.Sql) -> None:
        """Again and again, until cancelled: give the commits that were answered the end of the log after them."""
        while True:
            answered, self.answered = self.answered, []
            if answered:
                self.tickets.append((await world.end_of_log(connection), answered))
            await asyncio.sleep(TICKET_EVERY_S)

    async def drained(self) -> None:
        async with asyncio.timeout(60):
            while self.entries or len(self.made.covered_ms) < self.made.commits:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def deletes_pass(setting: Setting, rate: int, seconds: float) -> Pass:
    """The consumer follows. Entries of the version before lie in memcached for a sample of the commits."""
    made = Pass()
    watch = Watch(setting.cache, made)
    key_of = object_keys(await world.space(setting.cache))
    chance, unused, put = random.Random(rate), deque(setting.watched), set[int]()
    every = max(1, round(rate / SAMPLE))

    async def choose(turn: int) -> int:
        if turn % every or not unused:
            return chance.choice(setting.ids)
        id_ = unused.popleft()
        assert await setting.cache.set(key_of(id_), b"an entry of the version before")
        put.add(id_)
        return id_

    def committed(id_: int, version: int) -> None:
        now = time.perf_counter()
        watch.answered.append(now)
        if id_ in put:
            watch.entries[key_of(id_)] = now

    connection = await asyncpg.connect(setting.primary)
    tasks = [asyncio.create_task(watch.look()), asyncio.create_task(watch.issue_tickets(connection))]
    try:
        await drive(setting, made, rate, seconds, choose, committed)
        await watch.drained()
    finally:
        await _cancel(tasks)
        await connection.close()
    return made


async def stream_pass(setting: Setting, rate: int, seconds: float) -> Pass:
    """The same commits, received by a stream that does nothing with them."""
    made = Pass()
    chance = random.Random(rate)
    sent: dict[tuple[int, int], float] = {}
    received: dict[tuple[int, int], float] = {}

    async def choose(turn: int) -> int:
        return chance.choice(setting.ids)

    def committed(id_: int, version: int) -> None:
        sent[id_, version] = time.perf_counter()

    async with _bare_stream(setting) as stream:
        receiving = asyncio.create_task(_receive(stream, received))
        try:
            await drive(setting, made, rate, seconds, choose, committed)
            async with asyncio.timeout(60):
                while not sent.keys() <= received.keys():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        finally:
            await _cancel([receiving])
    # What is in the log before the commit is answered took no time.
    made.latencies_ms = [max(0.0, received[commit] - at) * 1_000 for commit, at in sent.items()]
    return made


async def _receive(stream: LogStream, received: dict[tuple[int, int], float]) -> None:
    while True:
        batch = await stream.batch(0.1)
        now = time.perf_counter()
        for change in batch.changes:
            if isinstance(change, Change) and change.relation == "calotype.objects":
                received[int(str(change.row["id"])), int(str(change.row["version"]))] = now
        stream.confirm(batch.position)


@asynccontextmanager
async def _bare_stream(setting: Setting) -> AsyncIterator[LogStream]:
    async with (
        world.bare_slot(setting) as slot,
        await open_stream(setting.standby, slot.name, PUBLICATION, slot.confirmed) as stream,
    ):
        yield stream


async def drive(
    setting: Setting, made: Pass, rate: int, seconds: float, choose: Choose, committed: Committed
) -> None:
    """Update rows at this rate, or as fast as can be."""
    began = time.perf_counter()
    turns = iter(range(1 << 62))

    async def work() -> None:
        connection = await asyncpg.connect(setting.primary)
        try:
            while time.perf_counter() - began < seconds:
                turn = next(turns)
                if (wait_s := began + turn / rate - time.perf_counter()) > 0:
                    await asyncio.sleep(wait_s)
                id_ = await choose(turn)
                committed(id_, await connection.fetchval(_UPDATE, 0, id_))
                made.commits += 1
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())
    made.seconds = time.perf_counter() - began


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()
