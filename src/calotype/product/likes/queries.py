from __future__ import annotations

from collections.abc import Iterable

from calotype.infra.tao import Graph
from calotype.product.likes.types import LIKED_BY, LIKES


async def like_counts(graph: Graph, post_ids: Iterable[int]) -> dict[int, int]:
    return await graph.assoc_count_many(LIKED_BY, post_ids)


async def liked_among(graph: Graph, account_id: int | None, post_ids: Iterable[int]) -> set[int]:
    """Which of these posts somebody likes; none for nobody."""
    if account_id is None:
        return set()
    return {edge.id2 for edge in await graph.assoc_get(LIKES, account_id, post_ids)}
