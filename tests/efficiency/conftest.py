"""Of tests that measure."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.efficiency import burning


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    """A collection takes milliseconds in a process as large as this, and is charged to whom it meets."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def nothing_burnt_yet() -> None:
    burning.forget()
