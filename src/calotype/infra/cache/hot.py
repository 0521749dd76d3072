"""What this process was asked for again and again within the last second, kept as it was read.

A hot key costs one memcached server more than all others together. So whoever reads one often reads it from memcached
once a second. Nobody who holds a ticket is answered from here: they may have written what this process read before.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

WINDOW_S = 1.0
"""Nothing is kept longer."""

OFTEN = 4
"""Reads of a key within a window from which on it is kept."""

LIMIT = 20_000
"""Keys that are counted in one window: the first ones, among which the hot ones are."""


class HotKeys:
    """Counts start anew, and all is forgotten, with every window."""

    def __init__(self) -> None:
        self.hits = 0
        self._since = 0.0
        self._counts: dict[bytes, int] = {}
        self._kept: dict[bytes, object] = {}

    def window(self) -> dict[bytes, object]:
        """What is kept now, by key."""
        now = time.monotonic()
        if now - self._since >= WINDOW_S:
            self._since = now
            self._counts.clear()
            self._kept = {}  # not cleared: a read that is under way must not add to the new window
        return self._kept

    def saw(self, window: dict[bytes, object], key: bytes, value: object) -> None:
        """Count a read that began in this window, and keep its value if the key is hot."""
        counts = self._counts
        seen = counts.get(key, 0) + 1
        if seen >= OFTEN:
            window[key] = value
        elif seen == 1 and len(counts) >= LIMIT:
            return
        counts[key] = seen

    def drop(self, keys: Iterable[bytes]) -> None:
        """Forget what has just been written."""
        for key in keys:
            self._kept.pop(key, None)
