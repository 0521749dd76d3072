"""Results of pure functions of what never changes: a version of a row, a comment's words.

A key must name everything that the result depends on, versions included; then nothing here can be old.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable


class Memo[K: Hashable, V]:
    """At most `limit` results, all forgotten when there would be more: pages need few at a time, and again and again."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._results: dict[K, V] = {}

    def get(self, key: K, make: Callable[[], V]) -> V:
        found = self._results.get(key)
        if found is None:
            if len(self._results) >= self._limit:
                self._results.clear()
            found = self._results[key] = make()
        return found
