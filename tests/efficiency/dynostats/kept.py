"""A recorder whose records stay in memory."""

from __future__ import annotations

from calotype.efficiency.dynostats import Entry, Identity, Record, Recorder, Sampling, Tick
from calotype.efficiency.meter import Meter, counter


class Kept:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.dropped = 0
        self.closed = False

    def put(self, entry: Entry) -> None:
        self.entries.append(entry)

    def close(self) -> None:
        self.closed = True

    @property
    def records(self) -> list[Record]:
        return [entry for entry in self.entries if isinstance(entry, Record)]

    @property
    def ticks(self) -> list[Tick]:
        return [entry for entry in self.entries if isinstance(entry, Tick)]


def identity() -> Identity:
    return Identity(release="abc", host="host", worker="1", region="a")


def recorder(sink: Kept, sampling: Sampling | None = None) -> Recorder:
    return Recorder(identity, sink, Meter(counter("thread-cpu")), sampling or Sampling(), b"key")
