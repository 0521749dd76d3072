"""Posts in the graph."""

from __future__ import annotations

from typing import NewType

import msgspec

from calotype.infra.ids import time_ms
from calotype.infra.tao import Node, association, association_pair, object_type

PostId = NewType("PostId", int)

PHOTOS_PER_POST = 20
FILES_PER_UPLOAD = 60
CAPTION_LIMIT = 2_200
ALT_LIMIT = 1_500


class Photo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One photograph of a post. `widths` are those of its stored variants in pixels, ascending: each as JPEG and WebP."""

    id: int
    width: int
    height: int
    blurhash: str
    widths: list[int]
    alt: str = ""
    avif: bool = False
    """Each of `widths` is stored as AVIF too."""
    recipe: str = ""
    """What its author did to it, as `photos.recipe` writes it. Then what is shown is made of the edited rendition."""
    revises: int = 0
    """The photograph whose place it took when it was edited again (`revisions`): an edit that is sent twice is known by it."""


@object_type(2, partition="media")
class Post(msgspec.Struct, frozen=True, omit_defaults=True):
    """Photographs in the order that their author gave them, with a caption. Lives on its author's shard."""

    author: int
    photos: list[Photo]
    caption: str = ""
    at: int = 0
    """When it was posted, in ms since 1970, if not when its id was made (demo content, imports)."""
    mentions: dict[str, int] = {}
    """The names in the caption that were somebody's when it was written, and whose: what shows them need not ask."""
    borrowed: bool = False
    """Its photographs are stored for other posts too (populations), so they stay when it is deleted."""


@object_type(30, partition="media")
class StagedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that is being uploaded in chunks (`staging`). Lives on its owner's shard."""

    owner: int
    name: str
    """Only ever shown to its owner."""
    size: int
    """In bytes, as announced; 0 once it is refused, since nothing of it is kept then."""
    sha256: str = ""
    """In hexadecimal, if the browser has said it."""
    checked: bool = False
    """It has arrived whole, and can be decoded."""
    refused: str = ""
    """Why it is no photograph, as a sentence and as the code of an error."""
    reason: str = ""


STAGED = association(30, "staged", partition="media")
"""From an account to each of its files that are on their way."""

EXPIRED = "staged"


class FileExpired(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `EXPIRED`: whatever is left of a file by then goes."""

    file: int


PUBLISHED = "published"


class PostPublished(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `PUBLISHED`: a post is there to be seen. `at`: its place in every list."""

    post: int
    author: int
    at: int


STORED = "stored"


class PhotoStored(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `STORED`: a photograph is posted with its display variants, and lacks the others."""

    post: int
    photo: int


def posted_at(post: Node[Post]) -> int:
    """In milliseconds since 1970: the time of its place in every list."""
    return post.data.at or time_ms(post.id)


POSTED, POSTED_BY = association_pair(3, "posted", 4, "posted_by", partition="media")
