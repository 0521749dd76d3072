"""Editing the photographs of a post once more: from the original, with the recipe that it has.

What media addresses show never changes, so an edited photograph is a new one: it gets another id, and with it other addresses;
likes, comments and the post's place hang on the post. The original goes with it, byte for byte. In one transaction the post names
the new photograph, the old one's blobs are given up, and the new one's are kept; before that, the outbox of the shard says, as with an
upload, that they shall be removed.

An edit may be sent again, by somebody whose connection broke before the answer came. The new photograph says which one it took the place
of; so the same rendition by the same recipe, sent for that one, is answered with the photograph that there is.
"""

from __future__ import annotations

import hashlib

import msgspec
from django.utils.translation import gettext as _

from calotype.infra.blobs import BlobKey, BlobMissing
from calotype.infra.ids import shard_of
from calotype.infra.imaging import Recipe, process
from calotype.infra.imaging.types import MAX_VARIANT_SIDE
from calotype.infra.tao import Graph, Writes
from calotype.product.accounts.avatars import Blobs
from calotype.product.accounts.types import AccountId
from calotype.product.photos.actions import (
    ABANDONED_MS,
    RENDER_EVERY_MS,
    Upload,
    in_imaging,
    prefix,
    store,
)
from calotype.product.photos.changes import change_post, own_post
from calotype.product.photos.queries import PhotoMissing, photo_in
from calotype.product.photos.recipe import read, written
from calotype.product.photos.types import STORED, Photo, PhotoStored, Post, PostId
from calotype.std.errors import Forbidden
from calotype.web.site import Site

OPENED_EVERYWHERE = frozenset({"jpeg", "png", "webp", "gif", "avif"})
"""Formats that browsers decode. Of the others (HEIC) the editor gets a JPEG."""

WHOLE = Recipe(widths=(MAX_VARIANT_SIDE,), square=0, formats=("jpeg",), jpeg_quality=95)


class Borrowed(Forbidden):
    """The photographs of this post are stored for other posts too."""

    code = "photo_borrowed"


async def original_of(site: Site, author: AccountId, post_id: PostId, photo_id: int) -> BlobKey:
    """Where the original of one's own photograph lies. Raises `PostMissing`, `NotYours`, `Borrowed`, `PhotoMissing`, `BlobMissing`."""
    post = await own_post(site.graph, author, post_id)
    if post.data.borrowed:
        raise Borrowed(_("The photos of this post cannot be edited."))
    photo_in(post.data, photo_id)
    async for info in site.blobs.list(prefix(photo_id)):
        if info.key.rpartition("/")[2].startswith("original-"):
            return info.key
    raise BlobMissing(f"photo {photo_id} has no original")


def format_of(original: BlobKey) -> str:
    return original.rpartition(".")[2]


async def opened_everywhere(site: Site, original: BlobKey) -> bytes:
    """An original that browsers cannot decode, as a JPEG of its size. Raises `ImageRefused`, `BlobMissing`."""
    data = await site.blobs.get(original)
    made = await in_imaging(site, lambda: process(data, recipe=WHOLE))
    return made.variants[-1].data


async def revise(
    site: Site, author: AccountId, post_id: PostId, photo_id: int, *, edited: bytes, recipe: bytes
) -> Photo:
    """Show a rendition in place of a photograph; with a recipe that changes nothing, its original again. Durable when it
    returns the photograph as it is then; sent once more, it returns the same. Raises what `original_of` and `store` raise, and
    `VersionConflict`.
    """
    try:
        return await _revised(site, author, post_id, photo_id, edited, recipe)
    except (PhotoMissing, BlobMissing):
        if (photo := await _already(site, author, post_id, photo_id, edited, recipe)) is None:
            raise
        return photo


async def _already(
    site: Site, author: AccountId, post_id: PostId, photo_id: int, edited: bytes, recipe: bytes
) -> Photo | None:
    """What the same edit made of a photograph when it came before. Read from the primary: a cache may not have it yet."""
    post = await own_post(Graph(site.graph.shards), author, post_id)
    photo = next((photo for photo in post.data.photos if photo.revises == photo_id), None)
    if photo is None:
        return None
    asked = read(recipe)
    if photo.recipe != ("" if asked.is_plain else written(asked)):
        return None
    return photo if asked.is_plain or await _has_rendition(site, photo.id, edited) else None


async def _has_rendition(site: Site, photo_id: int, edited: bytes) -> bool:
    name = f"{prefix(photo_id)}/edited-{hashlib.sha256(edited).hexdigest()}."
    return any([info.key.startswith(name) async for info in site.blobs.list(prefix(photo_id))])


async def _revised(
    site: Site, author: AccountId, post_id: PostId, photo_id: int, edited: bytes, recipe: bytes
) -> Photo:
    original = await site.blobs.get(await original_of(site, author, post_id, photo_id))
    shard = shard_of(author)
    (id_,) = await site.graph.shards.next_ids(shard, 1)
    async with site.graph.transaction("media", shard) as write:
        pending = await write.post("media", shard, "blobs", Blobs([prefix(id_)]), ABANDONED_MS)
    made, _notes = await store(site, id_, Upload("", original, edited=edited, recipe=recipe))

    def revised(post: Post) -> Post:
        photo_in(post, photo_id)  # another edit may have been faster
        photos = [
            msgspec.structs.replace(made, alt=photo.alt, revises=photo_id) if photo.id == photo_id else photo
            for photo in post.photos
        ]
        return msgspec.structs.replace(post, photos=photos)

    async def follow(write: Writes) -> None:
        await write.post("media", shard, "blobs", Blobs([prefix(photo_id)]), 0)
        await write.post("media", shard, STORED, PhotoStored(post_id, id_), RENDER_EVERY_MS)
        await write.take_back("media", shard, [pending])

    post = await change_post(site.graph, post_id, revised, follow)
    return photo_in(post.data, id_)
