"""One deadline for a whole piece of work, passed down by context instead of a timeout at every step.

A web request, a relay or a command opens `deadline(seconds)`; whatever waits below it asks `remaining_s()`. A nested
deadline can only shorten the one around it. Times are of the monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

DEFAULT_S = 30.0
"""For work that nobody gave a deadline: long enough for a command, short enough that nothing hangs for ever."""

_expires_at: ContextVar[float | None] = ContextVar("calotype_deadline", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[float]:
    """Everything inside must end within `seconds`; yields the moment it expires (monotonic seconds)."""
    at = time.monotonic() + seconds
    outer = _expires_at.get()
    if outer is not None and outer < at:
        at = outer
    token = _expires_at.set(at)
    try:
        yield at
    finally:
        _expires_at.reset(token)


def expires_at() -> float:
    """The moment, in monotonic seconds, at which the current work must have ended."""
    at = _expires_at.get()
    return time.monotonic() + DEFAULT_S if at is None else at


def remaining_s() -> float:
    """Seconds left, never below zero."""
    return max(0.0, expires_at() - time.monotonic())
