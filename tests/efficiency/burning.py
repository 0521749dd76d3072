"""CPU that is used on purpose, and how much it was in the end."""

from __future__ import annotations

import time

MS = 1_000_000

_used: list[tuple[str, int]] = []


def burn(ms: float, by: str = "") -> None:
    """Use so much CPU in this thread, in few calls, and remember it under a name.

    It may be more: what a shared machine takes from a thread between two readings of its clock, its clock may have as used,
    milliseconds at once."""
    began = now = time.thread_time_ns()
    while now < began + ms * MS:
        now = time.thread_time_ns()
    _used.append((by, now - began))


def burnt(by: str = "") -> int:
    """By the clock of the threads that did it, since the test began; ns."""
    return sum(used for name, used in _used if name == by)


def forget() -> None:
    _used.clear()
