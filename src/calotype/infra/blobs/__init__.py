"""Blobs: photos' originals and variants, written once, read for ever (the part that Everstore played).

`BlobStore` is the interface; `LocalBlobs` keeps them in a local directory, `S3Blobs` in a bucket.
"""

from calotype.infra.blobs.local import LocalBlobs
from calotype.infra.blobs.s3 import S3Blobs, ensure_bucket
from calotype.infra.blobs.s3_client import Bucket
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
    "Bucket",
    "LocalBlobs",
    "S3Blobs",
    "blob_key",
    "blob_prefix",
    "ensure_bucket",
]
