"""`calotype bench profiler`: what profiling one request costs, and how near its figures come, beside other profilers.

The request renders a page of Django templates: some five thousand calls in about a millisecond, which is as dense as Python
gets, so that costs are those of the worst case. Measured, in turns: CPU of this thread for one page, bare and under

- `calotype`, with each of its clocks;
- `cProfile`, by its own clock (time) and by CPU; `yappi`, likewise; `pyinstrument`, every millisecond;
- the mechanisms one could build on, as bare as they can be: `sys.monitoring` with callbacks that do nothing, without and
  with those for calls of C; a thread that looks at the stack every millisecond; a timer's signal that does.

Costs are until one has figures: `pstats.Stats`, `get_func_stats`, a `Profile`. Then what each says that the page has cost, against what it costs unprofiled, and how many of its functions it has seen.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import pstats
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import CodeType, FrameType
from typing import Any

import django
from django.conf import settings
from django.template import engines

from benchmarks import requirements
from benchmarks.report import Options, Report, Row, report, row
from calotype.cli.bars import Bar
from calotype.efficiency.meter import Account, Meter, counter
from calotype.efficiency.profiler import ClockName, Probe, Profiler
from calotype.efficiency.profiler.calibration import Calibration
from calotype.efficiency.profiler.clocks import Clock, clock_named
from calotype.efficiency.profiler.profile import of_tree

ROUNDS = 60
INTERVAL_S = 0.001
STEPS = 10
"""Of an asynchronous request, each of which renders a part of the page."""

TARGET_BY_CPU = 1.0
"""Of the CPU that `cProfile` and `yappi` need when they count CPU."""

TARGET_AFTER = 1.1
"""Of a bare page, for the first that is rendered after a profiled one."""

LIMIT_ERROR = 20.0
"""Percent, between what the profile says and what a bare page costs."""

LIMIT_PROBE_NS = 1_000.0
"""To find that a request is not profiled."""

BARE, AFTER = "bare", "after a profiled one"
CPU, WALL, MEMORY = "calotype by CPU", "calotype by time", "calotype by memory"
CPROFILE, CPROFILE_CPU = "cProfile", "cProfile by CPU"
YAPPI, YAPPI_CPU = "yappi", "yappi by CPU"
PYINSTRUMENT = "pyinstrument"
EMPTY, EMPTY_C = "sys.monitoring", "sys.monitoring and C"
THREAD, SIGNAL = "sampling thread", "signal timer"

PAGE = """{% for post in posts %}<article><h2>{{ post.title|title }}</h2>
{% if post.liked %}<b>{{ post.likes }}</b>{% else %}{{ post.likes|add:1 }}{% endif %}
{% for comment in post.comments %}<p>{{ comment.author|lower }}: {{ comment.text|truncatewords:5 }}</p>{% endfor %}
</article>{% endfor %}"""


@dataclass
class Seen:
    """What one profile says."""

    cpu_ns: float | None = None
    """Of the page; None: it counts something else."""
    functions: int | None = None


type Page = Callable[[], object]
type Case = Callable[[Page], Seen]


@dataclass
class Found:
    """Of one case, in all rounds."""

    cpu_ns: list[float] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def typical_ms(self) -> float:
        return median(self.cpu_ns) / 1e6

    def says_ns(self) -> float | None:
        said = [each.cpu_ns for each in self.seen if each.cpu_ns is not None]
        return median(said) if said else None

    def functions(self) -> float | None:
        counts = [each.functions for each in self.seen if each.functions is not None]
        return median(counts) if counts else None


def run(options: Options) -> Report:
    """In this process and thread; nothing is started."""
    requirements.ensure()
    page, rounds = _page(), 5 if options.quick else ROUNDS
    found = _in_turns(page, _cases(), rounds)
    steps = _steps(page, rounds)
    rows = [*_cost_rows(found), *_error_rows(found), *_step_rows(steps), *_rest(page, rounds)]
    return report("profiler", ("django", "yappi", "pyinstrument"), rows, {})


def _page() -> Page:
    if not settings.configured:
        backend = "django.template.backends.django.DjangoTemplates"
        settings.configure(TEMPLATES=[{"BACKEND": backend, "OPTIONS": {}}], USE_I18N=False)
        django.setup()
    template = engines["django"].from_string(PAGE)
    comments = [{"author": "Somebody", "text": "some text that is long enough to be cut " * 2}] * 3
    posts = [{"title": f"post {n}", "liked": n % 2, "likes": n, "comments": comments} for n in range(20)]
    return lambda: template.render({"posts": posts})


def _in_turns(page: Page, cases: Mapping[str, Case], rounds: int) -> dict[str, Found]:
    """One page each, round after round. Before each two bare ones, so that it finds code and caches as they are on a site."""
    found = {name: Found() for name in cases}
    with _uncollected(), Bar("rounds") as bar:
        for number in range(rounds + 1):
            for name, case in cases.items():
                if name != AFTER:
                    page(), page()
                began = time.thread_time_ns()
                seen = case(page)
                cpu_ns = time.thread_time_ns() - began
                if number:  # the first warms up
                    found[name].cpu_ns.append(cpu_ns)
                    found[name].seen.append(seen)
                gc.collect(0)
            bar.update(number, rounds)
    return found


@contextmanager
def _uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# The profilers


def _cases() -> dict[str, Case]:
    """In this order: the one that is after a profiled one is."""
    return {
        BARE: _bare,
        CPU: _calotype("cpu"),
        AFTER: _bare,
        WALL: _calotype("wall"),
        MEMORY: _calotype("memory"),
        CPROFILE: lambda page: _cprofile(page, cProfile.Profile()),
        CPROFILE_CPU: lambda page: _cprofile(page, cProfile.Profile(time.thread_time), counts_cpu=True),
        YAPPI: lambda page: _yappi(page, "wall"),
        YAPPI_CPU: lambda page: _yappi(page, "cpu"),
        PYINSTRUMENT: _pyinstrument,
        EMPTY: lambda page: _monitoring(page, c=False),
        EMPTY_C: lambda page: _monitoring(page, c=True),
        THREAD: _sampling_thread,
        SIGNAL: _signal_timer,
    }


def _bare(page: Page) -> Seen:
    page()
    return Seen()


def _calotype(name: ClockName) -> Case:
    clock = clock_named(name)
    calibration = Calibration(clock)

    def profiled(page: Page) -> Seen:
        probe = Probe(clock)
        try:
            probe.at(None, page, ())
        finally:
            probe.close()
        made = of_tree(
            probe.close(),
            endpoint="page",
            release="",
            clock=clock.name,
            unit=clock.unit,
            costs=calibration.costs(),
        )
        return Seen(made.amount if clock.unit == "ns" and name == "cpu" else None, len(made.functions) - 1)

    return profiled


def _cprofile(page: Page, profile: cProfile.Profile, counts_cpu: bool = False) -> Seen:
    profile.enable()
    try:
        page()
    finally:
        profile.disable()
    stats: Any = pstats.Stats(profile)
    own = [figures[2] for key, figures in stats.stats.items()]
    functions = sum(key[0] != "~" for key in stats.stats)
    return Seen(sum(own) * 1e9 if counts_cpu else None, functions)


def _yappi(page: Page, clock: str) -> Seen:
    import yappi

    yappi.set_clock_type(clock)
    yappi.start(builtins=False, profile_threads=False)
    try:
        page()
    finally:
        yappi.stop()
    stats = list(yappi.get_func_stats())
    yappi.clear_stats()
    return Seen(sum(each.tsub for each in stats) * 1e9 if clock == "cpu" else None, len(stats))


def _pyinstrument(page: Page) -> Seen:
    from pyinstrument import Profiler as Pyinstrument

    profiler = Pyinstrument(interval=INTERVAL_S, async_mode="disabled")
    profiler.start()
    try:
        page()
    finally:
        session = profiler.stop()
    return Seen(None, len({frame for stack, _ in session.frame_records for frame in stack}))


def _monitoring(page: Page, c: bool) -> Seen:
    tool, events = sys.monitoring.PROFILER_ID, sys.monitoring.events
    python = (
        events.PY_START,
        events.PY_RETURN,
        events.PY_UNWIND,
        events.PY_YIELD,
        events.PY_RESUME,
        events.PY_THROW,
    )
    watched = (*python, events.CALL, events.C_RETURN, events.C_RAISE) if c else python
    sys.monitoring.use_tool_id(tool, "bench")
    try:
        for event in watched:
            sys.monitoring.register_callback(tool, event, _nothing)
        sys.monitoring.set_events(tool, sum(python) | (events.CALL if c else 0))
        page()
    finally:
        sys.monitoring.set_events(tool, 0)
        for event in watched:
            sys.monitoring.register_callback(tool, event, None)
        sys.monitoring.free_tool_id(tool)
    return Seen()


def _nothing(*_: object) -> None:
    pass


def _codes(frame: FrameType | None) -> Iterator[CodeType]:
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


def _sampling_thread(page: Page) -> Seen:
    me, over, found = threading.get_ident(), threading.Event(), set[CodeType]()

    def look() -> None:
        while not over.wait(INTERVAL_S):
            found.update(_codes(sys._current_frames().get(me)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        page()
    finally:
        over.set()
        thread.join()
    return Seen(None, len(found - set(_codes(sys._getframe()))))


def _signal_timer(page: Page) -> Seen:
    found = set[CodeType]()
    before = signal.signal(signal.SIGPROF, lambda _, frame: found.update(_codes(frame)))
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
    try:
        page()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return Seen(None, len(found - set(_codes(sys._getframe()))))


# A request of many steps, while another takes turns with it


@dataclass
class Steps:
    """CPU of one asynchronous request and of what ran between its steps."""

    bare_ns: list[float] = field(default_factory=list)
    profiled_ns: list[float] = field(default_factory=list)
    says_ns: list[float] = field(default_factory=list)
    other_bare_ns: list[float] = field(default_factory=list)
    other_ns: list[float] = field(default_factory=list)


def _steps(page: Page, rounds: int) -> Steps:
    clock = clock_named("cpu")
    calibration, found = Calibration(clock), Steps()
    with _uncollected():
        asyncio.run(_both(page, None, Steps(), calibration))
        for _ in range(rounds):
            asyncio.run(_both(page, None, found, calibration))
            asyncio.run(_both(page, clock, found, calibration))
            gc.collect(0)
    return found


async def _both(page: Page, clock: Clock | None, found: Steps, calibration: Calibration) -> None:
    """The one is profiled if there is a clock; both are metered."""
    meter, one, other = Meter(counter("thread-cpu")), Account(), Account()
    probe = None if clock is None else Probe(clock)
    one.probe = probe

    async def view() -> None:
        for _ in range(STEPS):
            page()
            await asyncio.sleep(0)

    await asyncio.gather(meter.run(one, view()), meter.run(other, view()))
    costs_ns, others_ns = meter.close(one).cpu, meter.close(other).cpu
    if probe is None or clock is None:
        found.bare_ns.append(costs_ns)
        found.other_bare_ns.append(others_ns)
        return
    made = of_tree(
        probe.close(), endpoint="", release="", clock=clock.name, unit=clock.unit, costs=calibration.costs()
    )
    found.profiled_ns.append(costs_ns)
    found.other_ns.append(others_ns)
    found.says_ns.append(made.amount)


# What remains


def _rest(page: Page, rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        profiler = Profiler(Path(directory), "r1", one_in=1)
        stores_ms = [_stored_ms(profiler, page) for _ in range(rounds)]
        rare = Profiler(Path(directory), "r1", one_in=1 << 40)
        asked_ns = [_asked_ns(rare) for _ in range(rounds)]
    return [
        row("profile of a page, made and added to what is stored", median(stores_ms), "ms"),
        row("to find that a request is not profiled", median(asked_ns), "ns", limit=LIMIT_PROBE_NS),
    ]


def _stored_ms(profiler: Profiler, page: Page) -> float:
    probe = profiler.probe()
    assert probe is not None
    probe.at(None, page, ())
    began = time.thread_time_ns()
    assert profiler.store("page", probe)
    return (time.thread_time_ns() - began) / 1e6


def _asked_ns(profiler: Profiler, times: int = 1_000) -> float:
    began = time.thread_time_ns()
    for _ in range(times):
        assert profiler.probe() is None
    return (time.thread_time_ns() - began) / times


def _cost_rows(found: Mapping[str, Found]) -> list[Row]:
    ours, bare = found[CPU].typical_ms(), found[BARE].typical_ms()
    rows = [
        row(f"page, {CPU}", ours, "ms", name, found[name].typical_ms(), target)
        for name, target in (
            (BARE, None),
            (CPROFILE_CPU, TARGET_BY_CPU),
            (YAPPI_CPU, TARGET_BY_CPU),
            (CPROFILE, None),
            (YAPPI, None),
            (PYINSTRUMENT, None),
        )
    ]
    rows.append(row(f"page, {AFTER}", found[AFTER].typical_ms(), "ms", BARE, bare, TARGET_AFTER))
    others = (WALL, MEMORY, EMPTY, EMPTY_C, THREAD, SIGNAL)
    return rows + [row(f"page, {name}", found[name].typical_ms(), "ms", BARE, bare) for name in others]


def _error_rows(found: Mapping[str, Found]) -> list[Row]:
    bare_ns = median(found[BARE].cpu_ns)
    rows = []
    for name in (CPU, CPROFILE_CPU, YAPPI_CPU):
        if (says_ns := found[name].says_ns()) is not None:
            error = abs(says_ns / bare_ns - 1) * 100
            limit = LIMIT_ERROR if name == CPU else None
            rows.append(row(f"page, error of {name}", error, "%", limit=limit))
    ours = found[CPU].functions()
    assert ours is not None
    counts = {name: found[name].functions() for name in (CPROFILE, YAPPI, PYINSTRUMENT, THREAD, SIGNAL)}
    seen = "functions of one page that are seen"
    return rows + [
        row(seen, ours, "functions", name, count) for name, count in counts.items() if count is not None
    ]


def _step_rows(steps: Steps) -> list[Row]:
    bare_ns = median(steps.bare_ns)
    error = abs(median(steps.says_ns) / bare_ns - 1) * 100
    return [
        row(f"request of {STEPS} steps, CPU", median(steps.profiled_ns) / 1e6, "ms", BARE, bare_ns / 1e6),
        row(f"request of {STEPS} steps, error", error, "%", limit=LIMIT_ERROR),
        row(
            "another request between its steps, CPU",
            median(steps.other_ns) / 1e6,
            "ms",
            BARE,
            median(steps.other_bare_ns) / 1e6,
            TARGET_AFTER,
        ),
    ]
