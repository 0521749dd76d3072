"""Where the benches of a file keep their data, which some of them share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """Short: it holds sockets."""
    directory = Path(tempfile.mkdtemp(prefix="calotype-bench-"))
    yield directory
    shutil.rmtree(directory)
