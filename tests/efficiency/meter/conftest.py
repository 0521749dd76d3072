"""A meter by each counter that counts time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from calotype.efficiency.meter import CounterName, Meter, counter


@pytest.fixture(params=["thread-cpu", "task-clock"])
def meter(request: pytest.FixtureRequest) -> Iterator[Meter]:
    """With each counter that counts time: the kernel's goes through the code that counts instructions."""
    name: CounterName = request.param
    made = Meter(counter(name))
    made.install()
    yield made
    made.uninstall()
