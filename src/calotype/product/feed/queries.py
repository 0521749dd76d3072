"""The pages of the home feed. Which posts they show: `places`.

Posts, authors, counts, likes and last comments are read at once, then the comments' words. The number of statements
depends on the number of servers alone (ARCHITECTURE.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from calotype.infra.tao import START, Cursor, Graph
from calotype.infra.timelines import Entry, Timelines
from calotype.product.accounts.queries import PersonMissing, apart_from, card, people
from calotype.product.comments.queries import comment_counts, latest
from calotype.product.feed import places
from calotype.product.feed.types import FeedPage, Item
from calotype.product.follows.queries import followed_among
from calotype.product.likes.queries import like_counts, liked_among
from calotype.product.photos.types import POSTED, Post
from calotype.std.together import together

COMMENTS_SHOWN = 2

READS_A_PAGE = 5
"""Of a page, most of whose posts must not be shown: then it comes shorter."""


async def home(
    graph: Graph,
    timelines: Timelines,
    viewer: int,
    limit: int,
    before: Cursor = START,
    after: Cursor | None = None,
) -> FeedPage:
    """A page of posts by those whom `viewer` follows and by `viewer`, newest first.

    `before` starts it behind a place; `after` makes it the page just newer than a place. Posts that must not be shown,
    since they are gone or their author is not followed any longer, are passed over, and the page is filled with older ones.
    """
    if after is not None:
        found = await places.above(graph, timelines, viewer, after, limit)
        return _page(await _shown(graph, viewer, found), found.entries, more=found.more)
    items: list[Item] = []
    entries: list[Entry] = []
    for _try in range(READS_A_PAGE):
        found = await places.below(graph, timelines, viewer, before, limit - len(items))
        entries += found.entries
        items += await _shown(graph, viewer, found)
        if not found.more or len(items) >= limit:
            break
        before = entries[-1].place
    return _page(items, entries, more=found.more)


async def newer(graph: Graph, timelines: Timelines, viewer: int, after: Cursor, limit: int) -> int:
    """How many posts of the feed are above a place, counted up to `limit`."""
    found = await places.above(graph, timelines, viewer, after, limit)
    authors = {entry.source for entry in found.entries}
    posts, followed, apart = await together(
        graph.obj_get_many(Post, [entry.id for entry in found.entries]),
        followed_among(graph, viewer, list(authors - {viewer})),
        apart_from(graph, viewer, authors),
    )
    shown = (followed | {viewer}) - apart
    return sum(entry.id in posts and entry.source in shown for entry in found.entries)


async def posts_by(
    graph: Graph,
    viewer: int | None,
    author: int,
    limit: int,
    before: Cursor = START,
    after: Cursor | None = None,
) -> FeedPage:
    """A page of one person's posts, newest first; places as of `home`. Raises `PersonMissing`."""
    there, (entries, more) = await together(
        people(graph, [author], viewer), _posted(graph, author, limit, before, after)
    )
    if not there:
        raise PersonMissing(_("There is nobody with this id here."))
    items = await items_of(graph, viewer, [(entry.id, author) for entry in entries])
    return _page(items, entries, more=more)


async def _posted(
    graph: Graph, author: int, limit: int, before: Cursor, after: Cursor | None
) -> tuple[list[Entry], bool]:
    """A person's list, and whether there are posts behind what is answered."""
    if after is not None:
        above = await graph.assoc_merge(POSTED, [author], limit, after=after)
        return [Entry(edge.time, edge.id2, author) for _, edge in above], bool(above)
    edges = await graph.assoc_range(POSTED, author, 0, limit + 1, before=before)
    return [Entry(edge.time, edge.id2, author) for edge in edges[:limit]], len(edges) > limit


def _page(items: list[Item], entries: list[Entry], *, more: bool) -> FeedPage:
    return FeedPage(
        items=items,
        newest=entries[0].place if entries else None,
        older=entries[-1].place if entries and more else None,
    )


async def _shown(graph: Graph, viewer: int, found: places.Places) -> list[Item]:
    """The posts of a page, without those whose authors the viewer does not follow."""
    wanted = [(entry.id, entry.source) for entry in found.entries]
    if found.checked:
        return await items_of(graph, viewer, wanted)
    authors = {author for _, author in wanted} - {viewer}
    items, followed = await together(
        items_of(graph, viewer, wanted), followed_among(graph, viewer, list(authors))
    )
    return [item for item in items if item.author.id in followed or item.author.id == viewer]


async def items_of(
    graph: Graph, viewer: int | None, wanted: Sequence[tuple[int, int]], comments: int = COMMENTS_SHOWN
) -> list[Item]:
    """Posts, given as (post, author), with their authors, counts, likes and last comments: all asked for at once.

    Posts that are gone, and posts of people who are gone or apart from `viewer`, are left out.
    """
    ids = [post_id for post_id, _ in wanted]
    posts, authors, likes, liked, talk, said = await together(
        graph.obj_get_many(Post, ids),
        people(graph, {author for _, author in wanted}, viewer),
        like_counts(graph, ids),
        liked_among(graph, viewer, ids),
        comment_counts(graph, ids),
        latest(graph, ids, comments, viewer),
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
