"""The home feed as a pull: the newest posts of everybody that one follows, merged when it is read.

One statement a physical server merges the lists, however many people are followed; then posts, authors, counts, likes
and last comments are read at once, then the comments' words. The number of statements depends on the number of servers
alone (ARCHITECTURE.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from calotype.infra.tao import START, Cursor, Graph
from calotype.product.accounts.queries import card, people
from calotype.product.comments.queries import comment_counts, latest
from calotype.product.feed.types import FeedPage, Item
from calotype.product.follows.queries import followees
from calotype.product.likes.queries import like_counts, liked_among
from calotype.product.photos.types import POSTED, Post
from calotype.std.together import together

COMMENTS_SHOWN = 2


async def home(
    graph: Graph, viewer: int, limit: int, before: Cursor = START, after: Cursor | None = None
) -> FeedPage:
    """A page of posts by those whom `viewer` follows and by `viewer`, newest first.

    `before` starts it behind a place; `after` makes it the page just newer than a place.
    """
    authors = [viewer, *await followees(graph, viewer)]
    if after is not None:
        posted = await graph.assoc_merge(POSTED, authors, limit, after=after)
        more = bool(posted)
    else:
        found = await graph.assoc_merge(POSTED, authors, limit + 1, before=before)
        posted, more = found[:limit], len(found) > limit
    items = await items_of(graph, viewer, [(edge.id2, author) for author, edge in posted])
    return FeedPage(
        items=items,
        newest=posted[0][1].cursor if posted else None,
        older=posted[-1][1].cursor if posted and more else None,
    )


async def items_of(
    graph: Graph, viewer: int | None, wanted: Sequence[tuple[int, int]], comments: int = COMMENTS_SHOWN
) -> list[Item]:
    """Posts, given as (post, author), with their authors, counts, likes and last comments: all asked for at once.

    Posts that are gone, and posts of people who are gone, are left out.
    """
    ids = [post_id for post_id, _ in wanted]
    posts, authors, likes, liked, talk, said = await together(
        graph.obj_get_many(Post, ids),
        people(graph, {author for _, author in wanted}),
        like_counts(graph, ids),
        liked_among(graph, viewer, ids),
        comment_counts(graph, ids),
        latest(graph, ids, comments),
    )
    return [
        Item(
            post=posts[id_],
            author=card(authors[author]),
            likes=likes[id_],
            liked=id_ in liked,
            comments=talk[id_],
            said=said[id_],
        )
        for id_, author in wanted
        if id_ in posts and author in authors
    ]
