from __future__ import annotations

from collections.abc import Iterable

from calotype.infra.tao import START, Cursor, Graph, Node
from calotype.product.comments.types import HAS_COMMENT, Comment


async def comment_counts(graph: Graph, post_ids: Iterable[int]) -> dict[int, int]:
    return await graph.assoc_count_many(HAS_COMMENT, post_ids)


async def latest(graph: Graph, post_ids: Iterable[int], amount: int) -> dict[int, list[Node[Comment]]]:
    """The last comments under each post, oldest of them first."""
    lists = await graph.assoc_range_many(HAS_COMMENT, post_ids, amount)
    found = await graph.obj_get_many(Comment, [edge.id2 for edges in lists.values() for edge in edges])
    return {
        post_id: [found[edge.id2] for edge in reversed(edges) if edge.id2 in found]
        for post_id, edges in lists.items()
    }


async def page(
    graph: Graph, post_id: int, limit: int, before: Cursor = START
) -> tuple[list[Node[Comment]], Cursor | None]:
    """Comments under a post, oldest of the page first, with the cursor of the page before it."""
    edges = await graph.assoc_range(HAS_COMMENT, post_id, 0, limit + 1, before=before)
    found = await graph.obj_get_many(Comment, [edge.id2 for edge in edges[:limit]])
    comments = [found[edge.id2] for edge in reversed(edges[:limit]) if edge.id2 in found]
    return comments, edges[limit - 1].cursor if len(edges) > limit else None
