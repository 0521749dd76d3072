"""The supervisor with tiny real children: `sh -c`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from calotype.cli import state, supervisor
from calotype.cli.child_process import ChildSpec
from calotype.cli.places import Places
from calotype.cli.process import alive, marked
from calotype.cli.supervisor import Backoff, StartFailed, Stopped, Supervisor


class Said:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def step(self, text: str) -> _NoStep:
        self.lines.append(text)
        return _NoStep()


class _NoStep:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "a site")
    made.make()
    return made


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
async def running(places: Places, said: Said) -> AsyncIterator[Supervisor]:
    made = Supervisor(places, "http://127.0.0.1:1", said)
    yield made
    await made.stop()


def sh(name: str, script: str, **more: object) -> ChildSpec:
    return ChildSpec(name, ["sh", "-c", script], **more)  # type: ignore[arg-type]


def child(places: Places, name: str) -> state.ChildState:
    known = state.read(places)
    assert known is not None
    return next(child for child in known.children if child.name == name)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def file_exists(path: Path) -> Callable[[], Awaitable[bool]]:
    async def exists() -> bool:
        return await asyncio.to_thread(path.exists)

    return exists


def test_delays_double_up_to_a_bound_and_are_short_again_after_a_healthy_run() -> None:
    backoff = Backoff()
    assert [backoff.after(0) for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert backoff.after(supervisor.HEALTHY_S) == 0.2


async def test_a_child_is_ready_when_its_condition_holds(
    running: Supervisor, places: Places, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    await running.start(sh("slow", f"sleep 0.3; touch '{flag}'; sleep 60", ready=file_exists(flag)))
    assert flag.exists()
    assert child(places, "slow").state == "running"


async def test_a_crashed_child_is_started_again(running: Supervisor, places: Places, said: Said) -> None:
    await running.start(sh("frail", "sleep 60"))
    first = child(places, "frail").process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    await until(
        lambda: child(places, "frail").restarts == 1 and child(places, "frail").process not in (None, first)
    )
    assert "frail was ended by SIGKILL; starting it again in 0.2 s" in said.lines


async def test_what_a_crashed_child_started_is_ended_before_it_is_started_again(
    running: Supervisor, places: Places, tmp_path: Path
) -> None:
    worker = tmp_path / "worker"
    script = f"sleep 1000 & echo $! > '{worker}'; wait"
    await running.start(sh("parent", script, ready=file_exists(worker)))
    first = int(worker.read_text())
    crashed = child(places, "parent").process
    assert crashed is not None
    os.kill(crashed.pid, signal.SIGKILL)
    await until(lambda: child(places, "parent").restarts == 1)
    await until(lambda: first not in {process.pid for process in marked(places.data)})


async def test_groups_stop_in_the_reverse_order_of_their_start(
    places: Places, said: Said, tmp_path: Path
) -> None:
    order = tmp_path / "order"

    def noted(name: str) -> ChildSpec:
        flag = tmp_path / name
        script = f"trap 'echo {name} >> {order}; exit 0' TERM; touch {flag}; while :; do sleep 0.05; done"
        return sh(name, script, ready=file_exists(flag))

    made = Supervisor(places, "", said)
    for name in ("first", "second", "third"):
        await made.start(noted(name))
    await made.stop()
    assert order.read_text().split() == ["third", "second", "first"]
    assert {child(places, name).state for name in ("first", "second", "third")} == {"stopped"}


async def test_a_child_that_ignores_its_signal_is_killed(places: Places, said: Said, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    script = f"trap '' TERM; touch '{flag}'; while :; do sleep 0.05; done"
    made = Supervisor(places, "", said)
    await made.start(sh("deaf", script, ready=file_exists(flag), stop_within_s=0.3))
    process = child(places, "deaf").process
    assert process is not None
    await made.stop()
    assert not alive(process)
    assert "deaf did not end within 0 s: killed" in said.lines


async def test_each_child_is_stopped_by_its_own_signal(places: Places, said: Said, tmp_path: Path) -> None:
    flag, got = tmp_path / "flag", tmp_path / "got"
    # Not `sh`: started by a program that ignores SIGINT, it could not trap it.
    program = (
        "import pathlib, signal, sys, time\n"
        f"signal.signal(signal.SIGINT, lambda *_: (pathlib.Path({str(got)!r}).write_text('INT'), sys.exit(0)))\n"
        f"pathlib.Path({str(flag)!r}).touch()\n"
        "time.sleep(60)"
    )
    spec = ChildSpec(
        "int", [sys.executable, "-c", program], stop_signal=signal.SIGINT, ready=file_exists(flag)
    )
    made = Supervisor(places, "", said)
    await made.start(spec)
    await made.stop()
    assert got.read_text() == "INT"


async def test_asking_twice_to_stop_kills_at_once(places: Places, said: Said, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    script = f"trap '' TERM; touch '{flag}'; while :; do sleep 0.05; done"
    made = Supervisor(places, "", said)
    await made.start(sh("deaf", script, ready=file_exists(flag)))
    made.ask_to_stop()
    stopping = asyncio.create_task(made.stop())
    await asyncio.sleep(0.2)
    assert not stopping.done()
    made.ask_to_stop()
    async with asyncio.timeout(2):
        await stopping


async def test_what_it_announces_has_been_said_when_it_is_running(
    running: Supervisor, places: Places, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever started it shows what it says until it is."""
    phases: list[str] = []
    monkeypatch.setattr(said, "line", lambda text: phases.append(phase(places)))
    running.running("it is at", "  and there")
    assert phases == ["starting", "starting"]
    assert phase(places) == "running"


def phase(places: Places) -> str:
    known = state.read(places)
    assert known is not None
    return known.phase


async def test_a_child_that_never_gets_ready_fails_the_start_with_its_last_words(running: Supervisor) -> None:
    never = file_exists(Path("/nowhere"))
    with pytest.raises(StartFailed, match=r"(?s)broken ended 3 times before it was ready.*no such option"):
        await running.start(sh("broken", "echo no such option >&2; exit 2", ready=never))


async def test_a_command_that_does_not_exist_fails_the_start(running: Supervisor, said: Said) -> None:
    with pytest.raises(StartFailed, match="absent ended 3 times"):
        await running.start(ChildSpec("absent", ["/no/such/program"], ready=file_exists(Path("/nowhere"))))
    assert any(line.startswith("absent cannot be started") for line in said.lines)


async def test_a_start_that_takes_too_long_fails(running: Supervisor) -> None:
    never = file_exists(Path("/nowhere"))
    with pytest.raises(StartFailed, match="stuck is not ready after 0 s"):
        await running.start(sh("stuck", "sleep 60", ready=never, ready_within_s=0.2))


async def test_asking_to_stop_ends_a_start_that_is_under_way(running: Supervisor) -> None:
    never = file_exists(Path("/nowhere"))
    starting = asyncio.create_task(running.start(sh("stuck", "sleep 60", ready=never)))
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    running.ask_to_stop()
    with pytest.raises(Stopped):
        await starting
    assert time.monotonic() - begun < 1


async def test_what_is_run_once_has_its_lines_passed_on_and_kept(
    running: Supervisor, places: Places, said: Said
) -> None:
    await running.run(sh("prepare", "echo one; echo two >&2"))
    assert said.lines[-2:] == ["one", "two"]
    assert "two" in places.log("prepare").read_text()


async def test_what_is_run_once_must_succeed(running: Supervisor) -> None:
    with pytest.raises(StartFailed, match=r"(?s)prepare ended with status 4.*disk on fire"):
        await running.run(sh("prepare", "echo disk on fire; exit 4"))


async def test_what_is_run_once_is_ended_when_somebody_asks_to_stop(
    running: Supervisor, places: Places
) -> None:
    work = asyncio.create_task(running.run(sh("prepare", "sleep 60 & sleep 60 & wait")))
    await asyncio.sleep(0.2)
    running.ask_to_stop()
    with pytest.raises(Stopped):
        await work
    assert marked(places.data) == []


async def test_children_append_to_their_own_logs(running: Supervisor, places: Places) -> None:
    await running.start(sh("talker", "echo hello; sleep 60"))
    await until(lambda: "hello" in places.log("talker").read_text())


async def test_what_a_child_needs_is_done_before_each_start(running: Supervisor, places: Places) -> None:
    done: list[int] = []

    async def before() -> None:
        done.append(child(places, "frail").restarts)

    await running.start(sh("frail", "sleep 60", before=before))
    process = child(places, "frail").process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    await until(lambda: done == [0, 1])


async def test_what_cannot_be_done_before_a_start_fails_it(running: Supervisor, said: Said) -> None:
    async def before() -> None:
        raise StartFailed("the disk is full")

    with pytest.raises(StartFailed, match="copy ended 3 times before it was ready"):
        await running.start(
            ChildSpec("copy", ["sleep", "60"], before=before, ready=file_exists(Path("/nowhere")))
        )
    assert "copy cannot be started (the disk is full); starting it again in 0.2 s" in said.lines


async def test_asking_to_stop_gives_up_what_is_done_before_a_start(running: Supervisor) -> None:
    async def before() -> None:
        await asyncio.sleep(60)

    starting = asyncio.create_task(running.start(sh("copy", "sleep 60", before=before)))
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    running.ask_to_stop()
    with pytest.raises(Stopped):
        await starting
    await running.stop()
    assert time.monotonic() - begun < 1


async def test_a_child_that_is_not_sound_is_stopped_and_started_again(
    running: Supervisor, places: Places, said: Said
) -> None:
    async def sound() -> bool:
        return child(places, "stale").restarts > 0

    await running.start(sh("stale", "sleep 60", sound=sound))
    await until(lambda: child(places, "stale").restarts == 1 and child(places, "stale").state == "running")
    assert "stale can no longer do its work: it is stopped and made anew" in said.lines


async def test_the_regions_that_it_serves_are_told(running: Supervisor, places: Places) -> None:
    regions = [
        state.RegionState("a", "http://127.0.0.1:1", ("/a.sock",)),
        state.RegionState("b", "http://[::1]:2", ()),
    ]
    running.serves(regions)
    known = state.read(places)
    assert known is not None
    assert known.regions == regions
