"""People in the graph."""

from __future__ import annotations

from typing import NewType

import msgspec

from calotype.infra.ids import compose
from calotype.infra.tao import LIST_LIMIT, association, association_pair, object_type

AccountId = NewType("AccountId", int)

NAME_LIMIT = 50
BIO_LIMIT = 300
WEBSITE_LIMIT = 200


@object_type(1, partition="people")
class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """What everybody may see of an account. `avatar` is the id of the picture, 0 when there is none."""

    username: str
    name: str = ""
    bio: str = ""
    website: str = ""
    avatar: int = 0
    suspended: bool = False
    pulled: bool = False
    """So many follow them that their posts are not pushed to each follower, but read by each (`feed`)."""

    quiet: tuple[str, ...] = ()
    """Kinds of notifications that they do not want."""

    by_button: bool = False
    """Whether older posts of their feed come only when they press a button."""

    @property
    def shown_name(self) -> str:
        return self.name or self.username


JOINED = association(11, "joined", partition="people")
"""From the root of a logical shard to each person on it: the people of the site, newest first."""

BLOCKS, BLOCKED_BY = association_pair(14, "blocks", 15, "blocked_by", partition="people")
"""From a person to whom they have blocked. Two people with such an edge between them, whichever way, are apart: neither is
shown anything of the other (`queries.people`)."""

BLOCKING_LIMIT = LIST_LIMIT
"""People that one may block: as many as one read of the list can reach."""


def shard_root(shard: int) -> int:
    """The id from which a shard's `JOINED` list starts: the lowest that the shard can have, never given to anything."""
    return compose(0, shard, 0)
