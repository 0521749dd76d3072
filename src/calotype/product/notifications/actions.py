"""What keeps notifications: telling a person of something, building their timeline anew, noting what they have seen.

The timeline repeats what the graph says. So an entry may be pushed twice, and what was taken back need not be removed:
readers pass over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from calotype.infra.tao import Edge, Graph
from calotype.infra.timelines import EVERYTHING, Entry, Timelines
from calotype.product.accounts.queries import apart_from
from calotype.product.accounts.types import AccountId, Person
from calotype.product.comments.types import HAS_COMMENT, Comment, Quote
from calotype.product.follows.types import FOLLOWED_BY
from calotype.product.likes.types import LIKED_BY
from calotype.product.notifications.types import ACTIVITY, KEPT, SEEN, Kind, entry
from calotype.product.photos.types import POSTED, Post
from calotype.product.words.types import MENTIONED_IN, Mentioned
from calotype.std.together import together
from calotype.web.live import Live

POSTS_LOOKED_AT = 50
OF_EACH_POST = 30
FOLLOWERS_LOOKED_AT = 100
MENTIONS_LOOKED_AT = 100
"""Of a build: as much as anybody reads back."""

TOLD_OF_ALL = 100
"""Likes of one post, or followers, of which each is told; beyond, one in ten, beyond ten times as many, one in a hundred.
The page counts them all the same."""

_quote = msgspec.json.Decoder(Quote)


def worth_telling(count: int) -> bool:
    """Whether the count-th of its kind is an entry of its own: so 10,000 likes are 280 entries."""
    step = 1
    while count > TOLD_OF_ALL * step:
        step *= 10
    return count % step == 0


async def tell(
    graph: Graph, timelines: Timelines, live: Live, owner: int, kind: Kind, happened: Entry
) -> None:
    """Push an entry to somebody who wants such, and to their open pages."""
    fresh = Graph(graph.shards)
    person = await fresh.obj_get(Person, owner)
    if owner == happened.source or person is None or person.data.suspended or kind.word in person.data.quiet:
        return
    if await apart_from(fresh, owner, [happened.source]):
        return
    await timelines.push(ACTIVITY, [owner], [happened], keep=KEPT)
    await live.tell(owner)


async def liked(graph: Graph, timelines: Timelines, live: Live, liker: int, post_id: int, at_ms: int) -> None:
    fresh = Graph(graph.shards)
    post = await fresh.obj_get(Post, post_id)
    if post is None or not worth_telling(await fresh.assoc_count(LIKED_BY, post_id)):
        return
    await tell(graph, timelines, live, post.data.author, Kind.LIKE, entry(Kind.LIKE, at_ms, post_id, liker))


async def commented(
    graph: Graph, timelines: Timelines, live: Live, author: int, post_id: int, comment_id: int, at_ms: int
) -> None:
    post = await Graph(graph.shards).obj_get(Post, post_id)
    if post is not None:
        said = entry(Kind.COMMENT, at_ms, comment_id, author)
        await tell(graph, timelines, live, post.data.author, Kind.COMMENT, said)


async def followed(
    graph: Graph, timelines: Timelines, live: Live, follower: int, followee: int, at_ms: int
) -> None:
    if worth_telling(await Graph(graph.shards).assoc_count(FOLLOWED_BY, followee)):
        begun = entry(Kind.FOLLOW, at_ms, follower, follower)
        await tell(graph, timelines, live, followee, Kind.FOLLOW, begun)


async def mentioned(graph: Graph, timelines: Timelines, live: Live, event: Mentioned) -> None:
    """But not whoever is told of the comment already, since it is under their post."""
    post = await Graph(graph.shards).obj_get(Post, event.post)
    if post is not None and not (event.comment and post.data.author == event.person):
        named = entry(Kind.MENTION, event.at, event.comment or event.post, event.by)
        await tell(graph, timelines, live, event.person, Kind.MENTION, named)


async def build(graph: Graph, timelines: Timelines, owner: int) -> None:
    """Make the timeline of somebody who has none, or has not looked for long, from what the graph says."""
    number = await timelines.begin(ACTIVITY, owner)
    if number is None:
        return
    # After `begin`: what happens from now on is pushed, and what happened before is found here.
    await timelines.push(ACTIVITY, [owner], await newest(Graph(graph.shards), owner), keep=KEPT)
    await timelines.finish(ACTIVITY, owner, number, EVERYTHING)


async def newest(graph: Graph, owner: int) -> list[Entry]:
    """What happened lately to somebody and their last posts, newest first."""
    posts = [edge.id2 for edge in await graph.assoc_range(POSTED, owner, 0, POSTS_LOOKED_AT)]
    likes = await graph.assoc_range_many(LIKED_BY, posts, OF_EACH_POST)
    comments = await graph.assoc_range_many(HAS_COMMENT, posts, OF_EACH_POST)
    followers = await graph.assoc_range(FOLLOWED_BY, owner, 0, FOLLOWERS_LOOKED_AT)
    mentions = await graph.assoc_range(MENTIONED_IN, owner, 0, MENTIONS_LOOKED_AT)
    authors = await _authors(graph, owner, [edge.id2 for edge in mentions])
    found = [entry(Kind.LIKE, edge.time, post, edge.id2) for post, edge in _each(likes)]
    found += [
        entry(Kind.COMMENT, edge.time, edge.id2, _quote.decode(edge.data).author)
        for _, edge in _each(comments)
        if edge.data is not None
    ]
    found += [entry(Kind.FOLLOW, edge.time, edge.id2, edge.id2) for edge in followers]
    found += [
        entry(Kind.MENTION, edge.time, edge.id2, authors[edge.id2])
        for edge in mentions
        if edge.id2 in authors
    ]
    others = [one for one in found if one.source != owner]
    return sorted(others, key=lambda one: one.place, reverse=True)[:KEPT]


async def _authors(graph: Graph, owner: int, texts: Sequence[int]) -> dict[int, int]:
    """Who has written these posts and comments, of which somebody is told as mentions."""
    posts, comments = await together(graph.obj_get_many(Post, texts), graph.obj_get_many(Comment, texts))
    under = await graph.obj_get_many(Post, {comment.data.post for comment in comments.values()})
    authors = {id_: post.data.author for id_, post in posts.items()}
    for id_, comment in comments.items():
        post = under.get(comment.data.post)
        if post is not None and post.data.author != owner:
            authors[id_] = comment.data.author
    return authors


def _each(lists: Mapping[int, list[Edge]]) -> list[tuple[int, Edge]]:
    return [(id1, edge) for id1, edges in lists.items() for edge in edges]


async def note_seen(graph: Graph, owner: AccountId, seen_ms: int) -> None:
    """Up to when somebody has seen what happened; never earlier than before."""
    before = await graph.assoc_get(SEEN, owner, [owner])
    if not before or before[0].time < seen_ms:
        await graph.assoc_add(SEEN, owner, owner, time=seen_ms)


async def be_quiet(graph: Graph, owner: AccountId, quiet: Sequence[str]) -> None:
    """Which kinds somebody does not want to hear of any longer. What they were told stays."""
    await graph.obj_update(Person, owner, quiet=tuple(quiet))
