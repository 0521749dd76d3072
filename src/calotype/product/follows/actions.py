"""Who follows whom, and who is apart from whom.

Whoever is blocked is shown nothing of who blocked them from the moment that the block commits, since reads ask
(`accounts.queries`). Nothing else rests on when, or whether, the follows between the two are gone; they are, soon: one goes
with the block, the other, which lies on the other's shard, by a job.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from django.utils.translation import gettext as _

from calotype.infra.ids import shard_of
from calotype.infra.tao import Graph
from calotype.product.accounts.queries import PersonMissing, apart_from, people
from calotype.product.accounts.types import BLOCKING_LIMIT, BLOCKS, AccountId
from calotype.product.follows.types import (
    BLOCKED,
    FOLLOWED,
    FOLLOWING_LIMIT,
    FOLLOWS,
    UNFOLLOWED,
    Blocked,
    Followed,
    Unfollowed,
)
from calotype.std.errors import Unprocessable


class CannotFollowOneself(Unprocessable):
    code = "cannot_follow_oneself"


class FollowingLimit(Unprocessable):
    code = "following_limit"


class CannotBlockOneself(Unprocessable):
    code = "cannot_block_oneself"


class BlockingLimit(Unprocessable):
    code = "blocking_limit"


async def follow(graph: Graph, follower: AccountId, followee: AccountId) -> bool:
    """Follow somebody; False when one did already. Raises `CannotFollowOneself`, `PersonMissing`, `FollowingLimit`."""
    if follower == followee:
        raise CannotFollowOneself(_("You see your own photos anyway: there is no need to follow yourself."))
    if not await people(graph, [followee], follower):
        raise PersonMissing(_("There is nobody to follow here."))
    if await graph.assoc_count(FOLLOWS, follower) >= FOLLOWING_LIMIT:
        raise FollowingLimit(
            _("You follow %d people; that is as many as one can.") % FOLLOWING_LIMIT, limit=FOLLOWING_LIMIT
        )
    return await _edge(
        graph, follower, followee, FOLLOWED, lambda at: Followed(follower, followee, at), present=True
    )


async def unfollow(graph: Graph, follower: AccountId, followee: AccountId) -> bool:
    """Stop following; False when one did not follow. A followee who removes a follower does the same for them."""
    return await _edge(
        graph, follower, followee, UNFOLLOWED, lambda at: Unfollowed(follower, followee), present=False
    )


async def block(graph: Graph, blocker: AccountId, blocked: AccountId) -> bool:
    """Have two people see nothing of each other, nor follow each other; False when they were blocked already. Durable when
    it returns. Raises `CannotBlockOneself`, `BlockingLimit`."""
    if blocker == blocked:
        raise CannotBlockOneself(_("You cannot block yourself."))
    if await graph.assoc_count(BLOCKS, blocker) >= BLOCKING_LIMIT:
        raise BlockingLimit(
            _("You have blocked %d people; that is as many as one can.") % BLOCKING_LIMIT,
            limit=BLOCKING_LIMIT,
        )
    shard = shard_of(blocker)
    async with graph.transaction("people", shard) as write:
        await write.lock([(FOLLOWS, blocker, blocked), (BLOCKS, blocker, blocked)])
        followed = await write.edge(FOLLOWS, blocker, blocked, time=None, data=None, present=False)
        if followed.changed:
            await write.post("people", shard, UNFOLLOWED, Unfollowed(blocker, blocked), 0)
        written = await write.edge(BLOCKS, blocker, blocked, time=None, data=None, present=True)
        if written.changed:
            await write.post("people", shard, BLOCKED, Blocked(blocker, blocked, written.time), 0)
    return written.changed


async def unblock(graph: Graph, blocker: AccountId, blocked: AccountId) -> bool:
    """Take a block back; False when there was none. Nobody follows anybody again by it."""
    return (await graph.assoc_del(BLOCKS, blocker, blocked)).changed


async def part(graph: Graph, event: Blocked) -> None:
    """Have who is blocked no longer follow who blocked them. What they have followed since is left alone."""
    follower, followee = AccountId(event.blocked), AccountId(event.blocker)
    followed = await Graph(graph.shards).assoc_get(FOLLOWS, follower, [followee])
    if followed and followed[0].time <= event.at:
        await unfollow(graph, follower, followee)


async def part_if_apart(graph: Graph, event: Followed) -> None:
    """Take back a follow that was written while one of the two blocked the other: it had looked before."""
    if await apart_from(Graph(graph.shards), event.follower, [event.followee]):
        await unfollow(graph, AccountId(event.follower), AccountId(event.followee))


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
