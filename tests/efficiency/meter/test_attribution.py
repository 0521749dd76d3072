"""Who is charged: requests that burn known amounts of CPU in every way, interleaved, on each loop and each counter."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from statistics import median

import pytest
from asgiref.sync import async_to_sync

from calotype.efficiency.meter import CURRENT, Account, Figures, Meter
from tests.efficiency.burning import MS, burn
from tests.efficiency.meter.ways import (
    ROUNDS,
    WAY_MS,
    WAYS,
    assert_close,
    in_a_group_of_groups,
    in_children,
    in_one_step,
    in_steps,
    served,
    wrapped,
)

pytestmark = pytest.mark.clock

EACH_ONCE = pytest.mark.parametrize(
    ("meter", "runner"), [("thread-cpu", "uvloop"), ("task-clock", "asyncio")], indirect=True
)
"""Counters know nothing of loops, and each way by itself is tried with all of both: for what takes seconds."""


@EACH_ONCE
def test_fifty_requests_at_once_are_charged_what_each_of_them_burns(
    meter: Meter, runner: asyncio.Runner
) -> None:
    ways = [WAYS[n % len(WAYS)] for n in range(50)]

    async def all_of_them() -> list[Figures]:
        return await asyncio.gather(*(served(meter, way) for way in ways))

    rounds = [runner.run(all_of_them()) for _ in range(ROUNDS)]
    for way, *figures in zip(ways, *rounds, strict=True):
        assert_close(median(one.cpu for one in figures), WAY_MS * MS, way.__name__)
        assert all(one.after_cpu == 0 for one in figures)


@pytest.mark.parametrize("way", WAYS)
def test_a_way_to_burn_is_charged(
    way: Callable[[], Awaitable[None]], meter: Meter, runner: asyncio.Runner
) -> None:
    assert_close(median(runner.run(served(meter, way)).cpu for _ in range(ROUNDS)), WAY_MS * MS)


@EACH_ONCE
def test_requests_and_what_nobody_asked_for_are_all_that_the_process_uses(
    meter: Meter, runner: asyncio.Runner
) -> None:
    async def beside() -> None:
        for _ in range(20):
            burn(2)
            await asyncio.sleep(0)

    async def all_of_it() -> None:
        thread = threading.Thread(target=burn, args=(40,))
        thread.start()
        await asyncio.gather(
            *(served(meter, way) for way in WAYS), asyncio.create_task(beside()), asyncio.to_thread(burn, 20)
        )
        thread.join()

    def error() -> float:
        process, attributed = time.process_time_ns(), meter.attributed
        runner.run(all_of_it())
        process, attributed = time.process_time_ns() - process, meter.attributed - attributed
        return (attributed + 100 * MS) / process - 1

    assert abs(median(error() for _ in range(ROUNDS))) <= 0.02


def test_a_site_whose_loop_makes_eager_tasks_is_charged_once(meter: Meter) -> None:
    """asyncio's: that of uvloop refuses this factory before Python 3.14."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_task_factory(asyncio.eager_task_factory)
        for way in (in_children, in_a_group_of_groups, in_steps):
            assert_close(
                median(runner.run(served(meter, way)).cpu for _ in range(ROUNDS)), WAY_MS * MS, way.__name__
            )


def test_what_goes_on_after_the_answer_is_after(meter: Meter, runner: asyncio.Runner) -> None:
    left: list[asyncio.Task[None]] = []

    async def serve() -> None:
        burn(10)
        account = CURRENT.get()
        assert account is not None
        meter.answered(account)
        burn(15)
        await asyncio.to_thread(burn, 5)
        left.append(asyncio.create_task(background()))

    async def background() -> None:
        await asyncio.sleep(0.001)
        burn(25)
        await asyncio.to_thread(burn, 10)

    async def until_all_is_done() -> Figures:
        before = meter.after
        figures = await served(meter, serve)
        assert meter.after - before < MS / 2, "what little follows in the step that closed it"
        await asyncio.gather(*left)
        return figures

    rounds: list[Figures] = []
    later: list[int] = []
    for _ in range(ROUNDS):
        before = meter.after
        rounds.append(runner.run(until_all_is_done()))
        later.append(meter.after - before)
    assert_close(median(figures.cpu for figures in rounds), 10 * MS)
    assert_close(median(figures.after_cpu for figures in rounds), 20 * MS)
    assert_close(median(later), 35 * MS)
    assert meter.attributed == sum(figures.cpu + figures.after_cpu for figures in rounds) + meter.after


def test_waiting_for_the_loop_is_told_from_waiting_for_others(meter: Meter, runner: asyncio.Runner) -> None:
    async def waits_for_others() -> None:
        await asyncio.sleep(0.05)

    async def busy() -> None:
        for _ in range(3):
            burn(10)
            await asyncio.sleep(0)

    async def both() -> tuple[Figures, ...]:
        return await asyncio.gather(served(meter, waits_for_others), served(meter, busy), served(meter, busy))

    sleeper, one, other = runner.run(both())
    assert sleeper.io_wait_ns > 25 * MS
    assert one.loop_wait_ns >= 19 * MS
    assert other.loop_wait_ns >= 19 * MS
    assert one.io_wait_ns < 5 * MS
    assert sleeper.wall_ns >= sleeper.io_wait_ns + sleeper.loop_wait_ns


def test_a_view_that_raises_and_one_that_is_cancelled_are_charged(
    meter: Meter, runner: asyncio.Runner
) -> None:
    async def raises() -> None:
        burn(3)
        raise ValueError("as it does")

    async def hangs() -> None:
        burn(3)
        await asyncio.sleep(60)

    async def cpu(serve: Callable[[], Awaitable[None]]) -> int:
        account = Account()
        task = asyncio.create_task(meter.run(account, wrapped(serve)))
        await asyncio.sleep(0.01)
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome, ValueError | asyncio.CancelledError)
        assert CURRENT.get() is None
        return meter.close(account).cpu

    for serve in (raises, hangs):
        assert_close(median(runner.run(cpu(serve)) for _ in range(ROUNDS)), 3 * MS)


def test_a_timeline_has_the_steps_in_their_order(meter: Meter, runner: asyncio.Runner) -> None:
    async def one() -> Figures:
        account = Account(timeline=True)
        await meter.run(account, in_steps())
        return meter.close(account)

    rounds = [runner.run(one()) for _ in range(ROUNDS)]
    for figures in rounds:
        assert figures.steps == len(figures.timeline) == 5, figures.timeline
        for step, following in pairwise(figures.timeline):
            assert step.queued_ns <= step.began_ns < step.ended_ns <= following.began_ns
    for number in range(4):
        assert_close(median(figures.timeline[number].cpu for figures in rounds), 10 * MS)


def test_threads_of_synchronous_servers_are_charged(meter: Meter) -> None:
    figures: list[Figures] = []

    def serve(ms: float) -> None:
        account = Account()
        with meter.thread(account):
            burn(ms / 2)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(burn, ms / 4).result()
            async_to_sync(in_one_step)(ms / 4)
        burn(5)
        figures.append(meter.close(account))

    for _ in range(ROUNDS):
        threads = [threading.Thread(target=serve, args=(100 * n,)) for n in range(1, 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    by_cost = sorted(one.cpu for one in figures)
    for n in range(3):
        assert_close(median(by_cost[n * ROUNDS : (n + 1) * ROUNDS]), 100 * (n + 1) * MS)
