"""Charges CPU to requests.

Everything that a request does on an event loop runs as a callback in the request's context: each step of its tasks and of
the tasks those start (eager ones inside their parent's step), and what it leaves to `call_soon` and `call_later`: `loops`
has them charged. Work in threads comes by `ThreadPoolExecutor.submit`, which every way to a thread (`asyncio.to_thread`,
`run_in_executor`, `sync_to_async`) ends in.

What stays unattributed: the loop's own work, the server's, and what a transport does for several requests at once (what
arrives on a connection that many share arrives in nobody's context). What processes do that a request starts is theirs.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from weakref import ref

from calotype.efficiency.meter.account import CURRENT, Account, Clock, Figures, Offload, peak_rss_kb
from calotype.efficiency.meter.counters import Counter
from calotype.efficiency.meter.loops import Root, Run, attach, attached, detach


class Thread(threading.local):
    def __init__(self, meter: Meter) -> None:
        self.clock = Clock()
        self.run = meter.runner(self.clock)
        self.loop: asyncio.AbstractEventLoop | None = None
        """The one that was attached last, unless it was given back."""
        self.living: set[ref[Account]] = set()
        """Of requests on loops here: as long as a task, a timer or a thread might still do something for them, its context
        keeps their accounts."""


_installed: dict[Meter, Callable[..., Any]] = {}
"""The one that charges what is done in thread pools, and how they took it before."""


class Meter:
    """One a process, as long as it lives."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.attributed = 0
        """The CPU of all requests that are done, and what was used for them since."""
        self.after = 0
        """As much of it was used by background work after the application was done with its request."""
        self._thread = Thread(self)

    def install(self) -> None:
        """Charge what requests have done in thread pools, from now on: takes the place of another meter."""
        if self in _installed:
            return
        for other in list(_installed):
            other.uninstall()
        _installed[self] = ThreadPoolExecutor.submit
        ThreadPoolExecutor.submit = self._metered_submit(ThreadPoolExecutor.submit)  # type: ignore[method-assign]  # the one place all go through

    def uninstall(self) -> None:
        if (submit := _installed.pop(self, None)) is not None:
            ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]  # as it was

    # A request

    async def run[T](self, account: Account, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await what serves a request; it is charged with that and with all that comes of it on the running loop."""
        thread = self._thread
        thread.living.add(ref(account, thread.living.discard))
        thread.loop = asyncio.get_running_loop()
        attach(thread.loop, thread.run)
        token = CURRENT.set(account)
        try:
            result: T = await Root(account, coroutine, thread.clock, thread.run)
            return result
        finally:
            CURRENT.reset(token)

    def rest(self) -> None:
        """A request begins here that is not metered: with no other left of those that are, the loop is given back, for its
        callbacks to cost what they cost without a meter."""
        thread = self._thread
        if thread.loop is not None and not thread.living:
            if attached(thread.loop, thread.run):
                detach(thread.loop)
            thread.loop = None

    @contextmanager
    def thread(self, account: Account) -> Iterator[None]:
        """Charge what this thread does inside to a request that it serves."""
        clock, token = self._thread.clock, CURRENT.set(account)
        outer = self._switch(clock, account)
        try:
            with _watched(account, outer):
                yield
        finally:
            self._switch(clock, outer)
            CURRENT.reset(token)

    def answered(self, account: Account) -> None:
        """The last byte of its answer is sent: what it uses from now on is "after". Called from inside the request."""
        if account.answered_cpu is None:
            self._charge_running(account)
            account.answered_cpu = account.cpu

    def close(self, account: Account) -> Figures:
        """The application is done with the request. What it has left running is charged to `after` from now on."""
        before = account.cpu
        if self._charge_running(account) and account.pending:
            account.ran(account.cpu - before)
        account.closed, account.summed_cpu = True, account.cpu
        answered_cpu = account.cpu if account.answered_cpu is None else account.answered_cpu
        wall_ns = time.perf_counter_ns() - account.began_ns
        offloads = tuple(account.offloads)
        in_threads = sum(one.cpu for one in offloads if not one.after)
        in_threads_after = sum(one.cpu for one in offloads if one.after)
        self.attributed += account.cpu + in_threads + in_threads_after
        return Figures(
            counter=self.counter.name,
            unit=self.counter.unit,
            cpu=answered_cpu + in_threads,
            after_cpu=account.cpu - answered_cpu + in_threads_after,
            offloaded_cpu=in_threads + in_threads_after,
            wall_ns=wall_ns,
            loop_wait_ns=account.loop_wait_ns,
            io_wait_ns=max(0, account.idle_ns - sum(one.wall_ns for one in offloads)),
            steps=account.steps,
            calls=account.calls,
            peak_rss_growth_kb=peak_rss_kb() - account.peak_rss_kb,
            timeline=tuple(account.timeline or ()),
        )

    # Where its work is done

    def runner(self, clock: Clock) -> Run:
        """Runs steps of requests in the thread of that clock. A closure: attributes would be a third of its cost."""
        read, clock_ns = self.counter.read, time.perf_counter_ns

        def run(account: Account, ready_ns: int, step: Callable[..., Any], args: tuple[Any, ...]) -> Any:
            began_ns = clock_ns()
            outer, before = clock.account, account.cpu
            began = read()
            if outer is not None:  # a loop inside another's step
                outer.cpu += began - clock.since
                if outer.probe is not None and outer is not account:
                    step, args = outer.probe.outside, (step, args)
            if account.probe is not None:
                step, args = account.probe.inside, (step, args)
            clock.account, clock.since = account, began
            account.step_ready_ns, account.step_began_ns = ready_ns, began_ns
            try:
                return step(*args)
            finally:
                ended = read()
                account.cpu += ended - clock.since
                clock.account, clock.since = outer, ended
                if account.closed:
                    self._late(account)
                else:
                    account.ran(account.cpu - before)

        return run

    def _charge_running(self, account: Account) -> bool:
        """Whether this thread is working for the request: then with what it has used so far."""
        clock = self._thread.clock
        if clock.account is not account:
            return False
        now = self.counter.read()
        account.cpu += now - clock.since
        clock.since = now
        return True

    def _late(self, account: Account) -> None:
        """Background work of a request that is done has used something."""
        self._add_late(account.cpu - account.summed_cpu)
        account.summed_cpu = account.cpu

    def _add_late(self, cpu: int) -> None:
        self.attributed += cpu
        self.after += cpu

    def _switch(self, clock: Clock, account: Account | None) -> Account | None:
        """From now on the thread works for another; whom it has worked for."""
        outer = clock.account
        if outer is not account:
            now = self.counter.read()
            if outer is not None:
                outer.cpu += now - clock.since
            clock.account, clock.since = account, now
        return outer

    def _metered_submit(self, submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
        @functools.wraps(submit)
        def metered(
            executor: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **named: Any
        ) -> Future[Any]:
            account = CURRENT.get()
            if account is None:
                return submit(executor, function, *args, **named)
            if account.probe is not None:
                function = account.probe.carried(function)
            return submit(executor, self._offload, account, function, *args, **named)

        return metered

    def _offload(self, account: Account, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Call a function in a thread of an executor, for a request that goes on elsewhere meanwhile."""
        token = CURRENT.set(account)
        began_ns, began = time.perf_counter_ns(), self.counter.read()
        try:
            return function(*args, **named)
        finally:
            cpu = self.counter.read() - began
            CURRENT.reset(token)
            if account.closed:
                self._add_late(cpu)
            else:
                wall_ns = time.perf_counter_ns() - began_ns
                account.offloads.append(Offload(cpu, wall_ns, account.answered_cpu is not None))


def _watched(account: Account, outer: Account | None) -> AbstractContextManager[None]:
    if account.probe is not None:
        return account.probe.entered()
    return nullcontext() if outer is None or outer.probe is None else outer.probe.left()
