from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cassandra import RunningRing, running_ring


@pytest.fixture(scope="session")
def ring(short_directory: Path) -> Iterator[RunningRing]:
    """Three nodes; whoever kills one starts it again."""
    with running_ring(short_directory) as running:
        yield running
