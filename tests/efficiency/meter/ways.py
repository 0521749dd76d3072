"""Requests that burn a known amount of CPU, in every way there is, and what they are charged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import async_to_sync, sync_to_async

from calotype.efficiency.meter import Account, Figures, Meter
from tests.efficiency.burning import burn

WAY_MS = 40
"""Burnt by each way: much against what asyncio itself needs for it, which is the request's too."""
ERROR = 0.05
ERROR_NS = 100_000
ROUNDS = 3
"""The median counts: a machine that shares its cores takes milliseconds from whom it meets. The kernel's task clock runs on
meanwhile, the threads' own clock that `burn` reads seldom does."""


async def served(meter: Meter, serve: Callable[[], Awaitable[None]]) -> Figures:
    """As a server does: a task of its own for each request."""

    async def one() -> Figures:
        account = Account()
        await meter.run(account, wrapped(serve))
        return meter.close(account)

    return await asyncio.create_task(one())


async def wrapped(serve: Callable[[], Awaitable[None]]) -> None:
    await serve()


# Ways to burn `WAY_MS`


async def in_steps() -> None:
    for _ in range(4):
        burn(10)
        await asyncio.sleep(0)


async def in_children() -> None:
    async def child() -> None:
        burn(10)
        await asyncio.sleep(0.001)
        burn(10)

    await asyncio.gather(child(), child())


async def in_a_group_of_groups() -> None:
    async def child() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(in_one_step(10))
            await in_one_step(10)

    async with asyncio.TaskGroup() as group:
        group.create_task(child())
        group.create_task(child())


async def in_one_step(ms: float = WAY_MS) -> None:
    burn(ms)


async def in_eager_tasks() -> None:
    loop = asyncio.get_running_loop()
    burn(10)
    tasks = [asyncio.Task(in_steps_of(10, 5), loop=loop, eager_start=True) for _ in range(2)]
    burn(10)
    await asyncio.gather(*tasks)


async def in_steps_of(first: float, second: float) -> None:
    burn(first - second)
    await asyncio.sleep(0)
    burn(second)


async def in_an_async_generator() -> None:
    async def pieces() -> AsyncIterator[int]:
        for piece in range(4):
            burn(5)
            yield piece
            await asyncio.sleep(0)

    async for _ in pieces():
        burn(5)


async def in_a_thread() -> None:
    await asyncio.to_thread(burn, WAY_MS)


async def in_an_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, burn, WAY_MS)


async def in_an_executor_of_its_own() -> None:
    with ThreadPoolExecutor(2) as pool:
        await asyncio.gather(*(asyncio.wrap_future(pool.submit(burn, 20)) for _ in range(2)))


async def in_synchronous_code() -> None:
    await sync_to_async(burn)(WAY_MS)


async def in_coroutines_of_synchronous_code() -> None:
    def synchronous() -> None:
        burn(10)
        async_to_sync(in_one_step)(20)
        burn(10)

    await sync_to_async(synchronous)()


async def in_callbacks() -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(burn, 10)
    loop.call_later(0.001, burn, 10)
    loop.call_at(loop.time() + 0.002, burn, 10)
    future = loop.create_future()
    future.add_done_callback(lambda _: burn(10))
    loop.call_later(0.003, future.set_result, None)
    await future
    await asyncio.sleep(0)


async def in_what_was_cancelled() -> None:
    async def child() -> None:
        try:
            burn(20)
            await asyncio.sleep(60)
        finally:
            burn(20)

    task = asyncio.create_task(child())
    await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


WAYS = [
    in_steps,
    in_children,
    in_a_group_of_groups,
    in_one_step,
    in_eager_tasks,
    in_an_async_generator,
    in_a_thread,
    in_an_executor,
    in_an_executor_of_its_own,
    in_synchronous_code,
    in_coroutines_of_synchronous_code,
    in_callbacks,
    in_what_was_cancelled,
]


def assert_close(measured_ns: float, expected_ns: float, by: str = "") -> None:
    error_ns = abs(measured_ns - expected_ns)
    assert error_ns <= max(
        ERROR * expected_ns, ERROR_NS
    ), f"{measured_ns / 1e3:.0f} us, and not {expected_ns / 1e3:.0f} {by}"
