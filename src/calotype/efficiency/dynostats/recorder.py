"""From observations to records and ticks."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, Protocol

import msgspec

from calotype.efficiency.dynostats.observation import Observation
from calotype.efficiency.dynostats.types import (
    ENDPOINTS,
    OTHER,
    Entry,
    Identity,
    Reason,
    Record,
    Tick,
    Totals,
)
from calotype.efficiency.meter import Account, Figures, Meter
from calotype.efficiency.profiler import Probe, Profiler
from calotype.efficiency.sketches import HyperLogLog

TICK_S = 5.0
COUNTED_AT_ONCE = 256
"""Requests, which takes a third of a millisecond."""

type _Done = tuple[str, int, bool, int | None, int | str | None]
"""A request: endpoint, time from its beginning to its end (ns), whether it failed, CPU if that is metered, person."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which requests a record is made. Ticks count all of them, whatever is sampled."""

    one_in: int = 1
    """One in so many; the choice is random, so that no pattern of requests can dodge it."""
    slow_ms: float = 1_000
    """Whoever waited longer for the beginning of an answer is always recorded, and so are answers of 500 and above, and none
    at all. How long an answer goes on (a stream) is not slowness."""
    meter: Literal["all", "sampled"] = "all"
    """Whose CPU is measured. `sampled`: the others cost nothing, and errors and slow ones among them have no CPU figures."""

    def __post_init__(self) -> None:
        if self.one_in < 1 or self.slow_ms < 0:
            raise ValueError("one_in is at least 1 and slow_ms at least 0")


class Sink(Protocol):
    """Where records and ticks go. What it cannot take is dropped and counted: nobody waits for it."""

    @property
    def dropped(self) -> int:
        """So far."""
        ...

    def put(self, entry: Entry) -> None:
        """Never waits and never raises."""
        ...

    def close(self) -> None:
        """Put away what it has taken."""
        ...


class Recorder:
    """One a process. Safe for the threads of a synchronous server; a child of `fork` begins anew."""

    def __init__(
        self,
        identity: Callable[[], Identity],
        sink: Sink,
        meter: Meter,
        sampling: Sampling,
        people_key: bytes = b"",
        profiler: Profiler | None = None,
    ) -> None:
        """`identity` is asked in the process that serves. `people_key`: who does not have it cannot tell who was counted."""
        self.meter, self.sampling = meter, sampling
        self._identity, self._sink, self._people_key = identity, sink, people_key[:64]
        self._profiler = profiler
        self._share = 1 / sampling.one_in
        self._slow_ns = int(sampling.slow_ms * 1e6)
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, Totals] = {}
        self._people = HyperLogLog(self._people_key)
        self._seen: set[int | str] = set()
        self._ticked = time.monotonic()
        self._process_cpu_ns = time.process_time_ns()
        self._attributed, self._after = self.meter.attributed, self.meter.after
        self._dropped = self._sink.dropped
        self._known: set[str] = set()
        self._done: deque[_Done] = deque()
        self._ticker: threading.Thread | None = None
        self._closing = threading.Event()
        self._profiled: deque[tuple[str, Probe]] = deque()

    # Requests

    def begin(self, method: str) -> Observation:
        """A request has arrived."""
        sampled = self._share >= 1 or random.random() < self._share  # noqa: S311  not a secret
        metered = sampled or self.sampling.meter == "all"
        if not metered:
            self.meter.rest()
        if self._ticker is None:
            self._start()
        observed = Observation(method, sampled, Account(timeline=sampled) if metered else None)
        if self._profiler is not None and observed.account is not None:
            observed.account.probe = observed.probe = self._profiler.probe()
        return observed

    def end(self, observed: Observation) -> None:
        """It has been answered, or never will be."""
        account = observed.account
        figures = self.meter.close(account) if account is not None else None
        wall_ns = figures.wall_ns if figures is not None else time.perf_counter_ns() - observed.began_ns
        failed = observed.status >= 500 or not observed.status
        probe = observed.probe
        endpoint = self._one_of_few(observed.endpoint)
        cpu = figures.cpu + figures.after_cpu if figures is not None and probe is None else None
        self._done.append((endpoint, wall_ns, failed, cpu, observed.person))
        if len(self._done) >= COUNTED_AT_ONCE:
            self._count()
        if probe is not None:
            probe.close()
            self._profiled.append((endpoint, probe))
        slow = (observed.answer_ns or wall_ns) >= self._slow_ns
        if observed.sampled or failed or slow:
            reason: Reason = "error" if failed else "slow" if slow else "sampled"
            self._sink.put(self._record(observed, figures, endpoint, wall_ns, reason))

    def _one_of_few(self, endpoint: str) -> str:
        """What it is counted as."""
        if endpoint in self._known:
            return endpoint
        with self._lock:
            if endpoint not in self._known and len(self._known) >= ENDPOINTS:
                return OTHER
            self._known.add(endpoint)
        return endpoint

    def _count(self) -> None:
        """Add up what is done. Not with each request, amid whose work the code for it would have left the processor's caches."""
        with self._lock:
            while self._done:
                endpoint, wall_ns, failed, cpu, person = self._done.popleft()
                totals = self._totals.get(endpoint)
                if totals is None:
                    totals = self._totals[endpoint] = Totals()
                totals.requests += 1
                totals.errors += failed
                totals.wall_ns.add(wall_ns)
                if cpu is not None:
                    totals.cpu.add(cpu)
                if person is not None and person not in self._seen:
                    self._seen.add(person)
                    self._people.add(person)

    def _record(
        self, observed: Observation, figures: Figures | None, endpoint: str, wall_ns: int, reason: Reason
    ) -> Record:
        return Record(
            at=observed.at,
            identity=self._who,
            endpoint=endpoint,
            method=observed.method,
            status=observed.status,
            reason=reason,
            weight=float(self.sampling.one_in) if observed.sampled else 0.0,
            wall_ns=wall_ns,
            answer_ns=observed.answer_ns,
            profiled=observed.probe is not None,
            bytes_in=observed.bytes_in,
            bytes_out=observed.bytes_out,
            gates=tuple(observed.gates),
            error=observed.error,
            figures=figures if reason == "slow" or figures is None else replace(figures, timeline=()),
        )

    # Ticks

    def _start(self) -> None:
        with self._lock:
            if self._ticker is None:
                self._who = self._identity()
                self._ticker = threading.Thread(target=self._tick_for_ever, name="dynostats", daemon=True)
                self._ticker.start()

    def _tick_for_ever(self) -> None:
        while not self._closing.wait(TICK_S):
            self.tick()

    def tick(self) -> None:
        """Put down what was done since the last time."""
        while self._profiler is not None and self._profiled:
            self._profiler.store(*self._profiled.popleft())
        self._count()
        now, process_cpu_ns = time.monotonic(), time.process_time_ns()
        meter, dropped = self.meter, self._sink.dropped
        with self._lock:
            totals, self._totals = self._totals, {}
            people, self._people = self._people, HyperLogLog(self._people_key)
            self._seen = set()
        tick = Tick(
            at=time.time(),
            seconds=now - self._ticked,
            identity=self._who,
            counter=meter.counter.name,
            unit=meter.counter.unit,
            process_cpu_ns=process_cpu_ns - self._process_cpu_ns,
            attributed=meter.attributed - self._attributed,
            after=meter.after - self._after,
            people=people.encoded(),
            endpoints=totals,
            dropped=dropped - self._dropped,
        )
        self._ticked, self._process_cpu_ns, self._dropped = now, process_cpu_ns, dropped
        self._attributed += tick.attributed
        self._after += tick.after
        self._sink.put(tick)

    def close(self) -> None:
        """The last tick, and all that was put down is put away. Again does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._ticker is not None:
            self.tick()
        self._sink.close()
