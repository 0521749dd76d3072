from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from calotype.infra.ids import time_ms
from calotype.infra.tao import START, Cursor, Edge, Graph
from calotype.product.accounts.queries import PersonCard, card, people
from calotype.product.comments.types import HAS_COMMENT, Comment, Quote

_quote = msgspec.json.Decoder(Quote)


class Said(msgspec.Struct, frozen=True):
    """A comment as pages show it; `at` in milliseconds since 1970."""

    id: int
    author: PersonCard
    text: str
    mentions: dict[str, int]
    at: int


async def comment_counts(graph: Graph, post_ids: Iterable[int]) -> dict[int, int]:
    return await graph.assoc_count_many(HAS_COMMENT, post_ids)


async def commenters(graph: Graph, post_ids: Iterable[int], amount: int) -> dict[int, set[int]]:
    """Who wrote the last `amount` comments under each post."""
    lists = await graph.assoc_range_many(HAS_COMMENT, post_ids, amount)
    return {
        post_id: {_quote.decode(edge.data).author for edge in edges if edge.data is not None}
        for post_id, edges in lists.items()
    }


async def latest(
    graph: Graph, post_ids: Iterable[int], amount: int, viewer: int | None
) -> dict[int, list[Said]]:
    """The last comments under each post, oldest of them first; of the last `amount`, those that `viewer` may see."""
    lists = await graph.assoc_range_many(HAS_COMMENT, post_ids, amount)
    said = await _said(graph, [edge for edges in lists.values() for edge in edges], viewer)
    return {
        post_id: [said[edge.id2] for edge in reversed(edges) if edge.id2 in said]
        for post_id, edges in lists.items()
    }


async def one(graph: Graph, comment_id: int) -> Said | None:
    """One comment; None when it or its author is gone."""
    node = await graph.obj_get(Comment, comment_id)
    if node is None:
        return None
    authors = await people(graph, [node.data.author], None)
    if node.data.author not in authors:
        return None
    author = card(authors[node.data.author])
    return Said(node.id, author, node.data.text, node.data.mentions, node.data.at or time_ms(node.id))


async def page(
    graph: Graph, post_id: int, limit: int, viewer: int | None, before: Cursor = START
) -> tuple[list[Said], Cursor | None]:
    """Comments under a post that `viewer` may see, oldest of the page first, with the cursor of the page before it."""
    edges = await graph.assoc_range(HAS_COMMENT, post_id, 0, limit + 1, before=before)
    said = await _said(graph, edges[:limit], viewer)
    shown = [said[edge.id2] for edge in reversed(edges[:limit]) if edge.id2 in said]
    return shown, edges[limit - 1].cursor if len(edges) > limit else None


async def _said(graph: Graph, edges: Sequence[Edge], viewer: int | None) -> dict[int, Said]:
    """The comments at these edges, by id; those of people whom `viewer` may not see are left out."""
    quotes = {edge: _quote.decode(edge.data) for edge in edges if edge.data is not None}
    authors = await people(graph, {quote.author for quote in quotes.values()}, viewer)
    cards = {id_: card(author) for id_, author in authors.items()}
    return {
        edge.id2: Said(edge.id2, cards[quote.author], quote.text, quote.mentions, edge.time)
        for edge, quote in quotes.items()
        if quote.author in cards
    }
