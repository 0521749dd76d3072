"""Memory of several web workers, each after the same amount of requests: part of `calotype bench patches`.

PSS from /proc/PID/smaps_rollup: a page that so many processes share counts for each as that part of it. A worker's first
requests fill what it keeps, and copy what is counted by reference; so each has answered before it is looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks import processes, stacks
from benchmarks.client import Client
from benchmarks.report import Row, row
from benchmarks.site import BenchSite
from benchmarks.stacks import PATH
from calotype.std.errors import CalotypeError

WORKERS = (2, 4)
REQUESTS, BLOCK = 200, 50
CONNECTIONS = 400
"""As many are tried until each worker has had its requests: which one gets a connection is the kernel's choice."""

GRANIAN = [
    *(sys.executable, "-P", "-m", "granian", "calotype.config.asgi:application"),
    *(
        "--interface",
        "asgi",
        "--http",
        "1",
        "--loop",
        "uvloop",
        "--runtime-threads",
        "1",
        "--backlog",
        "2048",
    ),
    *("--no-ws", "--no-access-log", "--respawn-failed-workers"),
]
"""Granian by itself: it forks a process that has loaded nothing (on Python up to 3.13)."""

UNFROZEN = [
    *(sys.executable, "-P", "-c"),
    "from calotype.config import server; server._freeze = lambda: None; server.serve()",
]

OURS, BY_ITSELF, NOT_FROZEN = "preloaded and frozen", "granian", "preloaded"
TARGET = 0.75


class WorkerUnreached(CalotypeError):
    code = "bench_worker_unreached"


@dataclass(frozen=True)
class Memory:
    worker_mb: float
    """PSS, on average."""
    total_mb: float
    """With Granian's main process."""


def measure(bench: BenchSite, cookies: Mapping[int, str], *, quick: bool) -> list[Row]:
    requests, counts = (10, WORKERS[:1]) if quick else (REQUESTS, WORKERS)
    rows = []
    for workers in counts:
        used = {
            OURS: _memory(bench, cookies, workers, requests, None),
            NOT_FROZEN: _memory(bench, cookies, workers, requests, UNFROZEN),
            BY_ITSELF: _memory(bench, cookies, workers, requests, _granian(workers)),
        }
        for baseline in (BY_ITSELF, NOT_FROZEN):
            ours, theirs = used[OURS], used[baseline]
            target = TARGET if baseline == BY_ITSELF else None
            rows += [
                row(
                    f"{workers} workers, PSS of each",
                    ours.worker_mb,
                    "MB",
                    baseline,
                    theirs.worker_mb,
                    target,
                ),
                row(f"{workers} workers, PSS of the server", ours.total_mb, "MB", baseline, theirs.total_mb),
            ]
    return rows


def _granian(workers: int) -> list[str]:
    return [*GRANIAN, "--workers", str(workers)]


def _memory(
    bench: BenchSite, cookies: Mapping[int, str], workers: int, requests: int, command: Sequence[str] | None
) -> Memory:
    (port,) = processes.free_ports(1)
    if command is not None and "granian" in command:
        command = [*command, "--host", "127.0.0.1", "--port", str(port)]
    with stacks.web(bench, port, workers, command) as pid:
        pids = _ask_each(port, pid, workers, cookies, requests)
        return Memory(mean(processes.pss_mb(worker) for worker in pids), processes.pss_mb(pid))


def _ask_each(port: int, server: int, workers: int, cookies: Mapping[int, str], requests: int) -> list[int]:
    """Ask until each worker has answered as often; their process numbers."""
    answered: dict[int, int] = {}
    people = list(cookies)
    for _ in range(CONNECTIONS):
        with closing(Client(port)) as client:
            for number in range(min(BLOCK, requests)):
                viewer = people[number % len(people)]
                client.get((PATH, "/")[number % 2], {"Cookie": cookies[viewer], "Host": f"127.0.0.1:{port}"})
            worker = _at_the_other_end(port, client.local_port, processes.children(server))
        answered[worker] = answered.get(worker, 0) + BLOCK
        if len(answered) == workers and min(answered.values()) >= requests:
            return list(answered)
    raise WorkerUnreached(
        f"of {workers} workers some were not reached over {CONNECTIONS} connections: {answered}"
    )


def _at_the_other_end(port: int, client_port: int, pids: Sequence[int]) -> int:
    """The process that holds the server's end of a connection."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        ends = [int(address.partition(":")[2], 16) for address in words[1:3]]
        if ends == [port, client_port]:
            for pid in pids:
                if f"socket:[{words[9]}]" in _open(pid):
                    return pid
    raise WorkerUnreached(f"no worker holds the connection from port {client_port}")


def _open(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return found
