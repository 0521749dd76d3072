"""Whether this process may be forked.

A child of `fork` has the locks and descriptors of its parent and none of its threads. So a process that is forked has started
no thread and opened nothing that the children would share.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def hindrance(load: Callable[[], object]) -> str:
    """Load something, and say what of it hinders a fork: "has opened ... and left 2 threads"; empty when nothing does. Linux only."""
    before = _opened()
    load()
    opened, threads = _opened() - before, len(list(Path("/proc/self/task").iterdir()))
    return f"has opened {opened or 'nothing'} and left {threads} threads" if opened or threads > 1 else ""


def _opened() -> set[str]:
    """What the descriptors of this process lead to: files, sockets, event loops."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that listed them
            found.add(str(descriptor.readlink()))
    return found
