"""The posts of a tag, newest first. A tag lists what was written; what may be shown is decided here, when it is read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from calotype.infra.tao import START, Cursor, Edge, Graph
from calotype.product.profiles.grid import Listed, visible
from calotype.product.tags import store
from calotype.product.tags.types import TAGGED, Under
from calotype.std.errors import NotFound

READS_A_PAGE = 5
"""Of a page, most of whose posts must not be shown: then it comes shorter."""

_under = msgspec.json.Decoder(Under)


class TagMissing(NotFound):
    code = "tag_missing"


async def below(
    graph: Graph, name: str, limit: int, viewer: int | None, before: Cursor = START
) -> tuple[list[Listed], Cursor | None]:
    """A page of a tag, given by its key, as `viewer` may see it, with the cursor of the next one. A tag that nobody has used is empty."""
    tag = await store.find(graph, name)
    shown: dict[int, Listed] = {}
    older: Cursor | None = None if tag is None else before
    for _ in range(READS_A_PAGE):
        if tag is None or older is None or len(shown) >= limit:
            break
        ask = limit - len(shown)
        edges = await graph.assoc_range(TAGGED, tag, 0, ask + 1, before=older)
        older = edges[ask - 1].cursor if len(edges) > ask else None
        shown |= {each.post.id: each for each in await _visible(graph, edges[:ask], viewer)}
    return list(shown.values()), older


async def above(graph: Graph, name: str, limit: int, viewer: int | None, after: Cursor) -> list[Listed]:
    """Those just newer than the place of a post, newest first."""
    tag = await store.find(graph, name)
    if tag is None:
        return []
    found = await graph.assoc_merge(TAGGED, [tag], limit + 1, after=after)
    newer = [
        each
        for each in await _visible(graph, [edge for _, edge in found], viewer)
        if each.post.id != after[1]
    ]
    return newer[-limit:]


async def _visible(graph: Graph, edges: Sequence[Edge], viewer: int | None) -> list[Listed]:
    """The posts of these edges that `viewer` may see, each once."""
    return await visible(
        graph,
        [edge.id2 if edge.data is None else _under.decode(edge.data).post for edge in edges],
        viewer,
    )
