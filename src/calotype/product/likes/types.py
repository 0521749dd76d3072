from __future__ import annotations

import msgspec

from calotype.infra.tao import association_pair

LIKED = "liked"


class Liked(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `LIKED`: somebody likes a post now."""

    liker: int
    post: int
    at: int
    """In milliseconds since 1970."""


LIKES, LIKED_BY = association_pair(5, "likes", 6, "liked_by", partition="likes")
