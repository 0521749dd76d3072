"""An event loop that runs the callbacks of a request for that request.

The loop's ways to schedule a callback are replaced, in the instance, by ones that look into the callback's context.
asyncio and uvloop both take that, and asyncio's tasks and futures schedule themselves through it; no task, coroutine or
private name is touched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from calotype.efficiency.meter.account import CURRENT, Account, Clock

Run = Callable[[Account, int, Callable[..., Any], tuple[Any, ...]], Any]
"""Call something for a request, which was ready to run at that time (`time.perf_counter_ns`)."""

_ATTACHED = "_calotype_meter"
_SCHEDULING = ("call_soon", "call_later", "call_at", "call_soon_threadsafe")


def attach(loop: asyncio.AbstractEventLoop, run: Run) -> None:
    """Have what is scheduled from now on run by `run`, if it is a request's. Takes the place of another `run`."""
    if attached(loop, run):
        return
    detach(loop)
    clock_ns = time.perf_counter_ns
    call_soon, call_later, call_at = loop.call_soon, loop.call_later, loop.call_at
    call_soon_threadsafe = loop.call_soon_threadsafe

    def metered_call_soon(
        callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        account = CURRENT.get() if context is None else context.get(CURRENT)
        if account is None:
            return call_soon(callback, *args, context=context)
        now_ns = clock_ns()
        account.ready(now_ns)
        if account.probe is not None:
            callback = account.probe.carried(callback)
        return call_soon(run, account, now_ns, callback, args, context=context)

    def run_due(
        account: Account, due_ns: int, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        ready_ns = min(due_ns, clock_ns())  # a loop may round to milliseconds
        account.ready(ready_ns)
        run(account, ready_ns, callback, args)

    def metered_call_at(
        when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        account = CURRENT.get() if context is None else context.get(CURRENT)
        if account is None or callback is run_due:
            return call_at(when, callback, *args, context=context)
        if account.probe is not None:
            callback = account.probe.carried(callback)
        due_ns = clock_ns() + int((when - loop.time()) * 1e9)
        return call_at(when, run_due, account, due_ns, callback, args, context=context)

    def metered_call_later(
        delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        account = CURRENT.get() if context is None else context.get(CURRENT)
        if account is None or callback is run_due:
            return call_later(delay, callback, *args, context=context)
        if account.probe is not None:
            callback = account.probe.carried(callback)
        due_ns = clock_ns() + int(delay * 1e9)
        return call_later(delay, run_due, account, due_ns, callback, args, context=context)

    def metered_call_soon_threadsafe(
        callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        account = CURRENT.get() if context is None else context.get(CURRENT)
        if account is None:
            return call_soon_threadsafe(callback, *args, context=context)
        if account.probe is not None:
            callback = account.probe.carried(callback)
        # That it is ready is noted by the thread that the account belongs to.
        return call_soon_threadsafe(run_due, account, clock_ns(), callback, args, context=context)

    # Loops of asyncio end in `call_at`, those of uvloop in `call_later`, and each looks the other up in the instance.
    vars(loop).update(
        {
            _ATTACHED: run,
            "call_soon": metered_call_soon,
            "call_at": metered_call_at,
            "call_later": metered_call_later,
            "call_soon_threadsafe": metered_call_soon_threadsafe,
        }
    )


def attached(loop: asyncio.AbstractEventLoop, run: Run) -> bool:
    return vars(loop).get(_ATTACHED) is run


def detach(loop: asyncio.AbstractEventLoop) -> None:
    """As before `attach`. What was scheduled meanwhile is still charged."""
    for name in (_ATTACHED, *_SCHEDULING):
        vars(loop).pop(name, None)


class Root:
    """What serves a request, awaited by a server: its steps are the request's, whatever schedules them."""

    __slots__ = ("_account", "_clock", "_coroutine", "_run")

    def __init__(self, account: Account, coroutine: Coroutine[Any, Any, Any], clock: Clock, run: Run) -> None:
        self._account, self._coroutine, self._clock, self._run = account, coroutine, clock, run

    def __await__(self) -> Root:
        return self

    def __iter__(self) -> Root:
        return self

    def __next__(self) -> Any:
        return self._step(self._coroutine.send, (None,))

    def send(self, value: Any) -> Any:
        return self._step(self._coroutine.send, (value,))

    def throw(self, *raised: Any) -> Any:
        return self._step(self._coroutine.throw, raised)

    def close(self) -> None:
        self._coroutine.close()

    def _step(self, of: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        account = self._account
        if self._clock.account is account:  # the loop has run this step for the request already
            return of(*args)
        now_ns = time.perf_counter_ns()
        account.ready(now_ns)
        return self._run(account, now_ns, of, args)
