"""Counters of the kernel for one thread, by `perf_event_open` (its manual page; `linux/perf_event.h`).

Each thread opens its own: counted for that thread alone, in user space alone, and by no thread or process it starts. A
child of `fork` opens its own, since the descriptors it has inherited still count its parent.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path

CALL_NUMBERS = {"x86_64": 298, "aarch64": 241, "riscv64": 241}
ATTR_SIZE = 64  # PERF_ATTR_SIZE_VER0, which every kernel takes
EXCLUDE_KERNEL, EXCLUDE_HYPERVISOR = 1 << 5, 1 << 6
CLOSE_ON_EXEC = 8
PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Event(Enum):
    """Type and configuration."""

    INSTRUCTIONS = (0, 1)  # PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS
    TASK_CLOCK = (1, 1)  # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK: nanoseconds


class PerfUnavailable(Exception):
    """The kernel gives no such counter to this process; says why, and what would change it."""


class ThreadEvent:
    """A counter of the thread that makes it, open until nothing refers to it."""

    def __init__(self, event: Event) -> None:
        """Raises `PerfUnavailable`."""
        self.descriptor = opened(event)

    def __del__(self) -> None:
        if (descriptor := getattr(self, "descriptor", None)) is not None:
            os.close(descriptor)


def reader(event: Event) -> Callable[[], int]:
    """A function that reads the calling thread's counter, opening it at its first call there.

    Raises `PerfUnavailable` unless this thread can have one. A thread that cannot (out of descriptors) later raises it at
    its first reading.
    """

    class Mine(threading.local):
        def __init__(self) -> None:
            self.event = ThreadEvent(event)
            self.descriptor = self.event.descriptor

    mine = Mine()
    read, number = os.read, int.from_bytes

    def of_this_thread() -> int:
        return number(read(mine.descriptor, 8), sys.byteorder)

    def forked() -> None:
        nonlocal mine
        mine = Mine()

    of_this_thread()
    os.register_at_fork(after_in_child=forked)
    return of_this_thread


def refusal(event: Event) -> str | None:
    """Why there is no such counter here; None: there is."""
    try:
        os.close(opened(event))
    except PerfUnavailable as error:
        return str(error)
    return None


def opened(event: Event) -> int:
    """A descriptor that counts for the calling thread. Raises `PerfUnavailable`."""
    number = CALL_NUMBERS.get(platform.machine())
    if _libc is None or number is None:
        raise PerfUnavailable(f"perf_event_open is not known here ({sys.platform}, {platform.machine()})")
    kind, configuration = event.value
    attributes = struct.pack(
        "IIQQQQQIIQ",
        kind,
        ATTR_SIZE,
        configuration,
        0,
        0,
        0,
        EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR,
        0,
        0,
        0,
    )
    this_thread, any_cpu, no_group = 0, -1, -1
    descriptor: int = _libc.syscall(number, attributes, this_thread, any_cpu, no_group, CLOSE_ON_EXEC)
    if descriptor < 0:
        raise PerfUnavailable(_why(ctypes.get_errno()))
    return descriptor


def _why(code: int) -> str:
    if code in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV):
        return "this machine shows no performance counters (common in virtual machines)"
    if code in (errno.EACCES, errno.EPERM):
        return (
            f"the kernel refuses perf_event_open: kernel.perf_event_paranoid is {_paranoid()} (2 or less is needed),"
            " or a container's seccomp profile forbids it"
        )
    if code == errno.ENOSYS:
        return "perf_event_open is filtered out (seccomp) or not in this kernel"
    return f"perf_event_open failed: {os.strerror(code)}"


def _paranoid() -> str:
    try:
        return PARANOID.read_text().strip()
    except OSError:
        return "unknown"
