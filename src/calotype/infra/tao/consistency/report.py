"""What a check has found. The JSON of the command line is `Report.summary()`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from calotype.infra.tao.consistency.judging import Problem

TOLD = 1_000
"""Inconsistencies that are kept to be explained. All of them are counted."""


class Inconsistency(msgspec.Struct, frozen=True):
    """One entry at one look. Versions are None where there is none: a row that is gone, or a session.

    `written_version`: what the row is known to have had `age_s` before the look, at least; 0: it was gone.
    `committed_ms`: when that was written, by the primary's clock, None for a key that was chosen at random. `seen_ms`:
    when the look was, by ours.
    """

    log: str
    region: str
    kind: str
    what: str
    key: str
    problem: Problem
    after_s: float
    age_s: float
    written_version: int | None
    cached_version: int | None
    primary_version: int | None
    committed_ms: int | None
    seen_ms: int


class Scale(msgspec.Struct):
    """The entries that were compared so long after their row was written, and how many of them were wrong."""

    after_s: float
    checked: int = 0
    stale: int = 0

    @property
    def nines(self) -> float | None:
        """-log10(stale / checked); with none stale at least log10(checked), which is what is said; None: none checked."""
        return math.log10(self.checked / max(self.stale, 1)) if self.checked else None


class Summary(msgspec.Struct):
    checked: int
    scales: list[dict[str, float | None]]
    inconsistencies: list[Inconsistency]


class Report:
    """`absent`: looks that found no entry, or one that is marked stale or of another release; `impossible`: looks at
    rows that the primary did not tell. `unfollowed`: (region, log) of which no position is known, so that nothing of it
    is read from this cache."""

    def __init__(self, scales_s: Sequence[float]) -> None:
        self.scales = {scale_s: Scale(scale_s) for scale_s in scales_s}
        self.inconsistencies: list[Inconsistency] = []
        self.absent = 0
        self.impossible = 0
        self.unfollowed: list[tuple[str, str]] = []

    @property
    def checked(self) -> int:
        return sum(scale.checked for scale in self.scales.values())

    @property
    def stale(self) -> int:
        return sum(scale.stale for scale in self.scales.values())

    def found(self, one: Inconsistency) -> None:
        self.scales[one.after_s].stale += 1
        if len(self.inconsistencies) < TOLD:
            self.inconsistencies.append(one)

    def summary(self) -> Summary:
        scales: list[dict[str, float | None]] = [
            {
                "after_s": scale.after_s,
                "checked": scale.checked,
                "stale": scale.stale,
                "nines": None if scale.nines is None else round(scale.nines, 2),
            }
            for scale in self.scales.values()
        ]
        return Summary(self.checked, scales, self.inconsistencies)

    def lasting(self, from_s: float = 60) -> bool:
        """Whether something stays stale: at the longest scale of `from_s` or more that was checked, else at any."""
        checked = [scale for scale in self.scales.values() if scale.checked and scale.after_s >= from_s]
        if checked:
            return max(checked, key=lambda scale: scale.after_s).stale > 0
        return self.stale > 0
