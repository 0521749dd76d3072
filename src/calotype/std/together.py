"""Several pieces of work at once, at no cost for those that need not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, overload


@overload
async def together[A, B](a: Coroutine[Any, Any, A], b: Coroutine[Any, Any, B], /) -> tuple[A, B]: ...
@overload
async def together[A, B, C](
    a: Coroutine[Any, Any, A], b: Coroutine[Any, Any, B], c: Coroutine[Any, Any, C], /
) -> tuple[A, B, C]: ...
@overload
async def together[A, B, C, D](
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    /,
) -> tuple[A, B, C, D]: ...
@overload
async def together[A, B, C, D, E, F](
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    e: Coroutine[Any, Any, E],
    f: Coroutine[Any, Any, F],
    /,
) -> tuple[A, B, C, D, E, F]: ...


async def together(*work: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """The results, in order; the first error is raised, and then the others are given up.

    Each is run at once until it first waits, and only the rest of it is left to the loop: answers that are at hand cost
    no turn of it. What several ask for before they wait still goes out together.
    """
    loop = asyncio.get_running_loop()
    tasks = [asyncio.Task(each, loop=loop, eager_start=True) for each in work]
    waiting = [task for task in tasks if not task.done()]
    try:
        if waiting:
            await asyncio.gather(*waiting)
        return tuple([task.result() for task in tasks])
    except BaseException:
        for task in waiting:
            task.cancel()
        raise
