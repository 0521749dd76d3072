from __future__ import annotations

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
    shard = shard_of(follower)
    async with graph.transaction("people", shard) as write:
        written = await write.edge(FOLLOWS, follower, followee, time=None, data=None, present=True)
        if written.changed:
            await write.post("people", shard, FOLLOWED, Followed(follower, followee), 0)
    return written.changed


async def unfollow(graph: Graph, follower: AccountId, followee: AccountId) -> bool:
    """Stop following; False when one did not follow."""
    shard = shard_of(follower)
    async with graph.transaction("people", shard) as write:
        written = await write.edge(FOLLOWS, follower, followee, time=None, data=None, present=False)
        if written.changed:
            await write.post("people", shard, UNFOLLOWED, Unfollowed(follower, followee), 0)
    return written.changed
