from __future__ import annotations

from collections.abc import Iterable

import msgspec

from calotype.infra.tao import LIST_LIMIT, Association, Cursor, Graph
from calotype.product.accounts.queries import PersonCard, card, people
from calotype.product.follows.types import FOLLOWED_BY, FOLLOWS


class FollowCounts(msgspec.Struct, frozen=True):
    followers: int
    following: int


async def followees(graph: Graph, follower: int) -> list[int]:
    """Everybody that somebody follows, newest first; at most 6,000."""
    return [edge.id2 for edge in await graph.assoc_range(FOLLOWS, follower, 0, LIST_LIMIT)]


async def followed_among(graph: Graph, follower: int, ids: Iterable[int]) -> set[int]:
    """Which of these people somebody follows."""
    return {edge.id2 for edge in await graph.assoc_get(FOLLOWS, follower, ids)}


async def counts(graph: Graph, id_: int) -> FollowCounts:
    return FollowCounts(await graph.assoc_count(FOLLOWED_BY, id_), await graph.assoc_count(FOLLOWS, id_))


async def page(
    graph: Graph, association: Association, id_: int, before: Cursor, limit: int, viewer: int | None
) -> tuple[list[PersonCard], Cursor | None]:
    """A page of a list of people, as `viewer` may see it, with the cursor of the next one."""
    edges = await graph.assoc_range(association, id_, 0, limit + 1, before=before)
    found = await people(graph, [edge.id2 for edge in edges[:limit]], viewer)
    cards = [card(found[edge.id2]) for edge in edges[:limit] if edge.id2 in found]
    return cards, edges[limit - 1].cursor if len(edges) > limit else None
