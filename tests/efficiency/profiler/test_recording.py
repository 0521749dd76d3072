"""What is recorded: the request's own frames, by the path that called them, whatever the request does."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Literal

import pytest
import uvloop
from asgiref.sync import async_to_sync, sync_to_async
from hypothesis import given
from hypothesis import strategies as st

from calotype.efficiency import meter as meters
from calotype.efficiency.meter import Account, Meter, counter
from calotype.efficiency.profiler import ClockName, Probe, Profile, folded
from calotype.efficiency.profiler.clocks import clock_named, cpu
from tests.efficiency.profiler.profiles import MS, call, calls, paths, recorded, serve

pytestmark = pytest.mark.clock

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner


def runner_is_asyncio(runner: asyncio.Runner) -> bool:
    return isinstance(runner.get_loop(), asyncio.BaseEventLoop)


def burn(ms: float) -> None:
    """Use so much CPU in this thread, in few calls."""
    until = time.thread_time_ns() + int(ms * MS)
    while time.thread_time_ns() < until:
        pass


def work() -> None:
    burn(5)


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    """Whom the collector meets runs its callbacks."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# Calls


def test_paths_are_whole_stacks() -> None:
    def left() -> None:
        work()

    def right() -> None:
        work()
        work()

    def view() -> None:
        left()
        right()

    assert calls(call(view)) == {
        ("view",): 1,
        ("view", "left"): 1,
        ("view", "left", "work"): 1,
        ("view", "left", "work", "burn"): 1,
        ("view", "right"): 1,
        ("view", "right", "work"): 2,
        ("view", "right", "work", "burn"): 2,
    }


class Photo:
    def a(self) -> int:
        return self.x

    def b(self) -> int:
        return self.y

    @cached_property
    def x(self) -> int:
        return self.value(1)

    @cached_property
    def y(self) -> int:
        return self.value(2)

    def value(self, of: int) -> int:
        return of


def test_what_two_callers_reach_through_one_wrapper_stays_apart() -> None:
    """A -> cached_property -> X and B -> cached_property -> Y: never A -> Y."""

    def view() -> None:
        photo = Photo()
        photo.a()
        photo.b()

    profile = call(view)
    assert {
        ("view", "Photo.a", "cached_property.__get__", "Photo.x", "Photo.value"),
        ("view", "Photo.b", "cached_property.__get__", "Photo.y", "Photo.value"),
    } <= set(paths(profile))
    assert calls(folded(profile)) == {
        ("view",): 1,
        ("view", "Photo.a"): 1,
        ("view", "Photo.a", "Photo.x"): 1,
        ("view", "Photo.a", "Photo.x", "Photo.value"): 1,
        ("view", "Photo.b"): 1,
        ("view", "Photo.b", "Photo.y"): 1,
        ("view", "Photo.b", "Photo.y", "Photo.value"): 1,
    }


def test_a_recursion_of_1000_is_a_path_of_1000() -> None:
    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(3_000)
    try:
        profile = call(lambda: deeper(1_000))
    finally:
        sys.setrecursionlimit(limit)
    deepest = max(paths(profile), key=len)
    assert deepest == ("<lambda>", *["deeper"] * 1_001)
    assert len(profile.paths) == 1_003


def test_a_recursion_that_never_ends_raises_as_it_does() -> None:
    def endless() -> None:
        endless()

    def after() -> None:
        pass

    def view() -> None:
        with contextlib.suppress(RecursionError):
            endless()
        after()

    profile = call(view)
    assert calls(profile)[("view", "after")] == 1
    assert sum("endless" in path for path in paths(profile)) > 500


def test_exceptions_and_generators_leave_the_stack_as_it_was() -> None:
    def gives() -> Iterator[int]:
        yield from (1, 2, 3)

    def raises() -> None:
        raise ValueError

    def closes() -> Generator[int]:
        try:
            yield 1
        finally:
            last()

    def last() -> None:
        pass

    def view() -> None:
        for _ in gives():
            with contextlib.suppress(ValueError):
                raises()
        closing = closes()
        next(closing)
        closing.close()
        last()

    found = calls(call(view), "suppress.__init__", "suppress.__enter__", "suppress.__exit__")
    assert found == {
        ("view",): 1,
        ("view", "gives"): 1,
        ("view", "raises"): 3,
        ("view", "closes"): 1,
        ("view", "closes", "last"): 1,
        ("view", "last"): 1,
    }


type Program = list[Statement]
"""What a function does: calls another, loops over a generator, or raises (caught by who calls it)."""

type Statement = tuple[Literal["call", "loop", "raise"], Program]

programs: st.SearchStrategy[Program] = st.recursive(
    st.just([]),
    lambda inner: st.lists(st.tuples(st.sampled_from(["call", "loop", "raise"]), inner), max_size=4),
    max_leaves=25,
)


class Interpreter:
    """Runs a program, and says which paths it took."""

    def __init__(self) -> None:
        self.path: tuple[str, ...] = ()
        self.taken: dict[tuple[str, ...], int] = defaultdict(int)

    def function(self, program: Program) -> None:
        outer, self.path = self.path, (*self.path, "function")
        self.taken[self.path] += 1
        for kind, inner in program:
            if kind == "call":
                self.function(inner)
            elif kind == "loop":
                for _ in self.generator(inner):
                    self.function([])
            else:
                self.caught(inner)
        self.path = outer

    def generator(self, program: Program) -> Iterator[int]:
        outer = self.path
        self.taken[(*outer, "generator")] += 1
        for number in range(3):
            self.path = (*outer, "generator")
            self.function(program)
            self.path = outer
            yield number

    def caught(self, program: Program) -> None:
        outer, self.path = self.path, (*self.path, "caught")
        self.taken[self.path] += 1
        try:
            self.raising(program)
        except ValueError:
            self.path = outer

    def raising(self, program: Program) -> None:
        outer, self.path = self.path, (*self.path, "raising")
        self.taken[self.path] += 1
        self.function(program)
        self.path = outer
        raise ValueError


@given(programs)
def test_any_program_is_recorded_as_it_ran(program: Program) -> None:
    interpreter = Interpreter()
    found = calls(call(lambda: interpreter.function(program)))
    named = {
        tuple(name.removeprefix("Interpreter.") for name in path[1:]): times for path, times in found.items()
    }
    assert {path: times for path, times in named.items() if path} == interpreter.taken


# Coroutines


async def child() -> None:
    await leaf()


async def leaf() -> None:
    work()
    await asyncio.sleep(0.001)
    work()


def own(profile: Profile, *path: str) -> int:
    return paths(profile)[path][1]


def cpu_of(profile: Profile, *path: str) -> int:
    """Own and below."""
    return sum(amount for each, (_, amount) in paths(profile).items() if each[: len(path)] == path)


def assert_burns(profile: Profile, ms: float, *path: str) -> None:
    """In the `work` below a path; what the clock is worth is the meter's business."""
    assert cpu_of(profile, "coroutine", "view", *path, "work") == pytest.approx(ms * MS, rel=0.1)


def test_a_coroutine_goes_on_in_its_own_node(runner: asyncio.Runner) -> None:
    async def view() -> None:
        await child()
        await child()

    profile = runner.run(serve(view))
    below = ("coroutine", "view", "child", "leaf")
    assert paths(profile)[below][0] == 2
    assert paths(profile)[(*below, "work")][0] == 4
    assert_burns(profile, 20, "child", "leaf")
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


async def in_synchronous_code() -> None:
    def synchronous() -> None:
        work()
        async_to_sync(child)()

    await sync_to_async(synchronous)()


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
    assert amount == pytest.approx(works * 5 * MS, rel=0.1)


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

    assert cpu_of(runner.run(caught()), "view", "child", "leaf", "work") == pytest.approx(10 * MS, rel=0.1)


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
    assert_burns(profile, 5)


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
        work()
        with meter.thread(Account()):
            inner()
        work()

    async def inner_step() -> None:
        inner()

    def with_a_loop() -> None:
        work()
        asyncio.run(meter.run(Account(), inner_step()))
        work()

    meter = Meter(counter("thread-cpu"))
    for view in (outer, with_a_loop):
        account = Account()
        account.probe = probe = Probe(clock_named("cpu"))
        with meter.thread(account):
            view()
        profile = recorded(probe)
        assert not any("inner" in path or "inner_step" in path for path in paths(profile))
        assert paths(profile)[(view.__name__, "work")][0] == 2
        assert cpu_of(profile, view.__name__, "work") == pytest.approx(10 * MS, rel=0.1)


# Clocks


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

    profile = call(view, cpu(of_the_kernel() if by == "task-clock" else counter("thread-cpu")))
    assert profile.unit == "ns"
    assert own(profile, "view", "waits") < 2 * MS
    assert cpu_of(profile, "view", "work") == pytest.approx(5 * MS, rel=0.1)


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
