"""Posts of several people as squares: what may be shown of a list, and how a template shows it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from calotype.infra.tao import Graph, Node
from calotype.product.accounts.queries import PersonCard, card, people
from calotype.product.photos.queries import PhotoView, photo_view
from calotype.product.photos.types import Post


class Listed(msgspec.Struct, frozen=True):
    post: Node[Post]
    author: PersonCard


class Cell(msgspec.Struct, frozen=True):
    """What `profiles/_cell.html` takes. `many`: how many photos the post has."""

    id: int
    photo: PhotoView
    many: int
    author: PersonCard


async def visible(graph: Graph, post_ids: Iterable[int], viewer: int | None) -> list[Listed]:
    """Those of the posts that `viewer` may see, in the order given: not what is gone, nor what is of people who are gone or
    apart from them."""
    ids = dict.fromkeys(post_ids)
    posts = await graph.obj_get_many(Post, ids)
    authors = await people(graph, {post.data.author for post in posts.values()}, viewer)
    found = [posts[id_] for id_ in ids if id_ in posts]
    return [Listed(post, card(authors[post.data.author])) for post in found if post.data.author in authors]


def cell(listed: Listed) -> Cell:
    post = listed.post
    return Cell(post.id, photo_view(post.id, post.data.photos[0]), len(post.data.photos), listed.author)
