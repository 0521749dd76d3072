from __future__ import annotations

import msgspec

from calotype.infra.tao import LIST_LIMIT, association_pair

FOLLOWED = "followed"


class Followed(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `FOLLOWED`: somebody has begun to follow somebody."""

    follower: int
    followee: int
    at: int = 0
    """In milliseconds since 1970; 0: not known."""


UNFOLLOWED = "unfollowed"


class Unfollowed(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `UNFOLLOWED`: somebody has stopped following somebody."""

    follower: int
    followee: int


BLOCKED = "blocked"


class Blocked(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `BLOCKED`: somebody has blocked somebody, `at` in milliseconds since 1970."""

    blocker: int
    blocked: int
    at: int


FOLLOWS, FOLLOWED_BY = association_pair(1, "follows", 2, "followed_by", partition="people")

FOLLOWING_LIMIT = LIST_LIMIT
"""People that one may follow: as many as one read of the list can reach, so that a feed misses none."""
