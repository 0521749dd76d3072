"""What a profile counts. Units are never added to each other."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from calotype.efficiency.meter import Counter, counter

ClockName = Literal["cpu", "wall", "memory"]
Unit = Literal["instructions", "ns", "bytes"]

LAPSE_NS = 20_000
"""Of two readings so far apart the thread's CPU is asked for: it costs 0.6 us, 3% of that at most. Nothing that takes the
processor from a thread gives it back sooner, save another process that sleeps again at once."""

NEVER = sys.maxsize


@dataclass(frozen=True, slots=True)
class Clock:
    """`read` is called at every event; the difference of two readings in one thread is charged."""

    name: ClockName
    unit: Unit
    read: Callable[[], int]
    used: Callable[[], int] | None = None
    """What is meant, if `read` is only a cheap stand-in for it: asked when two readings are more than `lapse` apart."""
    lapse: int = NEVER
    waits: bool = False
    """It goes on while a coroutine is suspended: that is charged to the coroutine."""
    begin: Callable[[], bool] = lambda: False
    """Whether there is something to end."""
    end: Callable[[], None] = lambda: None


def clock_named(name: ClockName) -> Clock:
    """The best of this name that the machine has."""
    if name == "wall":
        return Clock("wall", "ns", time.perf_counter_ns, waits=True)
    return memory() if name == "memory" else cpu(counter())


def cpu(by: Counter) -> Clock:
    """Instructions are counted as they are. A thread's CPU time costs a system call (0.6 us here, twice a function),
    and the time of day none (0.07 us): in between two events that follow within `LAPSE_NS` both are the same, and where they do
    not, the thread's own time decides how much of the lapse was CPU."""
    if by.name != "thread-cpu":
        return Clock("cpu", by.unit, by.read)
    return Clock("cpu", by.unit, time.perf_counter_ns, time.thread_time_ns, LAPSE_NS)


class _Growth:
    """Of what Python has allocated in this process, each time it was more than when last looked at. What is freed is not
    taken off, so that it never goes back."""

    def __init__(self) -> None:
        self._grown = self._last = 0

    def read(self) -> int:
        now = tracemalloc.get_traced_memory()[0]
        if now > self._last:
            self._grown += now - self._last
        self._last = now
        return self._grown


def memory() -> Clock:
    return Clock("memory", "bytes", _Growth().read, begin=_trace, end=tracemalloc.stop)


def _trace() -> bool:
    """Somebody else's tracing is left alone."""
    if tracemalloc.is_tracing():
        return False
    tracemalloc.start(1)
    return True
