"""Comments in the graph. All of a comment is written on its post's shard, in one transaction."""

from __future__ import annotations

from typing import NewType

import msgspec

from calotype.infra.tao import association_pair, object_type

CommentId = NewType("CommentId", int)

COMMENT_LIMIT = 1_000


COMMENTED = "commented"


class Commented(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `COMMENTED`: somebody has said something under a post."""

    author: int
    post: int
    comment: int
    at: int
    """In milliseconds since 1970."""


@object_type(3, partition="comments")
class Comment(msgspec.Struct, frozen=True, omit_defaults=True):
    author: int
    post: int
    text: str
    at: int = 0
    """When it was said, in ms since 1970, if not when it was written here (demo content, imports)."""
    mentions: dict[str, int] = {}
    """The names in the text that were somebody's when it was written, and whose."""


class Quote(msgspec.Struct, frozen=True, omit_defaults=True):
    """On the edge from a post to a comment: what a page shows of it, so that the list alone is enough.

    Written with the comment in one transaction and never changed.
    """

    author: int
    text: str
    mentions: dict[str, int] = {}


HAS_COMMENT, COMMENT_ON = association_pair(
    7, "has_comment", 8, "comment_on", partition="comments", owns=Comment
)
AUTHORED_BY, AUTHORED = association_pair(10, "authored_by", 9, "authored", partition="comments")
"""Written from the comment's side, so that it commits with the comment; a person's list of them is the inverse."""
