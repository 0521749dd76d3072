"""Every engine of `BlobStore` runs through the same tests: add it to `ENGINES`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from calotype.infra.blobs import BlobStore, LocalBlobs

ENGINES: dict[str, Callable[[Path], BlobStore]] = {"local": lambda directory: LocalBlobs(directory)}


@pytest.fixture(params=list(ENGINES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return ENGINES[request.param](tmp_path / "store")
