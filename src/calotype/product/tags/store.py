"""Tags by name: each name is claimed on the logical shard of its hash, and the tag lies there too."""

from __future__ import annotations

from collections.abc import Iterable

from calotype.infra.tao import Graph
from calotype.product.accounts.store import shard_of_key
from calotype.product.tags.types import Tag

KIND = "tag"


async def find(graph: Graph, name: str) -> int | None:
    """The tag of this name, given as its key; None when no text has had it."""
    held = await graph.claimed("media", shard_of_key(graph.shards, name), KIND, name)
    return None if held is None else held[0]


async def find_or_make(graph: Graph, names: Iterable[str]) -> dict[str, int]:
    """The tags of these names; those that there are not yet are made. Durable when it returns."""
    wanted = list(names)
    found = await graph.claimed_many(
        "media", KIND, [(shard_of_key(graph.shards, name), name) for name in wanted]
    )
    return found | {name: await _make(graph, name) for name in wanted if name not in found}


async def _make(graph: Graph, name: str) -> int:
    """Claim and object together: a name that is held has its tag."""
    shard = shard_of_key(graph.shards, name)
    (id_,) = await graph.shards.next_ids(shard)
    async with graph.transaction("media", shard) as write:
        held_by = await write.claim("media", shard, KIND, name, id_)
        if held_by == id_:
            await write.obj_add(Tag(name), shard, id_)
    return held_by
