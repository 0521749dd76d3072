"""Whose frames are in a profile: those of the request, until it ends, and of nothing that runs beside it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator

import pytest

from calotype.efficiency.meter import Account, Meter, counter
from calotype.efficiency.profiler import Probe, Profile
from calotype.efficiency.profiler.clocks import clock_named
from tests.efficiency.burning import MS, burn, burnt
from tests.efficiency.profiler.profiles import paths, recorded, serve
from tests.efficiency.profiler.work import assert_burns, child, cpu_of, work

pytestmark = pytest.mark.clock


# How a request ends


def test_a_view_that_raises_is_recorded_until_then(runner: asyncio.Runner) -> None:
    async def view() -> None:
        await child()
        raise ValueError("as it does")

    async def caught() -> Profile:
        meter, account = Meter(counter("thread-cpu")), Account()
        account.probe = probe = Probe(clock_named("cpu"))
        with pytest.raises(ValueError, match="as it does"):
            await meter.run(account, view())
        return recorded(probe)

    assert cpu_of(runner.run(caught()), "view", "child", "leaf", "work") == pytest.approx(burnt(), rel=0.1)


def test_a_view_that_is_cancelled_is_recorded_with_what_it_does_then(runner: asyncio.Runner) -> None:
    async def inner() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            work()
            await asyncio.sleep(0)

    async def view() -> None:
        try:
            await inner()
        finally:
            work()

    async def cancelled() -> Profile:
        meter, account = Meter(counter("thread-cpu")), Account()
        account.probe = probe = Probe(clock_named("cpu"))
        task = asyncio.create_task(meter.run(account, view()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return recorded(probe)

    found = paths(runner.run(cancelled()))
    assert found[("view", "inner", "work")][0] == 1
    assert found[("view", "work")][0] == 1


def test_a_view_that_streams_is_recorded_while_its_answer_is_read(runner: asyncio.Runner) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            work()
            await asyncio.sleep(0)
            yield b"piece"

    async def view() -> AsyncIterator[bytes]:
        return pieces()

    async def answered() -> None:
        async for _ in await view():
            pass

    found = paths(runner.run(serve(answered)))
    assert found[("coroutine", "answered", "pieces", "work")][0] == 3
    assert found[("coroutine", "answered", "view")][0] == 1


def test_a_view_that_never_awaits_is_recorded(runner: asyncio.Runner) -> None:
    async def view() -> None:
        work()

    profile = runner.run(serve(view))
    assert_burns(profile)


def test_what_goes_on_after_the_end_is_not_recorded_and_goes_on(runner: asyncio.Runner) -> None:
    done: list[str] = []

    async def background() -> None:
        await asyncio.sleep(0.005)
        work()
        done.append("background")

    async def until_all_is_done() -> Profile:
        tasks: list[asyncio.Task[None]] = []

        async def view() -> None:
            tasks.append(asyncio.create_task(background()))
            await asyncio.sleep(0)

        profile = await serve(view)
        await tasks[0]
        return profile

    found = paths(runner.run(until_all_is_done()))
    assert done == ["background"]
    assert not any("work" in path for path in found)
    assert sys.monitoring.get_tool(sys.monitoring.PROFILER_ID) is None


def test_a_profile_ended_by_the_request_itself_has_what_was_before(runner: asyncio.Runner) -> None:
    async def request() -> Profile:
        probes: list[Probe] = []

        async def view() -> None:
            work()
            probes[0].close()
            await child()

        meter, account = Meter(counter("thread-cpu")), Account()
        account.probe = Probe(clock_named("cpu"))
        probes.append(account.probe)
        await meter.run(account, view())
        return recorded(probes[0])

    found = paths(runner.run(request()))
    assert found[("view", "work")][0] == 1
    assert ("view", "child") not in found


# Only the request


def test_other_requests_and_threads_leave_no_trace(runner: asyncio.Runner) -> None:
    def elsewhere() -> None:
        while not over.is_set():
            stranger()

    def stranger() -> None:
        pass

    async def other() -> None:
        while not over.is_set():
            stranger()
            await asyncio.sleep(0)

    async def view() -> None:
        for _ in range(20):
            work_a_little()
            await asyncio.sleep(0)

    def work_a_little() -> None:
        burn(0.5)

    async def together() -> Profile:
        meter = Meter(counter("thread-cpu"))
        others = [
            asyncio.create_task(other()),
            *(asyncio.create_task(meter.run(Account(), other())) for _ in range(3)),
        ]
        thread = threading.Thread(target=elsewhere)
        thread.start()
        profile = await serve(view)
        over.set()
        await asyncio.gather(*others)
        thread.join()
        over.clear()
        return profile

    over = threading.Event()
    profiles = [runner.run(together()) for _ in range(3)]
    for found in map(paths, profiles):
        assert {name for path in found for name in path} & {"stranger", "other", "elsewhere"} == set()
        assert found[("coroutine", "view", "work_a_little")][0] == 20
    # The least: whatever else runs on this machine only adds.
    assert min(profile.amount for profile in profiles) == pytest.approx(10 * MS, rel=0.25)


def test_a_request_inside_the_step_of_another_is_not_part_of_it() -> None:
    def inner() -> None:
        work()

    def outer() -> None:
        work("outer")
        with meter.thread(Account()):
            inner()
        work("outer")

    async def inner_step() -> None:
        inner()

    def with_a_loop() -> None:
        work("with_a_loop")
        asyncio.run(meter.run(Account(), inner_step()))
        work("with_a_loop")

    meter = Meter(counter("thread-cpu"))
    for view in (outer, with_a_loop):
        account = Account()
        account.probe = probe = Probe(clock_named("cpu"))
        with meter.thread(account):
            view()
        profile = recorded(probe)
        assert not any("inner" in path or "inner_step" in path for path in paths(profile))
        assert paths(profile)[(view.__name__, "work")][0] == 2
        assert cpu_of(profile, view.__name__, "work") == pytest.approx(burnt(view.__name__), rel=0.1)
