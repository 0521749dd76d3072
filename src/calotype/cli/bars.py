"""How far a countable piece of work has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY_S = 5.0


class Bar:
    """`with Bar("people") as bar: bar.update(done, total)`. Says nothing about work that there was none of."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._began = time.monotonic()
        self._said_at = self._began
        self._latest = (0, 0)
        self._shown: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def update(self, done: int, total: int) -> None:
        """Say that `done` of `total` are done."""
        self._latest = (done, total)
        if sys.stdout.isatty():
            self._draw(done, total)
        elif time.monotonic() - self._said_at >= LINE_EVERY_S:
            self._said_at = time.monotonic()
            print(f"{self._text}: {done:,} of {total:,}", flush=True)

    def _draw(self, done: int, total: int) -> None:
        if self._shown is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._shown = Progress(*columns, transient=True)
            self._shown.start()
            self._task = self._shown.add_task(self._text, total=total)
        assert self._task is not None
        self._shown.update(self._task, completed=done, total=total)

    def __exit__(self, kind: object, *_: object) -> None:
        if self._shown is not None:
            self._shown.stop()
        done, total = self._latest
        if total:
            took = time.monotonic() - self._began
            print(f"{self._text}: {done:,} of {total:,} in {took:.1f} s", flush=True)
