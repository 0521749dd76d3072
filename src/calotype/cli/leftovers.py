"""What a supervisor that was killed left behind, and how it is ended."""

from __future__ import annotations

import os
import signal

from calotype.cli import state
from calotype.cli.child_process import STOP_WITHIN_S
from calotype.cli.places import Places
from calotype.cli.process import Process, alive, end, marked
from calotype.cli.progress import Progress

STRAY_WITHIN_S = 3.0


def end_leftovers(places: Places, progress: Progress) -> int:
    """End what an earlier supervisor of this data directory started; says how many. The caller holds the lock."""
    ended = 0
    last = state.read(places)
    for child in reversed(last.children if last else []):
        if child.process is not None and alive(child.process):
            with progress.step(
                f"ending {child.name} (process {child.process.pid}), left by a supervisor that was killed"
            ):
                end(child.process, signal.Signals(child.stop_signal), STOP_WITHIN_S)
            ended += 1
    for stray in _strays(places):
        end(stray, signal.SIGTERM, STRAY_WITHIN_S)
        ended += 1
    return ended


def _strays(places: Places) -> list[Process]:
    """Workers of a child, and what was started in the instant before the kill: in no state file, but marked."""
    return [process for process in marked(places.data) if process.pid not in (os.getpid(), os.getppid())]
