"""Editing and deleting posts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from django.utils.translation import gettext as _

from calotype.infra.blobs import BlobStore
from calotype.infra.ids import shard_of
from calotype.infra.tao import Graph, Handler, Node, VersionConflict, Writes
from calotype.product.accounts.avatars import Blobs
from calotype.product.accounts.types import AccountId
from calotype.product.photos.actions import prefix
from calotype.product.photos.queries import post_of
from calotype.product.photos.types import POSTED, Post, PostId
from calotype.product.words.parsing import parse
from calotype.product.words.queries import people_in
from calotype.product.words.types import WRITTEN, Written
from calotype.std.errors import Forbidden

CHANGE_TRIES = 5
"""As often a change of a post is begun again because another one came first."""


class NotYours(Forbidden):
    code = "not_yours"


async def edit(
    graph: Graph, author: AccountId, post_id: PostId, *, caption: str, alts: Sequence[str]
) -> Node[Post]:
    """Change the caption and the descriptions, given in the photos' order. Raises `PostMissing`, `NotYours`,
    `VersionConflict`."""
    known = await own_post(graph, author, post_id)
    mentions = await people_in(graph, caption, author, known.data.mentions)

    def edited(post: Post) -> Post:
        photos = [
            msgspec.structs.replace(photo, alt=alts[at] if at < len(alts) else photo.alt)
            for at, photo in enumerate(post.photos)
        ]
        return msgspec.structs.replace(post, caption=caption, photos=photos, mentions=mentions)

    return await change_post(graph, post_id, edited)


Also = Callable[[Writes], Awaitable[None]]
"""What else a transaction writes."""


async def change_post(
    graph: Graph, post_id: int, change: Callable[[Post], Post], also: Also | None = None
) -> Node[Post]:
    """Make of the newest state of a post what `change` makes of it, so that what others write meanwhile is kept: its
    author's words, and what its jobs say of the photographs. `also` writes in the transaction of the change. Raises
    `PostMissing`, `VersionConflict` if it never rests.
    """
    for _try in range(CHANGE_TRIES):
        # From the primary: a cache may be behind, and then no try would ever succeed.
        post = await post_of(Graph(graph.shards), post_id, None)
        changed = change(post.data)
        if changed == post.data:
            return post
        if (made := await _changed(graph, post, changed, also)) is not None:
            return made
    raise VersionConflict(_("The post was changed meanwhile. Look at it again."))


async def _changed(graph: Graph, post: Node[Post], changed: Post, also: Also | None) -> Node[Post] | None:
    """Write it, and have what follows from its words follow; None: another change was faster, or the post is gone."""
    before, after = msgspec.structs.asdict(post.data), msgspec.structs.asdict(changed)
    shard = shard_of(post.id)
    async with graph.transaction("media", shard) as write:
        made = await write.obj_update(
            Post,
            post.id,
            {name: value for name, value in after.items() if value != before[name]},
            post.version,
        )
        if (
            made
            and changed.caption != post.data.caption
            and (parse(changed.caption) or parse(post.data.caption))
        ):
            await write.post("media", shard, WRITTEN, Written(post.id), 0)
        if made and also:
            await also(write)
    return made


async def delete(graph: Graph, author: AccountId, post_id: PostId) -> None:
    """Delete a post with its photographs, originals too. It is gone from every page when this returns; its blobs,
    likes and comments follow within seconds. Raises `PostMissing`, `NotYours`."""
    post = await own_post(graph, author, post_id)
    shard = shard_of(author)
    async with graph.transaction("media", shard) as write:
        await write.obj_delete(Post, post_id)
        await write.edge(POSTED, author, post_id, time=None, data=None, present=False)
        if not post.data.borrowed:
            await write.post(
                "media", shard, "blobs", Blobs([prefix(photo.id) for photo in post.data.photos]), 0
            )


async def own_post(graph: Graph, author: AccountId, post_id: PostId) -> Node[Post]:
    """The post, if it is the author's; raises `PostMissing`, `NotYours`."""
    post = await post_of(graph, post_id, author)
    if post.data.author != author:
        raise NotYours(_("This is somebody else's post: only its author can change it."))
    return post


def remove_blobs(store: BlobStore) -> Handler:
    """The outbox handler of `blobs`."""

    async def handler(payload: bytes) -> None:
        for each in msgspec.json.decode(payload, type=Blobs).prefixes:
            await store.delete_prefix(each)

    return handler
