"""How fast everybody together goes: a clock that gives each request its place."""

from __future__ import annotations

import threading
import time


class Pace:
    """At most `rate` requests a second on average, 0 for as many as are answered. What was not used is not saved up.

    Only what begins something new waits. The requests that follow from it take their place in the count at once, so
    that a write is looked for immediately and not when it is somebody's turn.
    """

    def __init__(self, rate: float) -> None:
        self._gap_s = 1 / rate if rate else 0.0
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, over: threading.Event) -> bool:
        """Wait for one's turn; False if it is over before that."""
        return not over.wait(max(0.0, self.take() - time.monotonic()))

    def take(self) -> float:
        """Take the next place without waiting for it; when it would have been, by the monotonic clock."""
        with self._lock:
            place = max(self._next, time.monotonic())
            self._next = place + self._gap_s
            return place
