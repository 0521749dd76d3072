"""What CPU is counted in, and what is said where it cannot be."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calotype.efficiency.meter import PerfUnavailable, available, counter, perf
from tests.running_site import SOURCE

NAMES = ["instructions", "thread-cpu", "task-clock"]

pytestmark = pytest.mark.clock


def test_the_best_that_works_is_taken() -> None:
    found = available()
    assert [each.name for each in found] == NAMES
    assert counter().name == next(each.name for each in found if each.refusal is None)
    assert {each.name: each.unit for each in found} == dict(
        zip(NAMES, ["instructions", "ns", "ns"], strict=True)
    )


def test_a_counter_that_is_named_and_missing_is_an_error_that_says_why() -> None:
    for each in available():
        if each.refusal is not None:
            with pytest.raises(PerfUnavailable, match=r"perf_event|counters|kernel"):
                counter(each.name)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A kernel that answers perf_event_open with an error number."""

    def refuse(code: int) -> None:
        class Libc:
            @staticmethod
            def syscall(*_: Any) -> int:
                ctypes.set_errno(code)
                return -1

        monkeypatch.setattr(perf, "_libc", Libc())

    return refuse


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOENT, "no performance counters"),
        (errno.EACCES, "perf_event_paranoid is"),
        (errno.EPERM, "seccomp"),
        (errno.ENOSYS, "filtered out"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_a_kernel_that_refuses_leaves_the_thread_clock_and_a_reason(
    code: int, said: str, refusing: Callable[[int], None]
) -> None:
    refusing(code)
    assert counter().name == "thread-cpu"
    assert {each.name for each in available() if each.refusal and said in each.refusal} == {
        "instructions",
        "task-clock",
    }


def used(read: Callable[[], int], ms: int) -> int:
    before = read()
    until = time.thread_time_ns() + ms * 1_000_000
    while time.thread_time_ns() < until:
        pass
    return read() - before


def test_each_thread_is_counted_for_itself() -> None:
    read = counter("task-clock").read
    of_others: list[int] = []
    thread = threading.Thread(target=lambda: of_others.append(used(read, 30)))
    before = read()
    thread.start()
    thread.join()
    assert of_others[0] == pytest.approx(30e6, rel=0.05)
    assert read() - before < 10e6


FORKS = """
import os, time
from calotype.efficiency.meter import counter
read = counter("task-clock").read
read()
if child := os.fork():
    os.waitpid(child, 0)
else:
    before, until = read(), time.thread_time_ns() + 30_000_000
    while time.thread_time_ns() < until:
        pass
    print(read() - before)
"""


def test_a_child_of_fork_counts_itself() -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    ran = subprocess.run(
        [sys.executable, "-P", "-c", FORKS], env=environment, capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) == pytest.approx(30e6, rel=0.05)


def test_a_thread_that_ends_leaves_no_descriptor_open() -> None:
    def open_descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    read = counter("task-clock").read
    before = open_descriptors()
    for _ in range(20):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert open_descriptors() <= before + 1
