"""A small world for the tests of the graph: two kinds of objects, edges with and without an inverse."""

from __future__ import annotations

import msgspec

from calotype.infra.tao import association, association_pair, object_type


@object_type(9001, partition="people")
class Person(msgspec.Struct, frozen=True):
    name: str
    cats: int = 0


@object_type(9002, partition="media")
class Photo(msgspec.Struct, frozen=True):
    caption: str
    width: int = 0


class Note(msgspec.Struct, frozen=True):
    """Data of an edge."""

    n: int


FOLLOWS, FOLLOWED_BY = association_pair(9101, "test_follows", 9102, "test_followed_by", partition="people")
LIKES, LIKED_BY = association_pair(9103, "test_likes", 9104, "test_liked_by", partition="likes")
LOVES, LOVED_BY = association_pair(9105, "test_loves", 9106, "test_loved_by", partition="likes")
POSTED, POSTED_BY = association_pair(
    9107, "test_posted", 9108, "test_posted_by", partition="media", owns=Photo
)
MUTES = association(9109, "test_mutes", partition="people")

PAIRS = {FOLLOWS: FOLLOWED_BY, LIKES: LIKED_BY, LOVES: LOVED_BY}
