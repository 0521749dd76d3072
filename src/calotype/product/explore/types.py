"""The ranking, and how a post gets into it (docs/product.md)."""

from __future__ import annotations

from math import log10

import msgspec

from calotype.infra.tao import object_type

EVERY_S = 600.0
KEPT = 120
"""Posts of a ranking: more than a page shows, since some may be gone when it is read."""

OF_ONE_AUTHOR = 3
COMMENT_POINTS = 2
DAY_MS = 86_400_000
WINDOW_MS = 30 * DAY_MS
"""What is older is in no ranking."""


class Ranked(msgspec.Struct, frozen=True):
    post: int
    score: float


@object_type(11, partition="media")
class Ranking(msgspec.Struct, frozen=True):
    """One for the whole site. `at`: when it was made, in ms since 1970."""

    posts: list[Ranked]
    at: int


def score(points: int, posted_ms: int) -> float:
    """The hot formula that Reddit has published (reddit-archive/reddit, `r2/lib/db/_sorts.pyx`), with a day where it has
    12.5 hours: ten times the points make up for a day. It does not change as time passes, so two posts change places only
    when somebody likes one of them or speaks about it.
    """
    return log10(max(points, 1)) + posted_ms / DAY_MS
