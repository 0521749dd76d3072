"""What this process was asked for again and again within the last second, kept as it was read.

A hot key costs one memcached server more than all others together, and its readers a trip each. So whoever reads one
often reads it from memcached once a second. Nobody who may have written it is answered from here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

WINDOW_S = 1.0
"""Nothing is kept longer."""

OFTEN = 3
"""Reads of a key within a window from which on it is kept; the first one, if it was kept in the window before."""

LIMIT = 20_000
"""Keys that are counted in one window: the first ones, among which the hot ones are."""


class HotKeys[K, V]:
    """One a kind of things. All that is kept is forgotten with every window, and counted anew."""

    def __init__(self) -> None:
        self._since = 0.0
        self._counts: dict[K, int] = {}
        self._kept: dict[K, V] = {}
        self._kept_before: dict[K, V] = {}

    def window(self) -> dict[K, V]:
        """What is kept now."""
        now = time.monotonic()
        if now - self._since >= WINDOW_S:
            recent = now - self._since < 2 * WINDOW_S
            self._since = now
            self._counts.clear()
            # New, not cleared: a read that is under way must not add to this window what it read before it.
            self._kept_before, self._kept = self._kept if recent else {}, {}
        return self._kept

    def saw(self, window: dict[K, V], found: Mapping[K, V]) -> None:
        """Count reads that began in this window, and keep what is hot."""
        counts, before = self._counts, self._kept_before
        full = len(counts) >= LIMIT
        for key, value in found.items():
            seen = counts.get(key, 0) + 1
            if seen >= OFTEN or key in before:
                window[key] = value
            elif not full or seen > 1:
                counts[key] = seen

    def drop(self, keys: Iterable[K]) -> None:
        """Forget what has just been written."""
        for key in keys:
            self._kept.pop(key, None)
