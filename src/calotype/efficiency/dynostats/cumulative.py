"""From ticks to sums that only grow, as metrics systems want them: a tick that was lost on its way is in the next sum.

The bounds of their buckets are bounds of the sketch's own buckets, every twelfth (a ratio of 1.62), so nothing is
estimated: whatever was counted below a bound is below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from calotype.efficiency.dynostats.types import Identity, Tick
from calotype.efficiency.meter import Unit
from calotype.efficiency.sketches import Histogram, HyperLogLog
from calotype.efficiency.sketches.histogram import bucket_of, upper_bound
from calotype.efficiency.sketches.hyperloglog import union

_FIRST, _STEP, _BOUNDS = 288, 12, 26
BOUNDS = tuple(upper_bound(_FIRST + _STEP * place) for place in range(_BOUNDS))
"""From 0.1 ms to 16 s in ns, or from 10^5 to 1.6 * 10^10 instructions."""
assert 1e5 < BOUNDS[0] < 1.02e5 and 16e9 < BOUNDS[-1] < 17e9

ACTIVE_S = 60.0
"""Who was active in the last minute is active."""


def place_of(value: float) -> int:
    """The first bound that is not below it, by its place in `BOUNDS`; `len(BOUNDS)`: all are."""
    return _place(bucket_of(value))


def _place(bucket: int) -> int:
    return min(max(0, math.ceil((bucket - _FIRST) / _STEP)), _BOUNDS)


class Buckets(msgspec.Struct):
    """Values between the bounds: `counts[i]` of them in (BOUNDS[i-1], BOUNDS[i]], and the last beyond all."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (_BOUNDS + 1))
    total: float = 0

    def add(self, histogram: Histogram) -> None:
        for bucket, count in histogram.buckets.items():
            self.counts[_place(bucket)] += count
        self.total += histogram.total

    @property
    def count(self) -> int:
        return sum(self.counts)


class EndpointSums(msgspec.Struct):
    requests: int = 0
    errors: int = 0
    wall_ns: Buckets = msgspec.field(default_factory=Buckets)
    cpu: Buckets = msgspec.field(default_factory=Buckets)
    """Of the metered ones, in the unit of the whole."""


class Cumulative(msgspec.Struct, kw_only=True):
    """What one worker has done since it began. Its unit never changes."""

    since: float
    at: float
    """Unix times, in seconds."""
    identity: Identity
    unit: Unit
    process_cpu_ns: int = 0
    attributed: int = 0
    after: int = 0
    dropped: int = 0
    endpoints: dict[str, EndpointSums] = {}
    people: list[tuple[float, str]] = []
    """Who was active in the last minute: when a tick ended, and whom it has counted, as `HyperLogLog.encoded`."""

    @classmethod
    def begun(cls, tick: Tick) -> Cumulative:
        """Before its first tick."""
        since = tick.at - tick.seconds
        return cls(since=since, at=since, identity=tick.identity, unit=tick.unit)

    def add(self, tick: Tick) -> None:
        self.at = tick.at
        self.process_cpu_ns += tick.process_cpu_ns
        self.attributed += tick.attributed
        self.after += tick.after
        self.dropped += tick.dropped
        for endpoint, totals in tick.endpoints.items():
            sums = self.endpoints.setdefault(endpoint, EndpointSums())
            sums.requests += totals.requests
            sums.errors += totals.errors
            sums.wall_ns.add(totals.wall_ns)
            sums.cpu.add(totals.cpu)
        self.people = [each for each in self.people if each[0] > tick.at - ACTIVE_S]
        self.people.append((tick.at, tick.people))


def active(workers: Iterable[Cumulative], now: float) -> int:
    """How many different people were active in the last minute, each once, whichever workers have served them."""
    sketches = (people for worker in workers for at, people in worker.people if at > now - ACTIVE_S)
    return len(union(HyperLogLog.decoded(each) for each in sketches))
