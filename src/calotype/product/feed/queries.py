"""The home feed as a pull: the newest posts of everybody that one follows, merged when it is read.

One statement a physical server merges the lists, however many people are followed; then posts, authors, counts, likes
and comments are read in batches. The number of statements depends on the number of servers alone (docs/feed.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from calotype.infra.tao import START, Cursor, Edge, Graph, Node
from calotype.product.accounts.queries import card, people
from calotype.product.comments.queries import comment_counts, latest
from calotype.product.comments.types import Comment
from calotype.product.feed.types import FeedPage, Item, Said
from calotype.product.follows.queries import followees
from calotype.product.likes.queries import like_counts, liked_among
from calotype.product.photos.types import POSTED, Post

COMMENTS_SHOWN = 2


async def home(
    graph: Graph, viewer: int, limit: int, before: Cursor = START, after: Cursor | None = None
) -> FeedPage:
    """A page of posts by those whom `viewer` follows and by `viewer`, newest first.

    `before` starts it behind a place; `after` makes it the page just newer than a place.
    """
    authors = [viewer, *await followees(graph, viewer)]
    if after is not None:
        edges = await _just_newer(graph, authors, limit, after)
        more = bool(edges)
    else:
        found = await graph.assoc_merge(POSTED, authors, limit + 1, before=before)
        edges, more = [edge for _, edge in found[:limit]], len(found) > limit
    posts = await graph.obj_get_many(Post, [edge.id2 for edge in edges])
    items = await with_surroundings(graph, viewer, [posts[edge.id2] for edge in edges if edge.id2 in posts])
    return FeedPage(
        items=items,
        newest=edges[0].cursor if edges else None,
        older=edges[-1].cursor if edges and more else None,
    )


async def _just_newer(graph: Graph, authors: list[int], limit: int, after: Cursor) -> list[Edge]:
    """The `limit` posts that follow a place upwards, newest first. Walks down from the top: a short way in practice."""
    newer: list[Edge] = []
    before = START
    while page := await graph.assoc_merge(POSTED, authors, limit * 4, before=before):
        fresh = [edge for _, edge in page if edge.cursor > after]
        newer += fresh
        if len(fresh) < len(page) or len(newer) > limit * 100:
            break
        before = page[-1][1].cursor
    return newer[-limit:]


async def with_surroundings(
    graph: Graph, viewer: int | None, posts: Sequence[Node[Post]], comments: int = COMMENTS_SHOWN
) -> list[Item]:
    """Posts with their authors, counts, likes and last comments. Posts of people who are gone are left out."""
    ids = [post.id for post in posts]
    authors, likes, liked, talk, said = await asyncio.gather(
        people(graph, {post.data.author for post in posts}),
        like_counts(graph, ids),
        liked_among(graph, viewer, ids),
        comment_counts(graph, ids),
        latest(graph, ids, comments),
    )
    shown = await with_authors(graph, [comment for some in said.values() for comment in some])
    return [
        Item(
            post=post,
            author=card(authors[post.data.author]),
            likes=likes[post.id],
            liked=post.id in liked,
            comments=talk[post.id],
            said=[shown[comment.id] for comment in said[post.id] if comment.id in shown],
        )
        for post in posts
        if post.data.author in authors
    ]


async def with_authors(graph: Graph, comments: Sequence[Node[Comment]]) -> dict[int, Said]:
    """Comments with who wrote them, by id; those of people who are gone are left out."""
    if not comments:
        return {}
    authors = await people(graph, {comment.data.author for comment in comments})
    return {
        comment.id: Said(comment, card(authors[comment.data.author]))
        for comment in comments
        if comment.data.author in authors
    }
