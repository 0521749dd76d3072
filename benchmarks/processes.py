"""Processes of a bench: started for its length, ended with it, and what CPU they have used."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from calotype.std.errors import CalotypeError

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PORTS = range(20_000, 32_768)
"""Below those that the system hands out itself."""


class ServerFailed(CalotypeError):
    code = "bench_server_failed"


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[int]:
    """A server in a process group of its own; yields its process number when `ready` says so, ends it with the block."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        _wait(process, ready, log)
        yield process.pid
    finally:
        _end(process, stop)


def _wait(
    process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, seconds: float = 60
) -> None:
    until = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise ServerFailed(f"{log.stem} did not start; the end of {log}:\n{tail}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    """Ask the server to stop; after 15 s end its whole group. Nothing else is ever in that group."""
    if process.poll() is None:
        process.send_signal(stop)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end; what it printed, or `ServerFailed` with what it said."""
    ended = subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        tail = "\n".join((ended.stdout + ended.stderr).splitlines()[-15:])
        raise ServerFailed(f"`{' '.join(command)}` ended with status {ended.returncode}:\n{tail}")
    return ended.stdout


def answers(port: int) -> Callable[[], bool]:
    """Whether somebody accepts connections on this port."""

    def ready() -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ready


def free_ports(amount: int) -> list[int]:
    """Ports of the loopback address that nobody uses now."""
    found: list[int] = []
    for port in range(PORTS.start + os.getpid() % 8_000, PORTS.stop):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == amount:
            return found
    raise ServerFailed(f"there are no {amount} free ports in {PORTS.start} to {PORTS.stop - 1}")


def cpu_s(root: int) -> float:
    """CPU time, user and system, of a process and of all its descendants, those included that have ended and been
    waited for. From /proc/PID/stat: exact to one tick (10 ms) a process."""
    total = 0.0
    for pid in [root, *_descendants(root)]:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(word) for word in words[11:15]) * TICK_S
    return total


def pss_mb(root: int) -> float:
    """Memory of a process and its descendants, what they share counted once."""
    total_kb = 0
    for pid in [root, *_descendants(root)]:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb / 1024


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = [root]
    while waiting:
        some = children.get(waiting.pop(), [])
        found += some
        waiting += some
    return found
