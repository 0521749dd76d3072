"""How a long command says what it does: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from calotype.cli.log_files import append

if TYPE_CHECKING:
    from rich.console import Console

WORTH_SAYING_S = 1.0
"""A step that took longer says how long."""


class Progress(Protocol):
    """`line` says one thing; `step` surrounds work that may take a while."""

    def line(self, text: str) -> None: ...

    def step(self, text: str) -> AbstractContextManager[None]: ...


class Plain:
    """Lines on standard output, one at the start of a step and one at its end if it took long."""

    def line(self, text: str) -> None:
        with contextlib.suppress(OSError):  # whoever read it has gone; the work has not
            print(text, flush=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        self.line(f"{text} ...")
        begun = time.monotonic()
        yield
        if (took_s := time.monotonic() - begun) >= WORTH_SAYING_S:
            self.line(f"{text}: done in {took_s:.1f} s")


class Terminal:
    """A spinner while a step lasts, a tick when it has ended."""

    def __init__(self) -> None:
        from rich.console import Console  # 60 ms that only a terminal needs to pay

        self._console: Console = Console(highlight=False)

    def line(self, text: str) -> None:
        self._console.print(text, markup=False)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        begun = time.monotonic()
        with self._console.status(text):
            yield
        self._console.print(f"[green]✓[/green] {text} [dim]{time.monotonic() - begun:.1f} s[/dim]")


class Logged:
    """Says everything on another progress, if there is one, and in a log file."""

    def __init__(self, path: Path, shown: Progress | None) -> None:
        self._path = path
        self._shown = shown

    def line(self, text: str) -> None:
        append(self._path, text)
        if self._shown is not None:
            self._shown.line(text)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        append(self._path, f"{text} ...")
        with self._shown.step(text) if self._shown is not None else nullcontext():
            yield


def progress() -> Progress:
    """The right one for standard output."""
    return Terminal() if sys.stdout.isatty() else Plain()
