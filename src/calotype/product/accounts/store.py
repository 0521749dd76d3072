"""User names as claims: each is held on the logical shard of its skeleton's hash, so it is unique on the whole site."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from calotype.infra.shards import Shards
from calotype.infra.tao import Graph, Writes
from calotype.product.accounts.names import skeleton

KIND = "username"


def shard_of_key(shards: Shards, key: str) -> int:
    """Where a key is claimed: among the shards of the site's first day, since adding shards must not move a name."""
    candidates = shards.placement.first_shards
    return candidates[int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % len(candidates)]


def _writes(graph: Graph, key: str) -> tuple[Writes, int]:
    shard = shard_of_key(graph.shards, key)
    return graph.writes("people", shard), shard


async def claim(graph: Graph, username: str, id_: int) -> int:
    """Who holds this name or one that looks like it: `id_` if it was free."""
    key = skeleton(username)
    writes, shard = _writes(graph, key)
    return await writes.claim("people", shard, KIND, key, id_)


async def claim_many(graph: Graph, names: Iterable[tuple[str, int]]) -> None:
    """Claim many names that are known to be free, given as (name, id)."""
    by_shard: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for username, id_ in names:
        key = skeleton(username)
        by_shard[shard_of_key(graph.shards, key)].append((key, id_))
    for shard, rows in by_shard.items():
        await graph.writes("people", shard).claim_many("people", shard, KIND, rows)


async def find(graph: Graph, username: str) -> int | None:
    """The id behind the name, as pages look it up."""
    key = skeleton(username)
    held = await graph.claimed("people", shard_of_key(graph.shards, key), KIND, key)
    return None if held is None else held[0]


async def find_many(graph: Graph, usernames: Iterable[str]) -> dict[str, int]:
    """The same of many names; those that are somebody's, one statement a server."""
    keys = {name: skeleton(name) for name in usernames}
    held = await graph.claimed_many(
        "people", KIND, {(shard_of_key(graph.shards, key), key) for key in keys.values()}
    )
    return {name: held[key] for name, key in keys.items() if key in held}


async def holder(graph: Graph, username: str) -> tuple[int, int] | None:
    """(id, since when in ms) of the name as the primary knows it; None when it is free."""
    key = skeleton(username)
    writes, shard = _writes(graph, key)
    return await writes.claimed("people", shard, KIND, key)


async def release(graph: Graph, username: str, id_: int) -> bool:
    key = skeleton(username)
    writes, shard = _writes(graph, key)
    return await writes.release("people", shard, KIND, key, id_)
