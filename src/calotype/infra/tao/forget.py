"""What follows the deletion of an object: its associations go too, in both directions, in the background.

Until then reads of the objects at the other end simply do not find it. Idempotent: what is gone is skipped.
"""

from __future__ import annotations

import msgspec

from calotype.infra.tao.graph import Graph
from calotype.infra.tao.relay import Handler
from calotype.infra.tao.types import START, Association, all_associations

PAGE = 500


class Forgotten(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `forget`."""

    id: int
    otype: int


def forget(graph: Graph) -> Handler:
    """The handler of `forget` rows."""

    async def handler(payload: bytes) -> None:
        gone = msgspec.json.decode(payload, type=Forgotten)
        for association in all_associations():
            await _empty(graph, association, gone.id)

    return handler


async def _empty(graph: Graph, association: Association, id_: int) -> None:
    """Delete every edge of one list, always from its forward side, walking down it once.

    An inverse row goes when its message is applied. One without a forward side is an orphan, which `graph check
    --repair` mends; the walk goes on behind it.
    """
    before = START
    while edges := await graph.assoc_range(association, id_, 0, PAGE, before=before):
        before = edges[-1].cursor
        if association.owns is not None:
            await graph.obj_delete_many(association.owns, [edge.id2 for edge in edges])
        if association.forward:
            await graph.assoc_del_many(association, [(id_, edge.id2) for edge in edges])
        else:
            assert association.inverse is not None
            await graph.assoc_del_many(association.inverse, [(edge.id2, id_) for edge in edges])
