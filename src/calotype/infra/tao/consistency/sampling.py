"""Which keys are looked at, and when: uniformly at random of what was written in each window, in bounded memory."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from calotype.infra.tao.consistency.judging import Known, Subject


class Sample(NamedTuple):
    """A key to look at. `since`: when (monotonic) its row had this version, which was committed before. `committed_ms`:
    by the primary's clock, None for a key that was chosen at random."""

    subject: Subject
    known: Known
    since: float
    committed_ms: int | None


class Reservoir:
    """At most `size` of what is added, each with the same chance (Vitter's algorithm R)."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[Sample] = []
        self._seen = 0

    def add(self, sample: Sample) -> None:
        self._seen += 1
        if len(self._kept) < self._size:
            self._kept.append(sample)
        elif (at := random.randrange(self._seen)) < self._size:  # noqa: S311  nobody gains by guessing it
            self._kept[at] = sample

    def take(self) -> list[Sample]:
        """What was kept since the last time, oldest first."""
        kept, self._kept, self._seen = self._kept, [], 0
        return sorted(kept, key=lambda sample: sample.since)


class Agenda:
    """The looks that are to come: each sample once at each scale (seconds after `since`), until the end is near."""

    def __init__(self, scales_s: Sequence[float], ends_at: float) -> None:
        self._waiting: dict[float, deque[Sample]] = {scale_s: deque() for scale_s in scales_s}
        self._ends_at = ends_at

    def add(self, samples: Sequence[Sample]) -> None:
        """In the order of `since`: one that is added behind a later one waits for it."""
        for scale_s, waiting in self._waiting.items():
            waiting.extend(sample for sample in samples if sample.since + scale_s < self._ends_at)

    def due(self, now: float) -> list[tuple[float, list[Sample]]]:
        """(scale, samples) of what is to be looked at by now."""
        found = []
        for scale_s, waiting in self._waiting.items():
            samples = []
            while waiting and waiting[0].since + scale_s <= now:
                samples.append(waiting.popleft())
            if samples:
                found.append((scale_s, samples))
        return found
