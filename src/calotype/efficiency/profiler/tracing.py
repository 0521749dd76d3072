"""The process's use of `sys.monitoring`: one tool, its events on only while some thread runs the profiled request."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

TOOL = sys.monitoring.PROFILER_ID
"""By convention one profiler at a time. Debuggers, coverage and `sys.setprofile` have others."""

type Callbacks = Mapping[int, Callable[..., Any]]
"""By event."""


class Tracing:
    """From `take` to `give_back` the tool is ours; in between `on` and `off` nest, in any threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: Callbacks | None = None
        self._inside = 0

    def take(self, callbacks: Callbacks) -> str | None:
        """None, or whose it is."""
        with self._lock:
            if (other := sys.monitoring.get_tool(TOOL)) is not None:
                return other
            sys.monitoring.use_tool_id(TOOL, "calotype")
            self._callbacks, self._inside = callbacks, 0
            for event, callback in callbacks.items():
                sys.monitoring.register_callback(TOOL, event, callback)
            return None

    def give_back(self, callbacks: Callbacks) -> None:
        """Off in all threads, at once. Does nothing unless these callbacks have it."""
        with self._lock:
            if self._callbacks is callbacks:
                self._release()

    def on(self, callbacks: Callbacks) -> None:
        with self._lock:
            if self._callbacks is callbacks:
                self._inside += 1
                if self._inside == 1:
                    sys.monitoring.set_events(TOOL, sum(callbacks))

    def off(self, callbacks: Callbacks) -> None:
        with self._lock:
            if self._callbacks is callbacks:
                self._inside -= 1
                if not self._inside:
                    sys.monitoring.set_events(TOOL, 0)

    def forked(self) -> None:
        """In a child: what was profiled goes on in the parent. Its lock may be held by a thread that is not here."""
        self._lock = threading.Lock()
        if self._callbacks is not None:
            self._release()

    def _release(self) -> None:
        assert self._callbacks is not None
        sys.monitoring.set_events(TOOL, 0)
        for event in self._callbacks:
            sys.monitoring.register_callback(TOOL, event, None)
        sys.monitoring.free_tool_id(TOOL)
        self._callbacks, self._inside = None, 0


TRACING = Tracing()
os.register_at_fork(after_in_child=TRACING.forked)
