"""Who a process is, so that a signal can never reach a later process that was given the same number.

A process is its number and its start time. On Linux both are read from /proc; elsewhere `ps` is asked.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

MARKER = "CALOTYPE_SUPERVISED_BY"
"""Every supervised process, and what it starts in turn, has this in its environment: the data directory."""

_PROC = Path("/proc")
_HAS_PROC = sys.platform == "linux"


class Process(msgspec.Struct, frozen=True):
    pid: int
    started: str
    """When it started, in a unit that only this machine understands; compared, never computed with."""


def identify(pid: int) -> Process | None:
    """The living process with this number, or None. A zombie has ended: it only waits to be noticed."""
    started = _started_on_linux(pid) if _HAS_PROC else _started_by_ps(pid)
    return Process(pid, started) if started else None


def ourselves() -> Process:
    process = identify(os.getpid())
    assert process is not None
    return process


def alive(process: Process) -> bool:
    return identify(process.pid) == process


def send(process: Process, number: signal.Signals) -> bool:
    """Signal exactly this process; False when it is gone."""
    if not _HAS_PROC:
        return alive(process) and _send_by_pid(process.pid, number)
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:  # the handle pins the process; now its identity can be checked without a race
        if not alive(process):
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def end(process: Process, number: signal.Signals, seconds: float) -> bool:
    """Ask it to stop, wait up to `seconds`, then kill it. True when it stopped by itself."""
    if not send(process, number) or wait_until(lambda: not alive(process), seconds):
        return True
    send(process, signal.SIGKILL)
    wait_until(lambda: not alive(process), 5)
    return False


def signal_group(leader: int, number: signal.Signals) -> None:
    """Signal what is left in the process group that `leader`, a child of ours, made."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def kill_group(leader: int) -> None:
    signal_group(leader, signal.SIGKILL)


def marked(data: Path) -> list[Process]:
    """The processes that some supervisor of this data directory started (Linux only; elsewhere empty)."""
    if not _HAS_PROC:
        return []
    wanted = f"{MARKER}={data}".encode()
    return [process for process in _all_processes() if wanted in _environment(process.pid).split(b"\0")]


def working_in(directory: Path) -> list[Process]:
    """The processes whose current directory is this one (Linux only; elsewhere empty)."""
    if not _HAS_PROC:
        return []
    wanted = str(directory.resolve())
    return [process for process in _all_processes() if _current_directory(process.pid) == wanted]


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _started_on_linux(pid: int) -> str:
    try:
        line = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = line[line.rindex(")") + 2 :].split()  # the name before it may hold spaces and brackets
    return "" if fields[0] in "ZX" else fields[19]


def _started_by_ps(pid: int) -> str:
    asked = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = asked.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


def _send_by_pid(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _all_processes() -> Iterator[Process]:
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and (process := identify(int(entry.name))) is not None:
            yield process


def _environment(pid: int) -> bytes:
    try:
        return (_PROC / str(pid) / "environ").read_bytes()
    except OSError:  # another user's, or gone
        return b""


def _current_directory(pid: int) -> str:
    try:
        return str((_PROC / str(pid) / "cwd").readlink())
    except OSError:
        return ""
