"""What coroutines, tasks, callbacks and threads do is under what started them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.efficiency.burning import burnt
from tests.efficiency.profiler.profiles import paths, serve
from tests.efficiency.profiler.work import assert_burns, child, in_synchronous_code, leaf, work

pytestmark = pytest.mark.clock


def runner_is_asyncio(runner: asyncio.Runner) -> bool:
    return isinstance(runner.get_loop(), asyncio.BaseEventLoop)


def test_a_coroutine_goes_on_in_its_own_node(runner: asyncio.Runner) -> None:
    async def view() -> None:
        await child()
        await child()

    profile = runner.run(serve(view))
    below = ("coroutine", "view", "child", "leaf")
    assert paths(profile)[below][0] == 2
    assert paths(profile)[(*below, "work")][0] == 4
    assert_burns(profile, "child", "leaf")
    assert not any("_run_once" in name or "Runner" in name for path in paths(profile) for name in path)
    assert [path for path in paths(profile) if "work" in path and path[: len(below)] != below] == []


def test_tasks_callbacks_and_threads_are_under_what_started_them(runner: asyncio.Runner) -> None:
    async def view() -> None:
        await tasks()
        await thread()
        await callback()

    async def tasks() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(child())

    async def thread() -> None:
        await asyncio.to_thread(work)

    async def callback() -> None:
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.001, called, done)
        await done

    def called(done: asyncio.Future[None]) -> None:
        work()
        done.set_result(None)

    profile = runner.run(serve(view))
    found = {path: times for path, (times, _) in paths(profile).items() if path[-1] == "work"}
    assert {(path[2], path[-2]): times for path, times in found.items()} == {
        ("tasks", "leaf"): 4,
        ("thread", "BaseEventLoop.run_in_executor" if runner_is_asyncio(runner) else "to_thread"): 1,
        ("callback", "called"): 1,
    }
    assert {path[:2] for path in found} == {("coroutine", "view")}


async def in_an_eager_task() -> None:
    await asyncio.gather(asyncio.Task(child(), loop=asyncio.get_running_loop(), eager_start=True))


async def in_an_executor() -> None:
    with ThreadPoolExecutor(2) as pool:
        await asyncio.gather(*(asyncio.wrap_future(pool.submit(work)) for _ in range(2)))


async def in_an_async_generator() -> None:
    async def items() -> AsyncIterator[int]:
        for number in range(2):
            await leaf()
            yield number

    async for _ in items():
        work()


@pytest.mark.parametrize(
    ("way", "works"),
    [(in_synchronous_code, 3), (in_an_eager_task, 2), (in_an_executor, 2), (in_an_async_generator, 6)],
)
def test_each_way_to_run_something_is_under_who_does(
    way: Callable[[], Awaitable[None]], works: int, runner: asyncio.Runner
) -> None:
    async def view() -> None:
        await way()

    profile = runner.run(serve(view))
    found = {path: times for path, (times, _) in paths(profile).items() if path[-1] == "work"}
    assert sum(found.values()) == works
    assert {path[:3] for path in found} == {("coroutine", "view", way.__name__)}
    amount = sum(amount for path, (_, amount) in paths(profile).items() if path[-2:] == ("work", "burn"))
    assert amount == pytest.approx(burnt(), rel=0.1)


def test_an_async_generator_is_under_each_that_asks_it(runner: asyncio.Runner) -> None:
    async def items() -> AsyncIterator[int]:
        while True:
            yield 1

    async def first(of: AsyncIterator[int]) -> None:
        await anext(of)

    async def second(of: AsyncIterator[int]) -> None:
        await anext(of)
        work()

    async def view() -> None:
        of = items()
        await first(of)
        await second(of)

    found = paths(runner.run(serve(view)))
    assert {("coroutine", "view", "first", "items"), ("coroutine", "view", "second", "items")} <= set(found)
    assert ("coroutine", "view", "second", "work", "burn") in found
