"""The log files in DATA/logs: bounded, tailed, followed.

A child appends to its file itself, without a pipe: nothing copies its lines, a slow supervisor cannot hold it up, and
what it says after a crash of the supervisor is kept. So a file is rotated by copying and truncating it, which is safe
for files opened for appending (a line written in the instant between the two is lost; a log may, data may not).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

LIMIT_BYTES = 10 * 1024 * 1024
KEPT = 3
"""Files a name, the current one included: NAME.log, NAME.log.1, NAME.log.2."""

SHOWN_LINES = 15
"""Of the end of a log, where an error is reported."""

_BLOCK = 64 * 1024


def rotate(path: Path, limit_bytes: int = LIMIT_BYTES, kept: int = KEPT) -> bool:
    """Rotate if it is longer than the limit; says whether it was."""
    assert kept >= 2
    try:
        if path.stat().st_size <= limit_bytes:
            return False
    except FileNotFoundError:
        return False
    for number in range(kept - 1, 1, -1):
        older = _numbered(path, number - 1)
        if older.exists():
            older.replace(_numbered(path, number))
    shutil.copyfile(path, _numbered(path, 1))
    os.truncate(path, 0)
    return True


def append(path: Path, line: str) -> None:
    """Add a line with the time. A full disk costs the line, never the caller."""
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines, read from the end, whatever the length of the file."""
    if count <= 0:
        return []
    try:
        with path.open("rb") as file:
            position = file.seek(0, os.SEEK_END)
            tail = b""
            while position > 0 and tail.count(b"\n") <= count:
                step = min(_BLOCK, position)
                position = file.seek(position - step)
                tail = file.read(step) + tail
    except FileNotFoundError:
        return []
    return tail.decode(errors="replace").splitlines()[-count:]


def with_last_lines(sentence: str, path: Path) -> str:
    """A sentence about what writes this log, and what it said last."""
    shown = last_lines(path, SHOWN_LINES)
    if not shown:
        return sentence
    return f"{sentence}. The end of {path}:\n" + "\n".join(f"  {line}" for line in shown)


class Follower:
    """Yields the complete lines that appear in a file after `offset`; a truncated file is read from its start."""

    def __init__(self, path: Path, offset: int) -> None:
        self.path = path
        self._offset = offset
        self._partial = b""

    def new_lines(self) -> Iterator[str]:
        try:
            with self.path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._offset:
                    self._offset = 0
                file.seek(self._offset)
                block = file.read()
        except FileNotFoundError:
            return
        self._offset += len(block)
        *lines, self._partial = (self._partial + block).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def follow(paths: list[Path], show: Callable[[Path, str], None], every_s: float = 0.2) -> None:
    """Show each new line of the files until interrupted."""
    followers = [Follower(path, size(path)) for path in paths]
    while True:
        for follower in followers:
            for line in follower.new_lines():
                show(follower.path, line)
        time.sleep(every_s)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
