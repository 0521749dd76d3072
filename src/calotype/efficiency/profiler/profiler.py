"""Which requests are profiled, and where their profiles go."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from pathlib import Path
from random import Random

from calotype.efficiency.profiler.calibration import Calibration
from calotype.efficiency.profiler.clocks import ClockName, clock_named
from calotype.efficiency.profiler.probe import Probe, ToolTaken
from calotype.efficiency.profiler.profile import of_tree
from calotype.efficiency.profiler.store import NAME, Writer

PROBE_S = 60.0
"""A request that takes longer, or is never stored, makes room for another."""

logger = logging.getLogger(__name__)


class Profiler:
    """One a process, one request at a time. Never in a request's way: what fails is logged, and it goes on unprofiled."""

    def __init__(
        self, directory: Path, release: str, clock: ClockName = "cpu", *, one_in: int = 1_000
    ) -> None:
        """`one_in`: of so many requests one, by chance."""
        self._release, self._clock, self._one_in = release[:NAME], clock_named(clock), one_in
        self._writer = Writer(directory)
        self._chance = Random()  # noqa: S311  # which request: no secret
        self._active: Probe | None = None
        self._calibration: Calibration | None = None
        self._told = False
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def probe(self) -> Probe | None:
        """For the account of a request that begins now. None: not this one, which costs next to nothing.

        The first one of a process measures what recording costs: some 50 ms of CPU.
        """
        if self._chance.random() * self._one_in >= 1 or not self._lock.acquire(blocking=False):
            return None
        try:
            return self._begin()
        except ToolTaken as taken:
            self._tell(str(taken))
            return None
        finally:
            self._lock.release()

    def store(self, endpoint: str, probe: Probe) -> bool:
        """End it and add it to what this process has stored of that endpoint. Whether that is written.

        Takes some 10 ms of CPU, half of it to measure again what recording costs. So not before the answer is sent; it
        may be called in another thread.
        """
        tree = probe.close()
        if (calibration := self._calibration) is None or probe.process != os.getpid():  # its parent's
            return False
        with self._storing, contextlib.suppress(ToolTaken):  # by the next one
            calibration.again()
        one = of_tree(
            tree,
            endpoint=endpoint[:NAME],
            release=self._release,
            clock=self._clock.name,
            unit=self._clock.unit,
            costs=calibration.costs(),
        )
        try:
            with self._storing:
                self._writer.add(one)
        except OSError as error:
            logger.warning("a profile of %s was not stored: %s", endpoint, error)
            return False
        return True

    def discard(self, probe: Probe) -> None:
        """End it, for a request that shall not count."""
        probe.close()

    def _begin(self) -> Probe | None:
        active = self._active
        if active is not None and not active.closed:
            if time.monotonic() - active.began_s < PROBE_S:
                return None
            active.close()
        if self._calibration is None:
            self._calibration = Calibration(self._clock)
        self._active = Probe(self._clock)
        return self._active

    def _tell(self, other: str) -> None:
        if not self._told:
            logger.warning(
                "nothing is profiled: %s uses sys.monitoring as the profiler of this process, and there can be one",
                other,
            )
            self._told = True

    def _forget(self) -> None:
        """In a child: locks may be held by threads that are not here, and the request goes on in the parent."""
        self._lock, self._storing = threading.Lock(), threading.Lock()
        if self._active is not None:
            self._active.close()
            self._active = None
