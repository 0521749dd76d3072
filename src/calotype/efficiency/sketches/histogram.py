"""How values are distributed, to a known relative error: DDSketch (Masson, Rim, Lee; VLDB 2019)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

RELATIVE_ERROR = 0.02
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(_GAMMA)


class Histogram(msgspec.Struct):
    """Values of at least 0, which share one unit. Any quantile is off by at most `RELATIVE_ERROR` of itself.

    `buckets[i]` counts values in [gamma^(i-1), gamma^i); what is below 1 is in bucket 0. 1,200 buckets reach from 1 to 10^20.
    """

    buckets: dict[int, int] = {}
    count: int = 0
    total: float = 0

    def add(self, value: float) -> None:
        bucket = int(math.log(value) / _LOG_GAMMA) + 1 if value >= 1 else 0
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.count += 1
        self.total += value

    def merge(self, other: Histogram) -> None:
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
        self.count += other.count
        self.total += other.total

    def quantile(self, share: float) -> float:
        """The value that `share` (0 to 1) of them do not exceed; 0 if there are none."""
        if not self.count:
            return 0.0
        rank = share * (self.count - 1)
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen > rank:
                return _middle(bucket)
        raise AssertionError("the buckets hold fewer than were counted")

    def up_to(self, value: float) -> int:
        """How many are not above it, give or take the bucket that it is in."""
        return sum(count for bucket, count in self.buckets.items() if _middle(bucket) <= value)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0


def bucket_of(value: float) -> int:
    """Which bucket counts it."""
    return math.ceil(math.log(value) / _LOG_GAMMA) if value > 1 else 0


def upper_bound(bucket: int) -> float:
    """The largest value that a bucket counts."""
    return float(_GAMMA**bucket)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All of them in one."""
    sum_ = Histogram()
    for each in histograms:
        sum_.merge(each)
    return sum_


def _middle(bucket: int) -> float:
    """The value whose relative distance to both ends of a bucket is the same."""
    return float(2 * _GAMMA**bucket / (_GAMMA + 1)) if bucket else 0.0
