from __future__ import annotations

from calotype.infra.ids import shard_of
from calotype.infra.tao import Graph
from calotype.product.accounts.types import AccountId
from calotype.product.likes.types import LIKED, LIKES, Liked
from calotype.product.photos.queries import post_of
from calotype.product.photos.types import PostId


async def like(graph: Graph, account_id: AccountId, post_id: PostId) -> bool:
    """Like a post; False when one did already. Raises `PostMissing`."""
    await post_of(graph, post_id, account_id)
    shard = shard_of(account_id)
    async with graph.transaction("likes", shard) as write:
        written = await write.edge(LIKES, account_id, post_id, time=None, data=None, present=True)
        if written.changed:
            await write.post("likes", shard, LIKED, Liked(account_id, post_id, written.time), 0)
    return written.changed


async def unlike(graph: Graph, account_id: AccountId, post_id: PostId) -> bool:
    """Take a like back; False when there was none. Raises `PostMissing`."""
    await post_of(graph, post_id, None)
    return (await graph.assoc_del(LIKES, account_id, post_id)).changed
