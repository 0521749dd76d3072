"""Records and ticks in local files: JSON lines in zstd frames, appended, rotated, bounded, and readable after any crash.

One writer a file: a process. What has gathered in a second is one frame and one `write`; so a process that is killed leaves
whole frames and at most one torn one, which readers stop at and the next writer cuts off. DuckDB reads the same files:
`select * from read_json('*.jsonl.zst', union_by_name = true) where type = 'request'`.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from calotype.efficiency.dynostats.background import begun
from calotype.efficiency.dynostats.types import Entry

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

log = logging.getLogger(__name__)

SUFFIX = ".jsonl.zst"
QUEUE = 10_000
"""Entries wait for their file; more than these are dropped."""

WRITE_EVERY_S = 1.0
SEGMENT_BYTES = 4 << 20
TOTAL_BYTES = 256 << 20
assert TOTAL_BYTES > 10 * SEGMENT_BYTES, "the oldest files go first, so there must be several"

_OPTIONS = {
    int(zstd.CompressionParameter.compression_level): 3,
    int(zstd.CompressionParameter.checksum_flag): 1,
}
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


class Segments:
    """A `Sink`. `with` it or `close` it; its thread begins with the first entry, in the process that puts it."""

    def __init__(
        self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES, total_bytes: int = TOTAL_BYTES
    ) -> None:
        self.directory = directory
        self.dropped = 0
        self._segment_bytes, self._total_bytes = segment_bytes, total_bytes
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._waiting: deque[Entry] = deque()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._segment: _Segment | None = None
        self._failing = False

    def put(self, entry: Entry) -> None:
        if len(self._waiting) >= QUEUE or self._closing.is_set():
            self.dropped += 1
            return
        self._waiting.append(entry)
        if self._thread is None:
            self._thread = begun("segments", self._write_for_ever)

    def close(self) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        else:
            self._write()
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _write_for_ever(self) -> None:
        while not self._closing.wait(WRITE_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        """Put away what waits. A disk that refuses (full, gone) costs these entries, and no more."""
        entries = [self._waiting.popleft() for _ in range(len(self._waiting))]
        lines = [line for entry in entries if (line := _line(entry)) is not None]
        self.dropped += len(entries) - len(lines)
        if not lines:
            return
        try:
            if self._segment is None:
                self._segment = self._opened()
            self._segment.append(lines)
            if self._segment.size >= self._segment_bytes:
                self._segment.close()
                self._segment = None
        except OSError as error:
            self.dropped += len(lines)
            if not self._failing:
                log.warning(
                    "%d records are dropped: %s is not written: %s", len(lines), self.directory, error
                )
            self._failing = True
        else:
            self._failing = False

    def _opened(self) -> _Segment:
        self.directory.mkdir(parents=True, exist_ok=True)
        mend(self.directory)
        prune(self.directory, self._total_bytes - self._segment_bytes)
        return _Segment(self.directory / f"{time.time_ns()}-{os.getpid()}{SUFFIX}")


class _Segment:
    """A file that one process appends to, and holds a lock of meanwhile."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError`."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.size = 0

    def append(self, lines: list[bytes]) -> None:
        """All of them or none. Raises `OSError`."""
        frame = zstd.compress(b"".join(lines), options=_OPTIONS)
        try:
            if (written := os.write(self._descriptor, frame)) < len(frame):
                raise OSError(f"{written} of {len(frame)} bytes were written")
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(frame)

    def close(self) -> None:
        os.close(self._descriptor)


def _line(entry: Entry) -> bytes | None:
    """None for what is no text: a name that a site gave, with half of a surrogate pair."""
    try:
        return _encoder.encode(entry) + b"\n"
    except UnicodeEncodeError:
        return None


def read(directory: Path, since: float = 0.0) -> Iterator[Entry]:
    """What the segments hold, file by file, each in the order of its writing; of files that were written to since."""
    for path in segments(directory):
        try:
            if path.stat().st_mtime < since:
                continue
            data = path.read_bytes()
        except FileNotFoundError:  # pruned meanwhile
            continue
        for frame in whole_frames(data):
            for line in zstd.decompress(frame).splitlines():
                # Of another release, which may know other fields: what cannot be read is left out.
                with suppress(msgspec.DecodeError):
                    yield _decoder.decode(line)


def segments(directory: Path) -> list[Path]:
    """Oldest first."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def whole_frames(data: bytes) -> Iterator[bytes]:
    """Up to the first that is torn or damaged."""
    at, view = 0, memoryview(data)  # slices of which are not copied: a segment has thousands of frames
    while at < len(data):
        try:
            size = zstd.get_frame_size(view[at:])
        except zstd.ZstdError:
            return
        yield data[at : at + size]
        at += size


def mend(directory: Path) -> None:
    """Cut torn frames off files that nobody writes to any longer, so that any reader can read them."""
    for path in segments(directory):
        with suppress(OSError):  # being written, or pruned
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                data = path.read_bytes()
                whole = sum(len(frame) for frame in whole_frames(data))
                if whole < len(data):
                    log.warning("%s ends within a record: %d bytes are cut off", path.name, len(data) - whole)
                    os.ftruncate(descriptor, whole)
            finally:
                os.close(descriptor)


def prune(directory: Path, total_bytes: int) -> None:
    """Remove the oldest until no more than this is left."""
    sizes: dict[Path, int] = {}
    for path in segments(directory):
        with suppress(FileNotFoundError):
            sizes[path] = path.stat().st_size
    excess = sum(sizes.values()) - total_bytes
    for path, size in sizes.items():
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size
