"""A sink that is several."""

from __future__ import annotations

from collections.abc import Sequence

from calotype.efficiency.dynostats.recorder import Sink
from calotype.efficiency.dynostats.types import Entry


class Several:
    """A `Sink`: all of them get everything, and what each drops is counted."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    @property
    def dropped(self) -> int:
        return sum(sink.dropped for sink in self._sinks)

    def put(self, entry: Entry) -> None:
        for sink in self._sinks:
            sink.put(entry)

    def close(self) -> None:
        """In their order, so the one that may take longest comes last."""
        for sink in self._sinks:
            sink.close()
