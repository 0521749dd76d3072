"""Threads of sinks, which begin with what is first put down: that may be the last tick, as the interpreter ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress


def begun(name: str, run: Callable[[], None]) -> threading.Thread | None:
    """None where the interpreter is ending and begins no more threads: the sink's `close` does the work then."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    with suppress(RuntimeError):
        thread.start()
        return thread
    return None
