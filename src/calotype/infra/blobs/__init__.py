"""Blobs: photos' originals and variants, written once, read for ever (the part that Everstore played).

`BlobStore` is the interface; `LocalBlobs` keeps them in a local directory.
"""

from calotype.infra.blobs.local import LocalBlobs
from calotype.infra.blobs.types import (
    BlobExists,
    BlobInfo,
    BlobKey,
    BlobKeyInvalid,
    BlobMissing,
    BlobRangeInvalid,
    BlobStore,
    BlobStream,
    BlobsUnavailable,
    blob_key,
    blob_prefix,
)

__all__ = [
    "BlobExists",
    "BlobInfo",
    "BlobKey",
    "BlobKeyInvalid",
    "BlobMissing",
    "BlobRangeInvalid",
    "BlobStore",
    "BlobStream",
    "BlobsUnavailable",
    "LocalBlobs",
    "blob_key",
    "blob_prefix",
]
