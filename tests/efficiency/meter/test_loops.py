"""Which meter has a loop, and until when."""

from __future__ import annotations

import asyncio
from statistics import median

import pytest

from calotype.efficiency.meter import Meter, counter, detach
from tests.efficiency.burning import MS, burn
from tests.efficiency.meter.ways import ROUNDS, WAY_MS, assert_close, in_steps, served

pytestmark = pytest.mark.clock


def test_a_loop_is_charged_by_the_meter_that_came_last(meter: Meter, runner: asyncio.Runner) -> None:
    before = Meter(counter())

    def charged(by: Meter) -> float:
        return median(runner.run(served(by, in_steps)).cpu for _ in range(ROUNDS))

    assert_close(charged(before), WAY_MS * MS)
    attributed = before.attributed
    assert_close(charged(meter), WAY_MS * MS)
    assert before.attributed == attributed
    detach(runner.get_loop())
    assert "call_soon" not in vars(runner.get_loop())


def test_a_loop_is_given_back_when_nothing_can_be_charged_any_longer(
    meter: Meter, runner: asyncio.Runner
) -> None:
    left: list[asyncio.Task[None]] = []

    async def serve() -> None:
        left.append(asyncio.create_task(background()))

    async def background() -> None:
        await asyncio.sleep(0.001)
        burn(10)
        await asyncio.to_thread(burn, 10)
        burn(10)

    async def rounds() -> list[int]:
        loop, charged = asyncio.get_running_loop(), list[int]()
        for _ in range(ROUNDS):
            before = meter.after
            await served(meter, serve)
            meter.rest()
            assert "call_soon" in vars(loop), "its background task goes on"
            await left.pop()
            charged.append(meter.after - before)
            await asyncio.sleep(0)  # until the task's last step has let go of its context
            meter.rest()
            assert "call_soon" not in vars(loop)
        return charged

    assert_close(median(runner.run(rounds())), 30 * MS)


def test_a_loop_that_another_meter_has_taken_is_not_given_back(meter: Meter, runner: asyncio.Runner) -> None:
    async def nothing() -> None:
        pass

    other = Meter(counter())
    runner.run(served(meter, nothing))
    runner.run(served(other, nothing))
    meter.rest()
    assert "call_soon" in vars(runner.get_loop())
    other.rest()
    assert "call_soon" not in vars(runner.get_loop())
