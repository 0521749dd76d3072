"""Ticks added up over time, so that a day of several workers fits into little memory and is quick to look at."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from calotype.efficiency.dynostats import Tick, Totals
from calotype.efficiency.sketches import HyperLogLog

OPEN = 32
"""Sums that can be added to at once are kept open. The rest are packed: a twentieth of the memory."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Tick).decode


class Key(NamedTuple):
    """What adds up: ticks of one step, release and unit."""

    step: int
    """It lasts from `step * step_s` (not included) to the next one (included)."""
    release: str
    unit: str


@dataclass(slots=True)
class Sum:
    """Of ticks that add up."""

    like: Tick
    """The first: what they have in common."""
    at: float = 0.0
    seconds: float = 0.0
    process_cpu_ns: int = 0
    attributed: int = 0
    after: int = 0
    dropped: int = 0
    people: HyperLogLog = field(default_factory=HyperLogLog)
    endpoints: dict[str, Totals] = field(default_factory=dict)

    def add(self, tick: Tick) -> None:
        """Raises `ValueError` for people that are none."""
        self.people.merge(HyperLogLog.decoded(tick.people))
        self.at = max(self.at, tick.at)
        self.seconds += tick.seconds
        self.process_cpu_ns += tick.process_cpu_ns
        self.attributed += tick.attributed
        self.after += tick.after
        self.dropped += tick.dropped
        for endpoint, totals in tick.endpoints.items():
            add_totals(self.endpoints.setdefault(endpoint, Totals()), totals)

    def tick(self) -> Tick:
        """All of them as if one worker had written them at once."""
        return msgspec.structs.replace(
            self.like,
            at=self.at,
            seconds=self.seconds,
            process_cpu_ns=self.process_cpu_ns,
            attributed=self.attributed,
            after=self.after,
            dropped=self.dropped,
            people=self.people.encoded(),
            endpoints=self.endpoints,
        )


def add_totals(sum_: Totals, more: Totals) -> None:
    sum_.requests += more.requests
    sum_.errors += more.errors
    sum_.wall_ns.merge(more.wall_ns)
    sum_.cpu.merge(more.cpu)


class Level:
    """Ticks by steps of one length, in whatever order they come, of the last `keep_s` seconds."""

    def __init__(self, step_s: int, keep_s: int, part: Callable[[Tick], Tick]) -> None:
        """`part`: what of a tick is kept."""
        self.step_s = step_s
        self._steps = keep_s // step_s
        self._part = part
        self._open: OrderedDict[Key, Sum] = OrderedDict()
        self._packed: dict[int, dict[Key, bytes]] = {}

    def step(self, at: float) -> int:
        return math.ceil(at / self.step_s) - 1

    def fold(self, tick: Tick) -> int:
        """The step that it was added to. Raises `ValueError` for people that are none."""
        key = Key(self.step(tick.at), tick.identity.release, tick.unit)
        part = self._part(tick)
        sum_ = self._open.pop(key, None) or self._unpacked(key) or Sum(_bare(part))
        self._open[key] = sum_
        sum_.add(part)
        if len(self._open) > OPEN:
            self._pack(*self._open.popitem(last=False))
        return key.step

    def ticks(self, first: int, last: int) -> list[Tick]:
        """Those of these steps, both included."""
        # Those that are open are copied: they may grow while the copy is read.
        packed = [_encode(sum_.tick()) for key, sum_ in self._open.items() if first <= key.step <= last]
        for step in range(first, last + 1):
            packed += self._packed.get(step, {}).values()
        return [_decode(each) for each in packed]

    def forget(self, now: float) -> int:
        """What is too old; the first step that is left."""
        first = self.step(now) - self._steps + 1
        for key in [key for key in self._open if key.step < first]:
            del self._open[key]
        for step in [step for step in self._packed if step < first]:
            del self._packed[step]
        return first

    def _pack(self, key: Key, sum_: Sum) -> None:
        self._packed.setdefault(key.step, {})[key] = _encode(sum_.tick())

    def _unpacked(self, key: Key) -> Sum | None:
        packed = self._packed.get(key.step, {}).pop(key, None)
        if packed is None:
            return None
        tick = _decode(packed)
        sum_ = Sum(_bare(tick))
        sum_.add(tick)
        return sum_


def _bare(tick: Tick) -> Tick:
    return msgspec.structs.replace(tick, people="", endpoints={})
