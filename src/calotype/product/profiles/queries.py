"""People whom somebody might want to follow."""

from __future__ import annotations

import asyncio

import msgspec

from calotype.infra.tao import Graph
from calotype.product.accounts.queries import PersonCard, card, newest
from calotype.product.follows.queries import followed_among
from calotype.product.follows.types import FOLLOWED_BY
from calotype.product.photos.types import POSTED

CANDIDATES = 60


class Suggestion(msgspec.Struct, frozen=True):
    person: PersonCard
    followers: int
    posts: int


async def to_find(graph: Graph, viewer: int, limit: int) -> list[Suggestion]:
    """Among those who joined last, people whom `viewer` does not follow: who has posted first, then by followers."""
    people = [node for node, _ in await newest(graph, CANDIDATES, viewer) if node.id != viewer]
    ids = [node.id for node in people]
    followed, followers, posts = await asyncio.gather(
        followed_among(graph, viewer, ids),
        graph.assoc_count_many(FOLLOWED_BY, ids),
        graph.assoc_count_many(POSTED, ids),
    )
    found = [
        Suggestion(card(node), followers[node.id], posts[node.id])
        for node in people
        if node.id not in followed
    ]
    return sorted(found, key=lambda each: (each.posts == 0, -each.followers, each.person.id))[:limit]
