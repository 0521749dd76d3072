"""What was added to segments since one looked last."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calotype.efficiency.dynostats.segments import SEGMENT_BYTES, segments, whole_frames

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES = 4 * SEGMENT_BYTES
"""Read of a file at once: more than one has, and its largest frame is smaller still."""


@dataclass(slots=True)
class _Position:
    offset: int = 0
    """Where the first frame begins that has not been read."""
    size: int = 0
    """Of the file, when all that could be read of it had been."""


class Tail:
    """Reads each frame of a directory's segments once. For one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._positions: dict[Path, _Position] = {}
        self.unread_bytes = 0
        """When it was last asked for frames, less what it has given since."""

    def frames(self, since: float) -> Iterator[bytes]:
        """The lines of each new frame, of files that were written to since; newest files first, each in its order.

        Whoever stops early is given the rest next time. A torn frame is tried again when its file has changed.
        """
        waiting = self._waiting(since)
        for path, size in waiting:
            yield from self._of(path, size)

    def _waiting(self, since: float) -> list[tuple[Path, int]]:
        """The files with something new, and how long they are now."""
        waiting: list[tuple[Path, int]] = []
        present = segments(self.directory)
        for path in reversed(present):
            with suppress(FileNotFoundError):  # pruned meanwhile
                found = path.stat()
                if found.st_mtime >= since and found.st_size != self._position(path).size:
                    waiting.append((path, found.st_size))
        for gone in self._positions.keys() - set(present):
            del self._positions[gone]
        self.unread_bytes = sum(max(size - self._position(path).offset, 0) for path, size in waiting)
        return waiting

    def _position(self, path: Path) -> _Position:
        return self._positions.setdefault(path, _Position())

    def _of(self, path: Path, size: int) -> Iterator[bytes]:
        position = self._position(path)
        while (began := position.offset) < size:
            try:
                with path.open("rb") as file:
                    file.seek(began)
                    data = file.read(min(size - began, CHUNK_BYTES))
            except FileNotFoundError:
                return
            for frame in whole_frames(data):
                position.offset += len(frame)
                self.unread_bytes -= len(frame)
                with suppress(zstd.ZstdError):  # its checksum is wrong
                    yield zstd.decompress(frame)
            if position.offset == began:  # torn, or damaged
                break
        self.unread_bytes -= max(size - position.offset, 0)
        position.size = size
