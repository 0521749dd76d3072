"""What keeps timelines: pushing a post to its author's followers, and building a timeline for whoever has none.

A timeline repeats what the graph says, so everything here may be done twice. The followers that are pushed to are read
from the primaries: a cache may be behind the very write that this follows.
"""

from __future__ import annotations

from collections.abc import Sequence

from calotype.infra.ids import shard_of
from calotype.infra.jobs import JOB, Call
from calotype.infra.tao import LIST_LIMIT, START, Cursor, Edge, Graph
from calotype.infra.timelines import EVERYTHING, Entry, Timelines
from calotype.product.accounts.types import AccountId, Person
from calotype.product.feed.types import HOME, PULLS
from calotype.product.follows.types import FOLLOWED_BY, FOLLOWS
from calotype.product.photos.types import POSTED, Post
from calotype.std.errors import Unavailable

FOLLOWERS_AT_ONCE = 2_000
"""Of one list read and one push."""

PAGES_A_RUN = 10
"""One run of a job pushes to so many times `FOLLOWERS_AT_ONCE`; the rest is another job's."""


class InverseMissing(Unavailable):
    """The follower is not in the list of followers yet: whoever posts now would miss them."""

    code = "inverse_missing"


async def fan_out(
    graph: Graph,
    timelines: Timelines,
    entry: Entry,
    after: Cursor,
    *,
    pulled_from: int,
    when_pulled: Call,
    kept: int,
) -> Cursor | None:
    """Push a post to the followers of its author who have timelines, from a place in their list on; where to go on, None
    at the end. Somebody with more than `pulled_from` followers is pulled by all of them instead, from this post on:
    `when_pulled` is left in the outbox."""
    fresh = Graph(graph.shards)
    author = await fresh.obj_get(Person, entry.source)
    if author is None or author.data.pulled or await fresh.obj_get(Post, entry.id) is None:
        return None
    if await fresh.assoc_count(FOLLOWED_BY, entry.source) > pulled_from:
        await _pull(graph, entry.source, when_pulled)
        return None
    for _ in range(PAGES_A_RUN):
        page = await fresh.assoc_range(FOLLOWED_BY, entry.source, 0, FOLLOWERS_AT_ONCE, before=after)
        await timelines.push(HOME, [edge.id2 for edge in page], [entry], keep=kept)
        if len(page) < FOLLOWERS_AT_ONCE:
            return None
        after = page[-1].cursor
    return after


async def _pull(graph: Graph, author: int, when_pulled: Call) -> None:
    """Together, so that it happens once and is not forgotten; and before the followers are read: whoever begins to follow
    from now on sees it."""
    shard = shard_of(author)
    async with graph.transaction("people", shard) as write:
        await write.obj_update(Person, author, {"pulled": True}, None)
        await write.post("people", shard, JOB, when_pulled, 0)


async def is_pulled(graph: Graph, author: int) -> bool:
    person = await Graph(graph.shards).obj_get(Person, author)
    return person is not None and person.data.pulled


async def have_pulled(graph: Graph, author: int, after: Cursor) -> Cursor | None:
    """Have followers of somebody who is pulled read their posts themselves, from a place in the list on; where to go on."""
    fresh = Graph(graph.shards)
    for _ in range(PAGES_A_RUN):
        page = await fresh.assoc_range(FOLLOWED_BY, author, 0, FOLLOWERS_AT_ONCE, before=after)
        await graph.assoc_add_many(PULLS, [(edge.id2, Edge(author, 0, 0)) for edge in page])
        if len(page) < FOLLOWERS_AT_ONCE:
            return None
        after = page[-1].cursor
    return after


async def begun_to_follow(
    graph: Graph, timelines: Timelines, follower: int, followee: int, *, kept: int
) -> None:
    """Have the followee's posts in the follower's timeline, those of the past too. Raises `InverseMissing`."""
    fresh = Graph(graph.shards)
    if not await fresh.assoc_get(FOLLOWS, follower, [followee]):
        return
    if not await fresh.assoc_get(FOLLOWED_BY, followee, [follower]):
        raise InverseMissing(f"{follower} is not among the followers of {followee} yet")
    if await is_pulled(graph, followee):
        await graph.assoc_add(PULLS, follower, followee)
    else:
        await build(graph, timelines, follower, kept=kept)


async def stopped_following(graph: Graph, follower: int, followee: int) -> None:
    """Have a follower no longer read somebody's posts, if they are pulled. What is in the timeline is passed over."""
    fresh = Graph(graph.shards)
    if not await fresh.assoc_get(FOLLOWS, follower, [followee]):
        await graph.assoc_del(PULLS, follower, followee)


async def build(graph: Graph, timelines: Timelines, owner: int, *, kept: int) -> None:
    """Make a timeline, or make it anew: the newest posts of everybody whom its owner follows."""
    fresh = Graph(graph.shards)
    number = await timelines.begin(HOME, owner)
    if number is None:
        return
    # After `begin`: what is posted from now on is pushed, and what was posted before is found here.
    authors = [edge.id2 for edge in await fresh.assoc_range(FOLLOWS, owner, 0, LIST_LIMIT)]
    entries = await newest(fresh, authors, kept + 1)
    if entries:
        await timelines.push(HOME, [owner], entries[:kept], keep=kept)
    await timelines.finish(
        HOME, owner, number, entries[kept - 1].place if len(entries) > kept else EVERYTHING
    )


async def newest(graph: Graph, authors: Sequence[int], limit: int) -> list[Entry]:
    found = await graph.assoc_merge(POSTED, authors, limit, before=START)
    return [Entry(edge.time, edge.id2, author) for author, edge in found]


async def read_by_button(graph: Graph, owner: AccountId, *, by_button: bool) -> None:
    """Whether older posts of somebody's feed come only when they press a button."""
    await graph.obj_update(Person, owner, by_button=by_button)
