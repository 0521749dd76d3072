"""What the amounts of a profile are: CPU, time or memory, charged to the frame that used them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from statistics import median

import pytest

from calotype.efficiency import meter as meters
from calotype.efficiency.meter import counter
from calotype.efficiency.profiler import ClockName
from calotype.efficiency.profiler.clocks import cpu
from tests.efficiency.burning import MS
from tests.efficiency.profiler.profiles import call, calls, paths, serve
from tests.efficiency.profiler.work import cpu_of, in_synchronous_code, own, work

pytestmark = pytest.mark.clock


def of_the_kernel() -> meters.Counter:
    """Read as instructions are."""
    return counter("task-clock")


@pytest.mark.parametrize("by", ["thread-cpu", "task-clock"])
def test_cpu_is_what_the_thread_uses_and_not_what_it_waits(by: str) -> None:
    def waits() -> None:
        time.sleep(0.03)

    def view() -> None:
        waits()
        work()

    clock = cpu(of_the_kernel() if by == "task-clock" else counter("thread-cpu"))
    profiles = [call(view, clock) for _ in range(3)]
    assert {profile.unit for profile in profiles} == {"ns"}
    # The kernel's clock runs on while the machine has other things to do.
    assert median(own(profile, "view", "waits") for profile in profiles) < 2 * MS
    assert median(cpu_of(profile, "view", "work") for profile in profiles) == pytest.approx(5 * MS, rel=0.1)


def test_wall_time_is_charged_to_the_coroutine_that_waits(runner: asyncio.Runner) -> None:
    async def waits() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_later(0.03, done.set_result, None)
        await done

    async def between() -> None:
        await waits()

    async def view() -> None:
        await between()

    found = paths(runner.run(serve(view, "wall")))
    assert found[("coroutine", "view", "between", "waits")][1] >= 28 * MS
    assert found[("coroutine", "view", "between")][1] < 10 * MS
    assert found[("coroutine", "view")][1] < 10 * MS


def test_an_async_generator_does_not_wait_while_others_use_what_it_gave(runner: asyncio.Runner) -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def view() -> None:
        async for _ in items():
            await asyncio.sleep(0.02)

    found = paths(runner.run(serve(view, "wall")))
    assert found[("coroutine", "view", "items")][1] < 10 * MS
    assert found[("coroutine", "view", "sleep")][1] >= 36 * MS


def test_memory_is_charged_to_who_allocates() -> None:
    def allocates() -> bytes:
        return bytes(1_000_000)

    def keeps_nothing() -> None:
        pass

    def view() -> None:
        kept = allocates()
        for _ in range(1_000):
            keeps_nothing()
        assert kept

    profile = call(view, "memory")
    found = paths(profile)
    assert profile.unit == "bytes"
    assert found[("view", "allocates")][1] == pytest.approx(1_000_000, rel=0.01)
    assert found[("view", "keeps_nothing")][1] < 50_000


@pytest.mark.parametrize("clock", ["cpu", "wall", "memory"])
def test_each_clock_sees_the_same_paths(clock: ClockName, runner: asyncio.Runner) -> None:
    async def view() -> None:
        await in_synchronous_code()

    found = calls(runner.run(serve(view, clock)))
    assert sum(times for path, times in found.items() if path[-1] == "work") == 3
