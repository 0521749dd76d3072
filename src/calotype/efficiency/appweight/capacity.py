"""How many active people a core carries, with what confidence."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from calotype.efficiency.appweight.weight import AppWeight

CONFIDENCE = 0.95
RESAMPLES = 2_000
LEAST_STEPS = 5
"""Fewer do not say how much one differs from another."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """People who are active at once, for each core that is busy all the time; plan for less than that.

    The interval is None of the mean where there are too few steps with people in them.
    """

    people_per_core: float
    low: float | None
    high: float | None
    confidence: float
    steps: int


def capacity(steps: Sequence[AppWeight]) -> Capacity | None:
    """From steps of equal length (a minute: "active in the last minute"); None if nobody was active in any.

    Cores of all steps against people of all steps, so that a minute with many people says more than one with few. The
    interval is the percentile bootstrap over steps (Efron 1979), with a seed: the same steps give the same interval. It
    says how sure the figure is for the mix of requests that was seen, not for another one.
    """
    pairs = [(step.people, step.cores) for step in steps if step.people and step.cores]
    if not pairs:
        return None
    if len(pairs) < LEAST_STEPS:
        return Capacity(_ratio(pairs), None, None, CONFIDENCE, len(pairs))
    seeded = random.Random(len(pairs))  # noqa: S311  not a secret
    resampled = sorted(_ratio(seeded.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    low, high = (resampled[math.floor(share * (RESAMPLES - 1))] for share in (tail, 1 - tail))
    return Capacity(_ratio(pairs), low, high, CONFIDENCE, len(pairs))


def _ratio(pairs: Sequence[tuple[int, float]]) -> float:
    return sum(people for people, _ in pairs) / sum(cores for _, cores in pairs)
