"""What is written down: of a sampled request a `Record`, of each worker every few seconds a `Tick`. No personal data in either."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

from calotype.efficiency.meter import CounterName, Figures, Unit
from calotype.efficiency.sketches import Histogram

Reason = Literal["sampled", "error", "slow"]

NO_ROUTE = "(no route)"
"""The endpoint of requests that no route matches: their paths are anybody's words."""

OTHER = "(other)"
"""The endpoint of what would be one too many."""

ENDPOINTS = 500
"""A worker tells so many apart."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes: a worker of a release on a host."""

    release: str
    host: str
    worker: str
    region: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True, tag="request", tag_field="type"):
    """One request. Times are in ns but for `at`."""

    at: float
    """Unix time of its beginning, in seconds."""
    identity: Identity
    endpoint: str
    """The route's name or pattern, never the path."""
    method: str
    status: int
    """0: it was not answered."""
    reason: Reason
    weight: float
    """How many requests it stands for in sums: 1 in N were sampled. 0: it is here for its `reason` only."""
    wall_ns: int
    bytes_in: int
    bytes_out: int
    gates: tuple[str, ...] = ()
    profiled: bool = False
    """It was slower and dearer for that, so its CPU is in no tick."""
    answer_ns: int = 0
    """Until its answer began; 0: it never did."""
    error: str = ""
    """The class of the exception."""
    figures: Figures | None = None
    """None: it was not metered. The timeline is there if it was slow."""


def digest(record: Record) -> str:
    """By what a record is found again, in segments and elsewhere: 16 digits, which say nothing of it."""
    return blake2b(msgspec.json.encode(record), digest_size=8).hexdigest()


class Totals(msgspec.Struct):
    """Of one endpoint in one tick."""

    requests: int = 0
    errors: int = 0
    """Answers of 500 and above, and none at all."""
    wall_ns: Histogram = msgspec.field(default_factory=Histogram)
    cpu: Histogram = msgspec.field(default_factory=Histogram)
    """Of the metered ones."""


class Tick(msgspec.Struct, frozen=True, kw_only=True, tag="tick", tag_field="type"):
    """What a worker has done since its last tick. CPU is in `unit`."""

    at: float
    """Unix time of its end, in seconds."""
    seconds: float
    identity: Identity
    counter: CounterName
    unit: Unit
    process_cpu_ns: int
    """Of the whole process, whatever the unit of the rest."""
    attributed: int
    after: int
    people: str
    """Who was active, as `HyperLogLog.encoded`."""
    endpoints: dict[str, Totals]
    dropped: int = 0
    """Records and ticks that the sink could not take since the last one."""


Entry = Record | Tick
