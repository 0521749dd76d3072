from __future__ import annotations

from calotype.infra.ids import compose
from calotype.infra.tao import Graph
from calotype.product.explore.types import Ranking
from calotype.product.profiles.grid import Listed, visible


def ranking_id(graph: Graph) -> int:
    """Of the one ranking: an id of the moment when ids begin, which no clock has given to anything, on a shard of the
    site's first day, which stays one."""
    return compose(0, graph.shards.placement.first_shards[0], 1)


async def ranking(graph: Graph) -> Ranking | None:
    """The ranking as it was made last; None before the first."""
    node = await graph.obj_get(Ranking, ranking_id(graph))
    return None if node is None else node.data


async def popular(
    graph: Graph, found: Ranking, limit: int, viewer: int | None, offset: int = 0
) -> list[Listed]:
    """The posts of a ranking that `viewer` may see now, best first."""
    return (await visible(graph, [each.post for each in found.posts], viewer))[offset : offset + limit]
