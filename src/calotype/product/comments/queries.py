from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from calotype.infra.tao import START, Cursor, Edge, Graph, Node
from calotype.product.accounts.queries import PersonCard, card, people
from calotype.product.comments.types import HAS_COMMENT, By, Comment

_by = msgspec.json.Decoder(By)


class Said(msgspec.Struct, frozen=True):
    """A comment with who wrote it."""

    comment: Node[Comment]
    author: PersonCard


async def comment_counts(graph: Graph, post_ids: Iterable[int]) -> dict[int, int]:
    return await graph.assoc_count_many(HAS_COMMENT, post_ids)


async def latest(graph: Graph, post_ids: Iterable[int], amount: int) -> dict[int, list[Said]]:
    """The last comments under each post, oldest of them first."""
    lists = await graph.assoc_range_many(HAS_COMMENT, post_ids, amount)
    found = await _said(graph, [edge for edges in lists.values() for edge in edges])
    return {
        post_id: [found[edge.id2] for edge in reversed(edges) if edge.id2 in found]
        for post_id, edges in lists.items()
    }


async def page(
    graph: Graph, post_id: int, limit: int, before: Cursor = START
) -> tuple[list[Said], Cursor | None]:
    """Comments under a post, oldest of the page first, with the cursor of the page before it."""
    edges = await graph.assoc_range(HAS_COMMENT, post_id, 0, limit + 1, before=before)
    found = await _said(graph, edges[:limit])
    shown = [found[edge.id2] for edge in reversed(edges[:limit]) if edge.id2 in found]
    return shown, edges[limit - 1].cursor if len(edges) > limit else None


async def _said(graph: Graph, edges: Sequence[Edge]) -> dict[int, Said]:
    """The comments at these edges by id, read together with their authors; those of people who are gone are left out."""
    if not edges:
        return {}
    comments, authors = await asyncio.gather(
        graph.obj_get_many(Comment, [edge.id2 for edge in edges]),
        people(graph, {_by.decode(edge.data).author for edge in edges if edge.data is not None}),
    )
    return {
        comment.id: Said(comment, card(authors[comment.data.author]))
        for comment in comments.values()
        if comment.data.author in authors
    }
