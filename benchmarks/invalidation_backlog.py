"""How fast a consumer is that comes back: `calotype bench invalidation`, its second part.

The clock starts when a session begins, for the consumer with its first position, and the standby has replayed all of the
backlog before: neither start-up nor replay is measured.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median

from benchmarks import invalidation_world as world
from benchmarks import processes
from benchmarks.invalidation_world import BARE, Setting
from benchmarks.report import Row, row
from calotype.config.caches import PUBLICATION
from calotype.infra.invalidation import Lsn, format_lsn, open_stream, position_key

_CHANGE = "update objects set version = version + 1 where shard = 0 and otype = $1"
_ONE = "update objects set version = version + 1 where shard = 0 and id = $1"


@dataclass
class Spent:
    """Seconds, round by round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, wall: float, cpu: float) -> None:
        self.wall.append(wall)
        self.cpu.append(cpu)


async def rows(setting: Setting, connection: world.Sql, amount: int, rounds: int) -> list[Row]:
    """`amount` changed rows, about, that nobody has followed: by the bare stream and by the consumer, in turns."""
    ours, bare = Spent(), Spent()
    changed = 0
    for _ in range(rounds):
        with world.consumer(setting):  # its slot is where the backlog begins
            await world.reached(setting.cache, await world.end_of_log(connection))
        async with world.bare_slot(setting) as slot:
            changed, end = await _change(setting, connection, amount)
            received, wall, cpu = await _drained(setting, slot.name, slot.confirmed, end)
            assert received >= changed, (received, changed)
            bare.add(wall, cpu)
        ours.add(*await _caught_up(setting, end))
    return [
        row(
            "rows/s that a consumer applies",
            changed / median(ours.wall),
            "1/s",
            BARE,
            changed / median(bare.wall),
        ),
        row(
            "a row of a backlog, CPU",
            median(ours.cpu) * 1e6 / changed,
            "us",
            BARE,
            median(bare.cpu) * 1e6 / changed,
        ),
    ]


async def _change(setting: Setting, connection: world.Sql, amount: int) -> tuple[int, Lsn]:
    """How many rows were changed, and the end of that log; the standby has it."""
    each = len(setting.ids) + len(setting.watched)
    times = max(1, round(amount / each))
    for _ in range(times):
        await connection.execute(_CHANGE, world.OTYPE)
    end = await world.end_of_log(connection)
    await connection.execute(_ONE, setting.ids[0])  # a commit behind it, else only the next heartbeat tells
    await world.replayed(setting, format_lsn(await world.end_of_log(connection)))
    return times * each, end


async def _drained(setting: Setting, slot: str, confirmed: Lsn, end: Lsn) -> tuple[int, float, float]:
    """(rows, wall seconds, CPU seconds) of a stream that does nothing, until it is there."""
    began, cpu = time.perf_counter(), time.process_time()
    async with await open_stream(setting.standby, slot, PUBLICATION, confirmed) as stream:
        received, position = 0, confirmed
        while position < end:
            batch = await stream.batch(0.5)
            received, position = received + len(batch.changes), batch.position
            stream.confirm(position)
        return received, time.perf_counter() - began, time.process_time() - cpu


async def _caught_up(setting: Setting, end: Lsn) -> tuple[float, float]:
    """(wall, CPU) seconds of a consumer, from the position that it begins with to `end`."""
    await setting.cache.remove([position_key(world.LOG)])
    with world.consumer(setting, ready=lambda: True) as pid:
        first = await world.reached(setting.cache, Lsn(0), every_s=0.001)
        cpu = processes.cpu_s(pid)
        assert first.applied_lsn < end
        last = await world.reached(setting.cache, end, every_s=0.001)
        return (last.at_ms - first.at_ms) / 1_000, processes.cpu_s(pid) - cpu
