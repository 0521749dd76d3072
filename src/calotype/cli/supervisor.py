"""Keeps a list of processes running: starts them in order, restarts what crashes, stops them in the reverse order.

It knows nothing of what it runs; that is said by `ChildSpec` (see `site_processes` for those of a site). One asyncio
loop; each child has one task, which owns the child's whole life.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

from calotype.cli import log_files, state
from calotype.cli.child_process import ChildSpec, Running, spawn, spawn_piped
from calotype.cli.places import Places
from calotype.cli.process import Process, identify, kill_group, ourselves, signal_group
from calotype.cli.progress import Progress
from calotype.std.errors import CalotypeError

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
HEALTHY_S = 30.0
"""A child that ran this long has earned a first, short delay again."""

READY_POLL_S = 0.05
SOUND_POLL_S = 10.0
CRASHES_BEFORE_GIVING_UP = 3
"""While starting: a child that ended this often before it was ever ready will not become so."""

ROTATE_EVERY_S = 5.0


class StartFailed(CalotypeError):
    """A child cannot be started; the message ends with what it said last."""

    code = "start_failed"


class Stopped(Exception):
    """Somebody asked to stop while the start was under way."""


class Backoff:
    """How long to wait before the next start: doubling, bounded, short again after a healthy run."""

    def __init__(self) -> None:
        self._next_s = FIRST_DELAY_S

    def after(self, ran_s: float) -> float:
        if ran_s >= HEALTHY_S:
            self._next_s = FIRST_DELAY_S
        delay_s = self._next_s
        self._next_s = min(LONGEST_DELAY_S, delay_s * 2)
        return delay_s


class Child:
    """One process over all its restarts. `changed` is called whenever its state did."""

    def __init__(
        self, spec: ChildSpec, places: Places, progress: Progress, changed: Callable[[], None]
    ) -> None:
        self.spec = spec
        self.phase: state.ChildPhase = "starting"
        self.since = time.time()
        self.restarts = 0
        self.process: Process | None = None
        self._running: Running | None = None
        self.ready = asyncio.Event()
        """Set at the first readiness, and never cleared."""
        self._places = places
        self._progress = progress
        self._changed = changed
        self._stopping = asyncio.Event()
        self._backoff = Backoff()
        self._task = asyncio.create_task(self._live(), name=f"child {spec.name}")

    def snapshot(self) -> state.ChildState:
        return state.ChildState(
            self.spec.name, self.phase, self.process, self.restarts, self.since, self.spec.stop_signal.value
        )

    async def wait_until_ready(self) -> None:
        """Raises `StartFailed` when it takes too long or ends too often."""
        try:
            async with asyncio.timeout(self.spec.ready_within_s):
                while not self.ready.is_set():
                    if self.restarts >= CRASHES_BEFORE_GIVING_UP:
                        raise self._failure(
                            f"{self.spec.name} ended {self.restarts} times before it was ready"
                        )
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            raise self._failure(
                f"{self.spec.name} is not ready after {self.spec.ready_within_s:.0f} s"
            ) from None

    async def stop(self) -> None:
        """Ask it to end, wait, kill. Returns when the process and its group are gone."""
        self._stopping.set()
        self._signal(self.spec.stop_signal)
        done, _ = await asyncio.wait([self._task], timeout=self.spec.stop_within_s)
        if not done:
            self._progress.line(
                f"{self.spec.name} did not end within {self.spec.stop_within_s:.0f} s: killed"
            )
            self.kill()
        await self._task

    def kill(self) -> None:
        self._stopping.set()
        if self._running is not None:
            kill_group(self._running.pid)

    async def _live(self) -> None:
        while not self._stopping.is_set():
            begun = time.monotonic()
            ended_how = await self._run_once()
            if self._stopping.is_set():
                break
            self.restarts += 1
            delay_s = self._backoff.after(time.monotonic() - begun)
            self._progress.line(f"{self.spec.name} {ended_how}; starting it again in {delay_s:.1f} s")
            self._enter("waiting")
            await _wait_at_most(self._stopping, delay_s)
        self._enter("stopped")

    async def _run_once(self) -> str:
        """From start to end; says how it ended."""
        self._enter("starting")
        try:
            if self.spec.before is not None and not await self._done_before(self.spec.before()):
                return "was stopped before it was started"
            running = await spawn(self.spec, self._places)
        except (OSError, CalotypeError) as error:
            return f"cannot be started ({error})"
        self._running, self.process = running, identify(running.pid)
        self._changed()
        if self._stopping.is_set():  # asked while it was being started
            self._signal(self.spec.stop_signal)
        watch = asyncio.create_task(self._watch())
        status = await running.wait()
        watch.cancel()
        kill_group(running.pid)  # workers whose parent crashed would keep its port
        self._running = self.process = None
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    async def _done_before(self, work: Awaitable[None]) -> bool:
        """False when somebody asks to stop meanwhile; the work is then given up."""
        doing, asked = asyncio.ensure_future(work), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
            return doing.done()
        finally:
            asked.cancel()
            doing.cancel()

    async def _watch(self) -> None:
        if self.spec.ready is not None:
            await _until(self.spec.ready)
        if not self._stopping.is_set():
            self.ready.set()
            self._enter("running")
        if self.spec.sound is not None:
            await _until_not(self.spec.sound, SOUND_POLL_S)
            if not self._stopping.is_set():
                self._progress.line(
                    f"{self.spec.name} can no longer do its work: it is stopped and made anew"
                )
                self._signal(self.spec.stop_signal)

    def _signal(self, number: signal.Signals) -> None:
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                self._running.send_signal(number)

    def _enter(self, phase: state.ChildPhase) -> None:
        self.phase = phase
        self.since = time.time()
        self._changed()

    def _failure(self, sentence: str) -> StartFailed:
        return StartFailed(log_files.with_last_lines(sentence, self._places.log(self.spec.name)))


class Supervisor:
    """Children in groups: a group starts together, and stops together before the group started earlier."""

    def __init__(self, places: Places, url: str, progress: Progress) -> None:
        self._places = places
        self._url = url
        self._progress = progress
        self._groups: list[list[Child]] = []
        self._once: Running | None = None
        """What `run` is running."""
        self._phase: state.Phase = "starting"
        self._since = time.time()
        self._regions: list[state.RegionState] = []
        self._asked_to_stop = asyncio.Event()
        self._closed_last: list[Callable[[], Awaitable[None]]] = []
        self._rotation = asyncio.create_task(self._rotate_logs())
        self._save()

    async def start(self, *specs: ChildSpec) -> None:
        """Start these together and return when all are ready. Raises `StartFailed`, `Stopped`."""
        group: list[Child] = []
        self._groups.append(group)
        group += [Child(spec, self._places, self._progress, self._save) for spec in specs]
        await self.unless_stopped(all_of(child.wait_until_ready() for child in group))

    async def run(self, spec: ChildSpec) -> None:
        """Run something to its end, passing its lines on. Raises `StartFailed` unless it ends with status 0."""
        await self.unless_stopped(self._run_to_its_end(spec))

    def serves(self, regions: Sequence[state.RegionState]) -> None:
        """Tell the other commands which regions this serves."""
        self._regions = list(regions)
        self._save()

    def running(self, *announcement: str) -> None:
        """All of it is up. Who waits for that reads the announcement, so it has been made by then."""
        for line in announcement:
            self._progress.line(line)
        self._enter("running")

    async def wait_until_asked_to_stop(self) -> None:
        await self._asked_to_stop.wait()

    def ask_to_stop(self) -> None:
        """Asked once, it stops in order; asked again, it kills."""
        if self._asked_to_stop.is_set():
            self._progress.line("killing what is left")
            for child in self._children():
                child.kill()
            if self._once is not None:
                kill_group(self._once.pid)
        self._asked_to_stop.set()

    def close_last(self, close: Callable[[], Awaitable[None]]) -> None:
        """Done when all children have ended."""
        self._closed_last.append(close)

    async def stop(self) -> None:
        """Stop all children, the group started last first. Returns when all have ended."""
        self._asked_to_stop.set()
        self._enter("stopping")
        for group in reversed(self._groups):
            with self._progress.step(f"stopping {', '.join(child.spec.name for child in group)}"):
                await all_of(child.stop() for child in group)
        for close in self._closed_last:
            await close()
        self._rotation.cancel()
        self._enter("stopped")

    async def unless_stopped[T](self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; raises `Stopped` as soon as somebody asks to stop, and gives the work up."""
        doing = asyncio.create_task(work)
        asked = asyncio.create_task(self._asked_to_stop.wait())
        try:
            await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise Stopped
        finally:
            asked.cancel()
            doing.cancel()
            await asyncio.gather(doing, asked, return_exceptions=True)

    async def _run_to_its_end(self, spec: ChildSpec) -> None:
        running, output = await spawn_piped(spec, self._places)
        self._once = running
        try:
            async for line in output:
                self._pass_on(spec.name, line.decode(errors="replace").rstrip())
            status = await running.wait()
        finally:
            if running.returncode is None:
                # All of its group: whoever keeps its output open keeps us waiting.
                signal_group(running.pid, spec.stop_signal)
                await _reap(running, spec.stop_within_s)
            kill_group(running.pid)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(spec.stop_within_s):
                    await output.read()  # to its end: until the last of its group has gone, too
            self._once = None
        if status != 0:
            raise StartFailed(
                log_files.with_last_lines(
                    f"{spec.name} ended with status {status}", self._places.log(spec.name)
                )
            )

    def _pass_on(self, name: str, line: str) -> None:
        log_files.append(self._places.log(name), line)
        self._progress.line(line)

    def _children(self) -> list[Child]:
        return [child for group in self._groups for child in group]

    def _enter(self, phase: state.Phase) -> None:
        self._phase = phase
        self._since = time.time()
        self._save()

    def _save(self) -> None:
        children = [child.snapshot() for child in self._children()]
        known = state.State(ourselves(), self._url, self._phase, self._since, children, self._regions)
        with contextlib.suppress(OSError):  # a full disk must not end what runs
            state.write(self._places, known)

    async def _rotate_logs(self) -> None:
        while True:
            with contextlib.suppress(
                OSError
            ):  # the disk is full: truncating comes after copying, so try again later
                for path in self._places.logs.glob("*.log"):
                    log_files.rotate(path)
            await asyncio.sleep(ROTATE_EVERY_S)


async def all_of(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; the first error is raised at once, and the others are given up."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _reap(running: Running, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await running.wait()
    except TimeoutError:
        kill_group(running.pid)
        await running.wait()


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await condition():
            return
        await asyncio.sleep(READY_POLL_S)


async def _until_not(condition: Callable[[], Awaitable[bool]], every_s: float) -> None:
    while True:
        if not await condition():
            return
        await asyncio.sleep(every_s)


async def _wait_at_most(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
