"""What one request has used."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from calotype.efficiency.meter.counters import CounterName, Unit

TIMELINE_STEPS = 200
"""Of a request's steps, the first so many are kept one by one."""


class Calls(NamedTuple):
    """Of one engine (`postgresql`, `cache`, ...)."""

    times: int
    took_ns: int


class Step(NamedTuple):
    """One turn of a request on its loop. Times in ns since the request began; `cpu` in the meter's unit."""

    queued_ns: int
    began_ns: int
    ended_ns: int
    cpu: int


class Offload(NamedTuple):
    """Something it had done in a thread of an executor. `after`: when it was answered already."""

    cpu: int
    wall_ns: int
    after: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """One request, done. `cpu`, `after_cpu` and `offloaded_cpu` are in `unit`, the other times in ns."""

    counter: CounterName
    unit: Unit
    cpu: int
    """Until it was answered, in threads too."""
    after_cpu: int
    """From then until the application was done with it. What its background tasks use later is in `Meter.after`."""
    offloaded_cpu: int
    """As much of both was used in threads of executors."""
    wall_ns: int
    loop_wait_ns: int
    """Sum over its steps, from being ready to being run: other requests were on the loop."""
    io_wait_ns: int
    """When nothing of it was running, ready to run, or in a thread."""
    steps: int
    calls: Mapping[str, Calls]
    peak_rss_growth_kb: int
    """By how much the process's largest size so far grew meanwhile: of whatever ran at that time."""
    timeline: tuple[Step, ...]
    """Empty unless it was asked for."""


class Probe(Protocol):
    """Watches what runs for a request, in each thread where something does. It raises nothing of its own."""

    def inside(self, step: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Call what belongs to the request."""

    def outside(self, step: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Call, in the middle of the request, what belongs to another."""

    def entered(self) -> AbstractContextManager[None]:
        """As `inside`, for a block."""

    def left(self) -> AbstractContextManager[None]:
        """As `outside`, for a block."""

    def carried(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """What is given to a loop or a thread here: it continues this place when it is called there."""


class Account:
    """Figures of one request while it runs. It belongs to the loop or thread that serves the request; other threads only
    append to `offloads`, which needs no lock."""

    __slots__ = (
        "__weakref__",
        "answered_cpu",
        "began_ns",
        "calls",
        "closed",
        "cpu",
        "idle_ns",
        "idle_since_ns",
        "loop_wait_ns",
        "offloads",
        "peak_rss_kb",
        "pending",
        "probe",
        "step_began_ns",
        "step_ready_ns",
        "steps",
        "summed_cpu",
        "timeline",
    )

    def __init__(self, *, timeline: bool = False) -> None:
        self.began_ns = self.idle_since_ns = time.perf_counter_ns()
        self.cpu = 0
        self.steps = 0
        self.step_ready_ns = self.step_began_ns = 0
        self.loop_wait_ns = 0
        self.idle_ns = 0
        self.pending = 0
        """How many of its steps are ready or running."""
        self.offloads: list[Offload] = []
        self.calls: dict[str, Calls] = {}
        self.peak_rss_kb = peak_rss_kb()
        self.probe: Probe | None = None
        """Set before the request begins, for one that is to be watched."""
        self.timeline: list[Step] | None = [] if timeline else None
        self.answered_cpu: int | None = None
        self.closed = False
        self.summed_cpu = 0
        """As much of `cpu` is in the meter's sums already."""

    def ready(self, now_ns: int) -> None:
        """One more of its steps is ready to run."""
        if not self.pending:
            self.idle_ns += now_ns - self.idle_since_ns
        self.pending += 1

    def ran(self, cpu: int) -> None:
        """The step that began last is over, and has used so much."""
        self.steps += 1
        ready_ns, began_ns = self.step_ready_ns, self.step_began_ns
        self.loop_wait_ns += began_ns - ready_ns
        self.pending -= 1
        if self.pending and self.timeline is None:
            return
        now_ns = time.perf_counter_ns()
        if not self.pending:
            self.idle_since_ns = now_ns
        if self.timeline is not None and len(self.timeline) < TIMELINE_STEPS:
            zero = self.began_ns
            self.timeline.append(Step(ready_ns - zero, began_ns - zero, now_ns - zero, cpu))

    def called(self, engine: str, took_ns: int) -> None:
        times, before_ns = self.calls.get(engine, (0, 0))
        self.calls[engine] = Calls(times + 1, before_ns + took_ns)


def peak_rss_kb() -> int:
    """The largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak  # bytes there, kilobytes elsewhere


CURRENT: ContextVar[Account | None] = ContextVar("calotype_account", default=None)
"""Of the request that this code runs for."""


class Clock:
    """Whom the CPU of a thread is charged to, and since which reading of its counter."""

    __slots__ = ("account", "since")

    def __init__(self) -> None:
        self.account: Account | None = None
        self.since = 0


class calling:
    """`with calling("postgresql"):` what is done inside is a call of that engine, for the request that makes it."""

    __slots__ = ("_account", "_began_ns", "_engine")

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._account = CURRENT.get()
        self._began_ns = 0

    def __enter__(self) -> None:
        if self._account is not None:
            self._began_ns = time.perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        if self._account is not None:
            self._account.called(self._engine, time.perf_counter_ns() - self._began_ns)
