"""What a blob store is: keys, errors and the one interface every engine keeps.

A blob is bytes under a key, written once and never changed. So an answer may be cached for ever, a retry of a write is
harmless, and "it exists" means the same as "it is stored".
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import NewType, Protocol

import msgspec

from calotype.std.errors import CalotypeError, Conflict, NotFound, Unavailable

BlobKey = NewType("BlobKey", str)
"""A key that passed `blob_key`."""

MAX_KEY_CHARACTERS = 512
MAX_SEGMENT_CHARACTERS = 200
# S3 takes keys of 1,024 bytes and file systems names of 255 bytes; one character is one byte in our alphabet.
assert MAX_KEY_CHARACTERS <= 1024
assert MAX_SEGMENT_CHARACTERS <= 255

DEFAULT_CHUNK_BYTES = 256 * 1024

# Lower case only: macOS and Windows fold case, so `A.jpg` and `a.jpg` would be one file there and two objects on S3.
# A directory has no dot and a blob has one (its extension): thus no key can be both a blob and the directory of another,
# which S3 allows and a file system cannot hold.
_DIRECTORY = re.compile(r"[a-z0-9_-]+")
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_CONTENT_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]*")


class BlobMissing(NotFound):
    code = "blob_missing"


class BlobExists(Conflict):
    """The key is taken, and what it holds is durable. Nothing was changed."""

    code = "blob_exists"


class BlobKeyInvalid(CalotypeError):
    """A mistake of the calling code, never of a person: keys are made by us."""

    code = "blob_key_invalid"


class BlobRangeInvalid(CalotypeError):
    code = "blob_range_invalid"
    status = 416


class BlobsUnavailable(Unavailable):
    """The store does not answer, is full, or did not finish within the deadline. Nothing was acknowledged."""

    code = "blobs_unavailable"


class BlobInfo(msgspec.Struct, frozen=True):
    key: BlobKey
    size_bytes: int
    modified: datetime
    """With its time zone."""


class BlobStream(msgspec.Struct, frozen=True):
    """Bytes `start` up to, not including, `end` of a blob of `size_bytes`; iterate `chunks` once."""

    size_bytes: int
    start: int
    end: int
    chunks: AsyncIterator[bytes]


class BlobStore(Protocol):
    """Create-only bytes by key. Every method may raise `BlobsUnavailable`, and `BlobKeyInvalid` before any I/O.

    No method blocks the event loop, and each ends within the current deadline (`calotype.std.deadline`).
    """

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store `data` under a new key. When it returns the blob is durable: it survives a crash and a loss of power.

        Raises `BlobExists` when the key is taken; of any number of concurrent puts exactly one succeeds. A reader sees
        the whole blob or none. `content_type` (`image/jpeg`) is for stores that serve blobs themselves.
        """

    async def get(self, key: str) -> bytes:
        """All bytes of the blob. Raises `BlobMissing`."""

    async def open(
        self, key: str, *, start: int = 0, end: int | None = None, chunk_bytes: int = DEFAULT_CHUNK_BYTES
    ) -> BlobStream:
        """A stream of the bytes from `start` up to, not including, `end` (clipped to the blob's size).

        No chunk is empty, all but the last have about `chunk_bytes`. Raises `BlobMissing`, and `BlobRangeInvalid` when
        the range holds no byte (an empty blob can be opened whole, and has no chunks). A blob that is deleted while it is
        read may end the iteration with `BlobMissing`.
        """

    async def head(self, key: str) -> BlobInfo:
        """Size and time of a blob. Raises `BlobMissing`."""

    async def delete(self, key: str) -> bool:
        """Remove one blob durably; False when there was none. Two at once may both say True."""

    async def delete_prefix(self, prefix: str) -> int:
        """Remove every blob below a directory (`photos/7`, which does not match `photos/77`) and count them.

        The empty prefix is refused. Blobs put meanwhile may or may not be removed; two removals at once may both count one.
        """

    def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        """Every blob below a directory, in no particular order; blobs put or removed meanwhile may or may not appear."""

    async def healthy(self) -> bool:
        """Whether a blob could be stored and read now. Logs the reason when not; never raises."""


def blob_key(text: str) -> BlobKey:
    """`text` as a key, or `BlobKeyInvalid`.

    A key is directories and a name, joined by `/`: directories of `a-z 0-9 _ -`, and a name that also has an extension,
    as in `photos/1f/1f3c-640.jpg`. At most 512 characters, 200 in a segment.
    """
    *directories, name = text.split("/")
    fits = len(text) <= MAX_KEY_CHARACTERS and all(
        len(s) <= MAX_SEGMENT_CHARACTERS for s in (*directories, name)
    )
    if not (fits and all(map(_DIRECTORY.fullmatch, directories)) and _NAME.fullmatch(name)):
        raise BlobKeyInvalid(
            f"not a blob key: {text[:100]!r}; keys look like photos/1f/1f3c-640.jpg", key=text[:100]
        )
    return BlobKey(text)


def blob_prefix(text: str) -> str:
    """`text` as a prefix without a slash at its end: directories, or the empty string for everything."""
    prefix = text.removesuffix("/")
    directories = prefix.split("/") if prefix else []
    fits = len(prefix) <= MAX_KEY_CHARACTERS and all(len(s) <= MAX_SEGMENT_CHARACTERS for s in directories)
    if not (fits and all(map(_DIRECTORY.fullmatch, directories))):
        raise BlobKeyInvalid(
            f"not a blob prefix: {text[:100]!r}; prefixes are directories like photos/1f", key=text[:100]
        )
    return prefix


def checked_content_type(text: str) -> str:
    """`text`, or `BlobKeyInvalid` when it is not a bare media type: it becomes an HTTP header one day."""
    if len(text) > 100 or not _CONTENT_TYPE.fullmatch(text):
        raise BlobKeyInvalid(f"not a content type: {text[:100]!r}")
    return text


def checked_range(size_bytes: int, start: int, end: int | None) -> tuple[int, int]:
    """The range clipped to the blob, or `BlobRangeInvalid`. The whole of an empty blob is a valid range."""
    stop = size_bytes if end is None else min(end, size_bytes)
    whole = start == 0 and end is None
    if start < 0 or (start >= stop and not whole):
        raise BlobRangeInvalid(
            f"the range from {start} to {'the end' if end is None else end} holds none of the blob's {size_bytes} bytes",
            start=start,
            end=end,
            size_bytes=size_bytes,
        )
    return start, stop
