from __future__ import annotations

from collections.abc import Callable

import msgspec
from django.utils.translation import gettext as _

from calotype.infra.ids import shard_of
from calotype.infra.tao import Graph
from calotype.product.accounts.queries import PersonMissing
from calotype.product.accounts.types import AccountId, Person
from calotype.product.follows.types import (
    FOLLOWED,
    FOLLOWING_LIMIT,
    FOLLOWS,
    UNFOLLOWED,
    Followed,
    Unfollowed,
)
from calotype.std.errors import Unprocessable


class CannotFollowOneself(Unprocessable):
    code = "cannot_follow_oneself"


class FollowingLimit(Unprocessable):
    code = "following_limit"


async def follow(graph: Graph, follower: AccountId, followee: AccountId) -> bool:
    """Follow somebody; False when one did already. Raises `CannotFollowOneself`, `PersonMissing`, `FollowingLimit`."""
    if follower == followee:
        raise CannotFollowOneself(_("You see your own photos anyway: there is no need to follow yourself."))
    person = await graph.obj_get(Person, followee)
    if person is None or person.data.suspended:
        raise PersonMissing(_("There is nobody to follow here."))
    if await graph.assoc_count(FOLLOWS, follower) >= FOLLOWING_LIMIT:
        raise FollowingLimit(
            _("You follow %d people; that is as many as one can.") % FOLLOWING_LIMIT, limit=FOLLOWING_LIMIT
        )
    return await _edge(
        graph, follower, followee, FOLLOWED, lambda at: Followed(follower, followee, at), present=True
    )


async def unfollow(graph: Graph, follower: AccountId, followee: AccountId) -> bool:
    """Stop following; False when one did not follow."""
    return await _edge(
        graph, follower, followee, UNFOLLOWED, lambda at: Unfollowed(follower, followee), present=False
    )


async def _edge(
    graph: Graph,
    follower: AccountId,
    followee: AccountId,
    kind: str,
    event: Callable[[int], msgspec.Struct],
    *,
    present: bool,
) -> bool:
    """Write the edge and, if that changed anything, say so to whoever must follow."""
    shard = shard_of(follower)
    async with graph.transaction("people", shard) as write:
        written = await write.edge(FOLLOWS, follower, followee, time=None, data=None, present=present)
        if written.changed:
            await write.post("people", shard, kind, event(written.time), 0)
    return written.changed
