"""Patches are applied and undone by these tests; afterwards they are as they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from calotype.web.patches import PATCHES


@pytest.fixture(autouse=True)
def as_they_were() -> Iterator[None]:
    applied = [patch for patch in PATCHES if patch.applied]
    yield
    for patch in PATCHES:
        patch.undo()
    for patch in applied:
        patch.apply()


@pytest.fixture(params=["Django's", "patched"])
def either(request: pytest.FixtureRequest) -> None:
    """Without and with the patches."""
    for patch in PATCHES:
        patch.undo() if request.param == "Django's" else patch.apply()
