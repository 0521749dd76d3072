"""Metrics of all workers of a host for Prometheus, whichever of them is asked.

Each worker keeps sums that only grow, and at each tick writes them to a small file of its own: a rename, so that readers
see the one before or this one. Whoever is scraped reads the files of all and tells them apart by the label `worker`, so
each series grows until its worker ends, and a worker that ended counts until its last sums have been scraped. The other
way (one sum of all, living and dead) needs a certain answer to who is dead, and a wrong one makes a counter fall.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from calotype.efficiency.dynostats.background import begun
from calotype.efficiency.dynostats.cumulative import Cumulative, place_of
from calotype.efficiency.dynostats.types import Entry, Record, digest

log = logging.getLogger(__name__)

SUFFIX = ".metrics.json"
SHOWN_S = 60.0
"""Sums older than this are of a worker that has ended; a scrape a minute has seen them."""

KEPT_S = 3_600.0
"""Older files are removed when a worker begins."""

RECENT = 1_000
"""Of as many records since the last tick examples are chosen; the latest of each bucket."""


CLOSE_S = 5.0
"""A disk that hangs holds up the end of a process no longer."""


class Example(msgspec.Struct, frozen=True):
    """A request that was recorded: `digest`, Unix time in seconds, and its value."""

    digest: str
    at: float
    value: float


Examples = dict[str, dict[int, Example]]
"""By endpoint and the place of the bucket's upper bound."""


class Snapshot(msgspec.Struct):
    """What one worker's file holds."""

    sums: Cumulative
    wall_ns: Examples = {}
    cpu: Examples = {}


class Prometheus:
    """A `Sink`. Its thread begins with the first tick, in the process that puts it. It drops nothing: a disk that refuses
    has all of it at the next tick at which it does not."""

    dropped = 0

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._recent: deque[Record] = deque(maxlen=RECENT)
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._ticked = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._failing = False

    def put(self, entry: Entry) -> None:
        if isinstance(entry, Record):
            self._recent.append(entry)
            return
        with self._lock:
            if self._snapshot is None:
                self._snapshot = Snapshot(Cumulative.begun(entry))
            self._snapshot.sums.add(entry)
        if self._thread is None:
            self._thread = begun("metrics", self._write_for_ever)
        self._ticked.set()

    def close(self) -> None:
        self._closing = True
        self._ticked.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        elif self._snapshot is not None:
            self._write_for_ever()

    def _write_for_ever(self) -> None:
        forget(self.directory, time.time() - KEPT_S)
        while True:
            self._ticked.wait()
            last = self._closing
            self._ticked.clear()
            self._write()
            if last:
                return

    def _write(self) -> None:
        snapshot = self._snapshot
        assert snapshot is not None
        recent = [self._recent.popleft() for _ in range(len(self._recent))]
        try:
            choose(snapshot, recent)
            with self._lock:
                data = msgspec.json.encode(snapshot)
            _replace(self.directory / f"{snapshot.sums.identity.host}-{os.getpid()}{SUFFIX}", data)
        except (OSError, UnicodeEncodeError) as error:
            if not self._failing:
                log.warning("sums for Prometheus are not written to %s: %s", self.directory, error)
            self._failing = True
        else:
            self._failing = False


def choose(snapshot: Snapshot, records: Iterable[Record]) -> None:
    """The latest of a bucket is its example."""
    wall_ns: dict[tuple[str, int], tuple[Record, float]] = {}
    cpu: dict[tuple[str, int], tuple[Record, float]] = {}
    for record in records:
        wall_ns[record.endpoint, place_of(record.wall_ns)] = record, record.wall_ns
        if record.figures is not None:
            used = record.figures.cpu + record.figures.after_cpu
            cpu[record.endpoint, place_of(used)] = record, used
    for examples, chosen in ((snapshot.wall_ns, wall_ns), (snapshot.cpu, cpu)):
        for (endpoint, place), (record, value) in chosen.items():
            examples.setdefault(endpoint, {})[place] = Example(digest(record), record.at, value)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half_written = path.with_name(f".{path.name}.new")
    descriptor = os.open(half_written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        if (written := os.write(descriptor, data)) < len(data):
            raise OSError(f"{written} of {len(data)} bytes were written")
    finally:
        os.close(descriptor)
    half_written.replace(path)


def forget(directory: Path, before: float) -> None:
    """Remove the files of workers that ended before then."""
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()


def live(directory: Path, now: float) -> list[Snapshot]:
    """Of the workers that are there, or were a moment ago; the latest of each name."""
    shown = [each for each in _snapshots(directory) if each.sums.at > now - SHOWN_S]
    shown.sort(key=lambda each: each.sums.at)
    return list({each.sums.identity.worker: each for each in shown}.values())


def _snapshots(directory: Path) -> Iterator[Snapshot]:
    decode: Callable[[bytes], Snapshot] = msgspec.json.Decoder(Snapshot).decode
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        # Of another release, cut short by a power failure, or forgotten meanwhile.
        with suppress(OSError, msgspec.DecodeError):
            yield decode(path.read_bytes())
