"""Whole transactions of a commit log, whose parts may come in several batches.

An edge that was deleted gets its version from the row of its list, which comes later in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from calotype.infra.invalidation import Batch, Change

type Transaction = tuple[int, list[Change]]
"""When it was committed, in milliseconds since 1970 by the clock of its server, and its rows."""

PART_LIMIT = 20_000
"""Rows that are held while their transaction has not ended. A larger one comes in parts."""


class Assembly:
    """One a stream."""

    def __init__(self) -> None:
        self._begun: list[Change] = []

    def transactions(self, batch: Batch) -> Iterator[Transaction]:
        """Those that end with this batch."""
        places = [0, *(place for place, _ in batch.begins), len(batch.changes)]
        times = [batch.committed_ms, *(committed_ms for _, committed_ms in batch.begins)]
        parts = [_rows(batch, start, end) for start, end in pairwise(places)]
        parts[0] = self._begun + parts[0]
        self._begun = []
        if not batch.whole and len(parts[-1]) < PART_LIMIT:
            self._begun = parts.pop()
        yield from ((committed_ms, rows) for committed_ms, rows in zip(times, parts, strict=False) if rows)


def _rows(batch: Batch, start: int, end: int) -> list[Change]:
    return [change for change in batch.changes[start:end] if isinstance(change, Change)]
