"""Single requests: rows of a table, and the page of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calotype.efficiency.console import charts, figures
from calotype.efficiency.console.history import digest_of, took_ns
from calotype.efficiency.dynostats import Record


@dataclass(frozen=True, slots=True)
class Piece:
    """Of a bar that shows what the time of a request went to."""

    kind: str
    left: str
    width: str
    share: float


@dataclass(frozen=True, slots=True)
class Row:
    record: Record
    digest: str
    took_ns: int
    """Until its answer began."""
    at: str
    cpu: str
    pieces: list[Piece]
    said: str


def row(record: Record) -> Row:
    pieces = _pieces(record)
    return Row(
        record=record,
        digest=digest_of(record),
        took_ns=took_ns(record),
        at=figures.clock(record.at, seconds=True),
        cpu=figures.cpu(record.figures.cpu, record.figures.unit) if record.figures else figures.NOTHING,
        pieces=pieces,
        said=", ".join(f"{KINDS[piece.kind]} {figures.percent(piece.share)}" for piece in pieces)
        or "not metered",
    )


KINDS = {"ran": "running", "queued": "waiting for its turn", "io": "waiting for others"}


def _pieces(record: Record) -> list[Piece]:
    """Running (in threads too), waiting for the loop, waiting for others; they follow each other many times, here each once."""
    found = record.figures
    if found is None or not record.wall_ns:
        return []
    waits = found.loop_wait_ns, found.io_wait_ns
    lengths = {"ran": max(record.wall_ns - sum(waits), 0), "queued": waits[0], "io": waits[1]}
    whole = sum(lengths.values())
    pieces, left = [], 0.0
    for kind, length in lengths.items():
        share = length / whole
        pieces.append(Piece(kind, f"{100 * left:.3f}%", f"{100 * share:.3f}%", share))
        left += share
    return pieces


@dataclass(frozen=True, slots=True)
class Call:
    engine: str
    times: float
    took_ns: float
    """Both of one request."""


def calls(records: Iterable[Record]) -> list[Call]:
    """Of one request, on average over what the records stand for; the longest first."""
    whole = 0.0
    times: dict[str, float] = {}
    took: dict[str, float] = {}
    for record in records:
        if record.figures is None:
            continue
        whole += record.weight
        for engine, made in record.figures.calls.items():
            times[engine] = times.get(engine, 0) + record.weight * made.times
            took[engine] = took.get(engine, 0) + record.weight * made.took_ns
    found = [Call(engine, times[engine] / whole, took[engine] / whole) for engine in times if whole]
    return sorted(found, key=lambda call: -call.took_ns)


@dataclass(frozen=True, slots=True)
class Page:
    row: Row
    record: Record
    at: str
    calls: list[Call]
    timeline: charts.Timeline | None


def page(record: Record) -> Page:
    steps = record.figures.timeline if record.figures else ()
    return Page(
        row=row(record),
        record=record,
        at=figures.moment(record.at).strftime("%-d %B %Y, %H:%M:%S %Z"),
        calls=_own_calls(record),
        timeline=charts.timeline(steps, record.wall_ns) if steps else None,
    )


def _own_calls(record: Record) -> list[Call]:
    made = record.figures.calls if record.figures else {}
    found: Sequence[Call] = [Call(engine, each.times, each.took_ns) for engine, each in made.items()]
    return sorted(found, key=lambda call: -call.took_ns)
