"""Every engine of `BlobStore` runs through the same tests: add it to `ENGINES`, and a fixture of its own that makes one."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from calotype.infra.blobs import BlobStore, LocalBlobs, S3Blobs, ensure_bucket
from tests.versitygw import RunningVersitygw

ENGINES = ["local", pytest.param("s3", marks=pytest.mark.s3)]

_numbers = itertools.count(1)


@pytest.fixture
def bucket_name() -> str:
    return f"bucket-{next(_numbers)}"


@pytest.fixture
async def s3(versitygw: RunningVersitygw, bucket_name: str) -> AsyncIterator[S3Blobs]:
    """A new bucket."""
    bucket = versitygw.bucket(bucket_name)
    await ensure_bucket(bucket)
    yield S3Blobs(bucket)


@pytest.fixture
def local(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "store")


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest) -> BlobStore:
    made: BlobStore = request.getfixturevalue(request.param)
    return made
