"""What CPU is counted in. A figure goes with its unit: instructions and nanoseconds are never added."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from calotype.efficiency.meter import perf

Unit = Literal["instructions", "ns"]
CounterName = Literal["instructions", "task-clock", "thread-cpu"]


@dataclass(frozen=True, slots=True)
class Counter:
    """`read` is of the calling thread: only the difference of two readings in one thread means something."""

    name: CounterName
    unit: Unit
    read: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Availability:
    """`refusal` None: it can be used."""

    name: CounterName
    unit: Unit
    refusal: str | None


_ENGINES: dict[CounterName, tuple[Unit, perf.Event | None]] = {
    "instructions": ("instructions", perf.Event.INSTRUCTIONS),
    "thread-cpu": ("ns", None),
    "task-clock": ("ns", perf.Event.TASK_CLOCK),
}
"""Best first. Instructions are the same for the same work, however busy the machine is. The two clocks read the same
time; the kernel's costs a system call through Python's file layer, so it comes last (docs/meter.md has the figures)."""


def counter(name: CounterName | None = None) -> Counter:
    """The one of this name, or the best that this machine has. Raises `perf.PerfUnavailable` for one that is named."""
    chosen: CounterName = name if name is not None else _best()
    unit, event = _ENGINES[chosen]
    return Counter(chosen, unit, time.thread_time_ns if event is None else perf.reader(event))


def _best() -> CounterName:
    return next(each.name for each in available() if each.refusal is None)


def available() -> list[Availability]:
    """All of them, best first."""
    return [
        Availability(name, unit, event and perf.refusal(event)) for name, (unit, event) in _ENGINES.items()
    ]
