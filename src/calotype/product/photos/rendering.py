"""What follows an upload: the variants that nobody waits for, and their names in the post.

The order is what makes it safe to stop anywhere, to run twice and to run beside an edit or a deletion. A post is named
what it has only after that is stored. And it is read, on its primary, after the last blob was stored: if it is there, its
deletion comes later, and so does the removal of its blobs; if it is gone, that removal may have come before our blobs, so
they are removed again. A run that is stopped between the two is run again, and finds the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import msgspec

from calotype.infra.blobs import BlobExists, BlobKey, BlobMissing, blob_key
from calotype.infra.imaging import Processed, Recipe, Variant, process
from calotype.infra.tao import Graph
from calotype.product.photos.actions import change_post, prefix
from calotype.product.photos.queries import PhotoMissing, PostMissing, photo_in, post_of
from calotype.product.photos.types import Photo, Post
from calotype.web.site import Site

log = logging.getLogger(__name__)

EVERYTHING = Recipe(square=0, formats=("jpeg", "webp", "avif"))
"""Without the square, which the upload makes and no page asks for in AVIF."""


async def render(site: Site, post_id: int, photo_id: int) -> None:
    """Make the variants that a photograph lacks, and name them in its post. Durable when it returns.

    Leaves nothing behind of a photograph whose post was deleted, at whatever moment. Raises `ImageRefused` for an original
    that cannot be decoded any longer, `BlobsUnavailable`, `VersionConflict`.
    """
    try:
        # A cache may still have a post that is gone, so it is not asked.
        photo_in((await post_of(Graph(site.graph.shards), post_id, None)).data, photo_id)
        await _name(site.graph, post_id, photo_id, await _store_missing(site, photo_id))
    except (PhotoMissing, PostMissing):
        await site.blobs.delete_prefix(prefix(photo_id))


async def _store_missing(site: Site, photo_id: int) -> set[str]:
    """Store what is missing of `EVERYTHING`; the names of all files that are there then."""
    keys = [info.key async for info in site.blobs.list(prefix(photo_id))]
    stored = {key.rpartition("/")[2] for key in keys}
    source = source_of(keys)
    try:
        original = await site.blobs.get(source) if source else None
    except BlobMissing:
        original = None
    if original is None:  # removed with its post, which is about to be seen
        log.info("photo %d has no original: nothing is made of it", photo_id)
        return stored
    made = await _processed(site, original, stored)
    for variant in made.variants:
        await _store(site, photo_id, variant)
    return stored | {variant.file for variant in made.variants}


def source_of(keys: Sequence[BlobKey]) -> BlobKey | None:
    """What the variants of a photograph are made of: its edited rendition if there is one, else its original."""
    names = {key.rpartition("/")[2].partition("-")[0]: key for key in keys}
    return names.get("edited") or names.get("original")


async def _processed(site: Site, original: bytes, stored: set[str]) -> Processed:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(
        site.imaging, lambda: process(original, recipe=EVERYTHING, stored=stored)
    )


async def _store(site: Site, photo_id: int, variant: Variant) -> None:
    with contextlib.suppress(BlobExists):  # another run of this job has stored it
        await site.blobs.put(
            blob_key(f"{prefix(photo_id)}/{variant.file}"), variant.data, variant.content_type
        )


async def _name(graph: Graph, post_id: int, photo_id: int, files: set[str]) -> None:
    """Say in the post what there is of a photograph. Raises `PostMissing`, `PhotoMissing`."""

    def named(post: Post) -> Post:
        photo_in(post, photo_id)
        photos = [with_files(photo, files) if photo.id == photo_id else photo for photo in post.photos]
        return msgspec.structs.replace(post, photos=photos)

    await change_post(graph, post_id, named)


def with_files(photo: Photo, files: set[str]) -> Photo:
    """A photograph of which these files are stored. What it was said to have before, it keeps."""
    both = _widths(files, "jpeg") & _widths(files, "webp") | set(photo.widths)
    return msgspec.structs.replace(
        photo, widths=sorted(both), avif=photo.avif or both <= _widths(files, "avif")
    )


def _widths(files: set[str], format: str) -> set[int]:
    names = (file.split(".") for file in files)
    return {int(stem) for stem, suffix in names if suffix == format and stem.isdecimal()}
