"""Pages of statuses as Mastodon's API turns them: by the ids of posts, and links to the pages beside."""

from __future__ import annotations

from collections.abc import Sequence

from calotype.infra.ids import parse, time_ms
from calotype.infra.tao import Cursor, Graph
from calotype.product.feed.types import Item
from calotype.product.photos.types import Post, posted_at


async def place_of(graph: Graph, text: str) -> Cursor:
    """The place of a post in time; of one that is gone, that of its id."""
    post_id = parse(text)
    node = await graph.obj_get(Post, post_id)
    return (posted_at(node) if node else time_ms(post_id), post_id)


def link_header(url: str, limit: int, items: Sequence[Item], *, older: bool) -> str:
    links = []
    if items and older:
        links.append(f'<{url}?limit={limit}&max_id={items[-1].post.id}>; rel="next"')
    if items:
        links.append(f'<{url}?limit={limit}&min_id={items[0].post.id}>; rel="prev"')
    return ", ".join(links)
