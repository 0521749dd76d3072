"""A request that is profiled: what its account carries (`Account.probe`)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from calotype.efficiency.meter import PerfUnavailable
from calotype.efficiency.profiler.clocks import Clock
from calotype.efficiency.profiler.recording import Mine, Running, callbacks, charge, sync
from calotype.efficiency.profiler.tracing import TRACING
from calotype.efficiency.profiler.tree import Node, Tree

_NOTHING: Mapping[str, Any] = {}


class ToolTaken(Exception):
    """Another profiler uses `sys.monitoring`; its name."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A callback with the place that it continues."""

    probe: Probe
    place: Node
    call: Callable[..., Any]

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self.probe.at(self.place, self.call, args, named)


class Probe:
    """From when it is made until `close`, records what is called inside it, in each thread.

    One a process at a time. What cannot be recorded runs all the same.
    """

    def __init__(self, clock: Clock) -> None:
        """Raises `ToolTaken`."""
        self.clock = clock
        self.process = os.getpid()
        self.began_s = time.monotonic()
        self.closed = False
        self._tree = Tree()
        self._mine = Mine()
        self._callbacks = callbacks(clock, self._mine, self._tree)
        if (other := TRACING.take(self._callbacks)) is not None:
            raise ToolTaken(other)
        self._ends_clock = clock.begin()

    def close(self) -> Tree:
        """Record no more, also where the request goes on. The tree of what was."""
        if not self.closed:
            self._pause()  # in the middle of it
            self.closed = True
            TRACING.give_back(self._callbacks)
            if self._ends_clock:
                self.clock.end()
        return self._tree

    # For the meter: see `meter.Probe`

    def inside(self, step: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if type(step) is Carried:
            return self.at(step.place, step.call, args)
        return self.at(None, step, args)

    def at(
        self,
        place: Node | None,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        named: Mapping[str, Any] = _NOTHING,
    ) -> Any:
        """As `inside`, in a place of the tree."""
        outer = self._pause()
        self._run(self._at(place))
        try:
            return call(*args, **named)
        finally:
            self._pause()
            self._run(outer)

    def outside(self, step: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        outer = self._pause()
        try:
            return step(*args)
        finally:
            self._run(outer)

    @contextmanager
    def entered(self) -> Iterator[None]:
        outer = self._pause()
        self._run(self._at(None))
        try:
            yield
        finally:
            self._pause()
            self._run(outer)

    @contextmanager
    def left(self) -> Iterator[None]:
        outer = self._pause()
        try:
            yield
        finally:
            self._run(outer)

    def carried(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        running = self._pause()
        if running is None:
            return callback
        carried = Carried(self, running.top, callback)
        self._run(running)
        return carried

    # Of this thread. Frames of ours are recorded like others when we work inside of what is: the call of `_pause`, which
    # then does not see itself end, is made up for by the end of `_run`, called from the same place.

    def _pause(self) -> Running | None:
        """What to `_run` afterwards; None: the thread did not run the request."""
        running = self._mine.running
        if running is not None:
            self._mine.running = None
            if not self.closed:
                charge(running, running.top, self.clock)
                TRACING.off(self._callbacks)
        return running

    def _run(self, running: Running | None) -> None:
        if running is None or self.closed:
            return
        TRACING.on(self._callbacks)
        try:
            sync(running, self.clock)
        except PerfUnavailable:  # this thread cannot have the clock
            TRACING.off(self._callbacks)
        else:
            self._mine.running = running

    def _at(self, place: Node | None) -> Running:
        return Running(self._tree.base(place or self._tree.top))
