"""Which requests are profiled, at what cost, beside whom."""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import gc
import logging
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import message_from_string
from html.parser import HTMLParser
from pathlib import Path
from statistics import median
from types import FunctionType
from urllib.parse import parse_qsl, urlsplit

import pytest

from calotype.efficiency.meter import Account, Meter, counter
from calotype.efficiency.profiler import ClockName, Probe, Profiler, ToolTaken, read, stored
from calotype.efficiency.profiler import profiler as module
from calotype.efficiency.profiler.calibration import Calibration, Cost
from calotype.efficiency.profiler.clocks import clock_named
from calotype.efficiency.profiler.tracing import TOOL
from calotype.efficiency.profiler.tree import DEPTH, NODES
from tests.efficiency.burning import MS
from tests.efficiency.profiler.profiles import paths, recorded

MAIL = """Subject: =?utf-8?q?photos?=
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain

hello
--x
Content-Type: text/html

<p>hello</p>
--x--
"""

CLOCKS: list[ClockName] = ["cpu", "wall", "memory"]


class Links(HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "href":
                parse_qsl(urlsplit(value or "").query)


def page() -> None:
    """Some thousand calls of the usual kind: a mail and some HTML are parsed."""
    for part in message_from_string(MAIL).walk():
        str(part.get("Subject"))
    parser = Links()
    parser.feed("<p class='x'>some <b>text</b> <a href='/x?y=1&z=2'>link</a></p>" * 60)
    parser.close()


@pytest.fixture(autouse=True)
def _uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def profiler(tmp_path: Path) -> Profiler:
    return Profiler(tmp_path, "r1", one_in=1)


def begun(profiler: Profiler) -> Probe:
    probe = profiler.probe()
    assert probe is not None
    return probe


def is_off() -> bool:
    return sys.monitoring.get_tool(TOOL) is None


def test_a_request_is_profiled_and_stored(profiler: Profiler, tmp_path: Path) -> None:
    async def view() -> None:
        page()

    async def request() -> None:
        account = Account()
        account.probe = probe = begun(profiler)
        await Meter(counter()).run(account, view())
        assert profiler.store("feed", probe)

    for _ in range(2):
        asyncio.run(request())
    (of,) = stored(tmp_path)
    assert (of.endpoint, of.release, of.clock, of.requests) == ("feed", "r1", "cpu", 2)
    profile = read(tmp_path, of)
    assert profile is not None
    assert paths(profile)[("view", "page")][0] == 2
    assert profile.events > 2 * 1_000
    assert profile.event_cost > 0
    assert 0 < profile.subtracted <= round(profile.events * profile.event_cost)
    assert is_off()


def test_one_request_at_a_time_is_profiled(profiler: Profiler) -> None:
    probe = begun(profiler)
    assert profiler.probe() is None
    profiler.discard(probe)
    profiler.discard(begun(profiler))
    assert is_off()


def test_a_request_that_was_never_stored_makes_room(
    profiler: Profiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = begun(profiler)
    monkeypatch.setattr(module, "PROBE_S", 0)
    probe = begun(profiler)
    assert lost.closed
    profiler.discard(probe)
    assert is_off()


def test_of_many_requests_about_one_in_so_many_is_profiled(tmp_path: Path) -> None:
    profiler, taken = Profiler(tmp_path, "r1", one_in=20), 0
    for _ in range(4_000):
        if (probe := profiler.probe()) is not None:
            taken += 1
            profiler.discard(probe)
    assert 120 <= taken <= 290  # 200 expected, and 6 standard deviations


# Beside others


def test_with_another_profiler_nothing_is_profiled_and_that_is_said_once(
    profiler: Profiler, caplog: pytest.LogCaptureFixture
) -> None:
    other = cProfile.Profile()
    other.enable()
    try:
        with caplog.at_level(logging.WARNING):
            assert profiler.probe() is None
            assert profiler.probe() is None
    finally:
        other.disable()
    assert [record.message for record in caplog.records] == [
        "nothing is profiled: cProfile uses sys.monitoring as the profiler of this process, and there can be one"
    ]
    profiler.discard(begun(profiler))


def test_two_probes_in_one_process_are_refused() -> None:
    probe = Probe(clock_named("cpu"))
    with pytest.raises(ToolTaken, match="calotype"):
        Probe(clock_named("cpu"))
    probe.close()
    assert is_off()


def test_a_debugger_and_coverage_keep_their_tools_and_events(profiler: Profiler) -> None:
    lines = 0

    def line(*_: object) -> None:
        nonlocal lines
        lines += 1

    sys.monitoring.use_tool_id(sys.monitoring.COVERAGE_ID, "coverage")
    sys.monitoring.register_callback(sys.monitoring.COVERAGE_ID, sys.monitoring.events.LINE, line)
    sys.monitoring.set_events(sys.monitoring.COVERAGE_ID, sys.monitoring.events.LINE)
    seen: list[str] = []
    sys.setprofile(lambda frame, event, _: seen.append(event))
    try:
        probe = begun(profiler)
        probe.at(None, page, ())
        before = lines
        profiler.discard(probe)
        page()
        assert lines > before > 0
        assert sys.monitoring.get_events(sys.monitoring.COVERAGE_ID) == sys.monitoring.events.LINE
    finally:
        sys.setprofile(None)
        sys.monitoring.free_tool_id(sys.monitoring.COVERAGE_ID)
    assert "call" in seen
    assert is_off()


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_thousand_profiles_leave_nothing_behind(clock: ClockName, tmp_path: Path) -> None:
    profiler = Profiler(tmp_path, "r1", clock, one_in=1)
    for _ in range(300):
        probe = begun(profiler)
        probe.at(None, len, ("",))
        assert sys.monitoring.get_events(TOOL) == 0, "on only inside"
        profiler.discard(probe)
    assert is_off()
    assert not tracemalloc.is_tracing()


def test_memory_that_somebody_traces_goes_on_being_traced(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        profiler = Profiler(tmp_path, "r1", "memory", one_in=1)
        profiler.discard(begun(profiler))
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_a_child_of_fork_is_not_profiled_for_its_parent_and_can_profile(
    profiler: Profiler, tmp_path: Path
) -> None:
    def request() -> None:
        page()
        if (child := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                free = is_off()
                page()
                kept = profiler.store("feed", probe)
                own = profiler.probe()
                assert own is not None
                own.at(None, page, ())
                stored_own = profiler.store("child", own)
                os._exit(0 if free and not kept and stored_own and is_off() else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        page()

    probe = begun(profiler)
    probe.at(None, request, ())
    assert profiler.store("feed", probe)
    found = {of.endpoint: read(tmp_path, of) for of in stored(tmp_path)}
    assert set(found) == {"feed", "child"}
    assert found["feed"] is not None
    assert paths(found["feed"])[("request", "page")][0] == 2


# What it does to a request, and does not


def test_a_full_disk_is_not_the_requests_trouble(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    profiler = Profiler(tmp_path / "file", "r1", one_in=1)
    probe = begun(profiler)
    with caplog.at_level(logging.WARNING):
        assert not profiler.store("feed", probe)
    assert "a profile of feed was not stored" in caplog.text
    assert is_off()


def test_a_request_without_end_grows_no_tree_without_end() -> None:
    source = "\n".join(f"def f{n}(): pass" for n in range(300))
    names: dict[str, object] = {}
    exec(compile(source, "<many>", "exec"), names)
    functions = [function for name, function in names.items() if name.startswith("f")]

    def nested(levels: int, number: int) -> None:
        for function in functions:
            function()  # type: ignore[operator]  # each is a function
        if levels:
            copies[number](levels - 1, number + 1)

    copies = [
        FunctionType(nested.__code__.replace(co_name=f"n{n}"), globals(), None, None, nested.__closure__)
        for n in range(200)
    ]
    probe = Probe(clock_named("wall"))
    probe.at(None, nested, (190, 0))
    tree = probe.close()
    count = sum(len(nodes) for _, nodes in tree.paths())
    assert NODES <= count <= NODES + 300
    assert len(recorded(probe).paths) <= 10_000 + 10_000
    assert sum(node.calls for _, nodes in tree.paths() for node in nodes if not node.hidden) == 191 * 301


def test_what_is_nested_too_deeply_is_other() -> None:
    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(DEPTH + 2_000)
    probe = Probe(clock_named("wall"))
    try:
        probe.at(None, deeper, (DEPTH + 500,))
    finally:
        sys.setrecursionlimit(limit)
        tree = probe.close()
    *_, (_, nodes) = tree.paths()
    assert nodes[0].code.co_name == "(other)"
    assert nodes[0].depth == DEPTH + 1
    assert nodes[0].calls + nodes[0].resumed >= 1


@pytest.mark.clock
def test_a_profile_is_worth_what_the_request_costs_unprofiled() -> None:
    """Within a fifth, though recording has made it half as dear again and more: what that cost is subtracted. Each is
    compared with one just before it, since a core that is shared is slower for seconds."""
    clock, bare, dearer, probes = clock_named("cpu"), [], [], []
    calibration = Calibration(clock)
    for _ in range(30):
        calibration.again()
        page()
        bare.append(cpu_ns(page))
        probes.append(Probe(clock))
        dearer.append(cpu_ns(lambda: probes[-1].at(None, page, ())))
        probes[-1].close()
    assert median(after / before for after, before in zip(dearer, bare, strict=True)) > 1.5
    worth = [recorded(probe, calibration.costs()).amount for probe in probes]
    assert median(after / before for after, before in zip(worth, bare, strict=True)) == pytest.approx(
        1, rel=0.2
    )


def cpu_ns(of: Callable[[], object]) -> int:
    before = time.thread_time_ns()
    of()
    return time.thread_time_ns() - before


def test_no_path_is_charged_less_than_nothing() -> None:
    probe = Probe(clock_named("cpu"))
    probe.at(None, page, ())
    probe.close()
    costs = Calibration(clock_named("cpu")).costs()
    dear = replace(costs, call=Cost(10 * MS, 10 * MS), generator=Cost(10 * MS, 10 * MS))
    profile = recorded(probe, dear)
    assert profile.amount == 0
    assert profile.subtracted == recorded(probe).amount
