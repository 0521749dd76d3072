"""The shapes of charts, as percentages of the box they are drawn in: templates draw them, stylesheets colour them.

Nothing here knows what a chart is of. Texts are said beside the numbers, so that each chart has its table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from calotype.efficiency.meter import Step
from calotype.efficiency.sketches import Histogram
from calotype.efficiency.sketches.histogram import RELATIVE_ERROR

GRID = 4
"""Lines, the lowest at 0."""

BARS = 36
TALLEST = 70
"""Of a hundred: the names of the marks have their place above."""

STEP_PX, STEP_MOST_PX, STEPS_PX = 3, 14, 300
"""A step is at least and at most so high, and all of them together about so high."""

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)


@dataclass(frozen=True, slots=True)
class Point:
    """`value` None: nothing is known of that time."""

    at: float
    label: str
    value: float | None
    said: str


@dataclass(frozen=True, slots=True)
class Column:
    """The part of a chart that one point is in the middle of, for whoever points at it."""

    left: str
    width: str
    label: str
    said: str


@dataclass(frozen=True, slots=True)
class Mark:
    left: str
    label: str
    on_left: bool
    """Its label, since there is no room on the right."""


@dataclass(frozen=True, slots=True)
class Gridline:
    top: str
    label: str


@dataclass(frozen=True, slots=True)
class Lines:
    """`path` and `area` are in a box of 1000 by 100."""

    path: str
    area: str
    columns: list[Column]
    grid: list[Gridline]
    marks: list[Mark]
    ticks: list[str]
    """Labels along the time, evenly spread from the first to the last."""
    points: Sequence[Point]


def lines(
    points: Sequence[Point], marks: Sequence[tuple[float, str]], scale: Callable[[float], str]
) -> Lines:
    """Of points evenly spread over time, from 0 up. `marks`: at what time something was, and its name."""
    top = ceiling(max((point.value for point in points if point.value is not None), default=0.0))
    step = 1000 / max(len(points) - 1, 1)
    places = [
        None if point.value is None else (n * step, 100 - 100 * point.value / top)
        for n, point in enumerate(points)
    ]
    runs = _runs(places)
    width = 100 / max(len(points), 1)
    return Lines(
        path=" ".join(_path(run) for run in runs),
        area=" ".join(f"{_path(run)} L{run[-1][0]:.1f} 100 L{run[0][0]:.1f} 100 Z" for run in runs),
        columns=[
            Column(_share(n * width), _share(width), point.label, point.said)
            for n, point in enumerate(points)
        ],
        grid=[Gridline(_share(100 * n / GRID), scale(top * (GRID - n) / GRID)) for n in range(GRID + 1)],
        marks=_marks(points, marks),
        ticks=[points[round(n * (len(points) - 1) / 4)].label for n in range(5)] if points else [],
        points=points,
    )


def sparkline(values: Sequence[float | None]) -> str:
    """A path in a box of 100 by 20. Empty: there are too few."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    room = max(high - low, high * 0.1) or 1.0  # what hardly moves shall look like it
    middle = (low + high) / 2
    places = [
        None if value is None else (n * 100 / (len(values) - 1), 10 - 16 * (value - middle) / room)
        for n, value in enumerate(values)
    ]
    return " ".join(_path(run) for run in _runs(places))


@dataclass(frozen=True, slots=True)
class Bar:
    left: str
    width: str
    top: str
    height: str
    label: str
    said: str
    share: float


@dataclass(frozen=True, slots=True)
class Bars:
    bars: list[Bar]
    marks: list[Mark]
    ticks: list[str]


def distribution(histogram: Histogram, scale: Callable[[float], str]) -> Bars | None:
    """On a logarithmic axis, with its quantiles. None: there is nothing in it."""
    if not histogram.count:
        return None
    low, high = min(histogram.buckets), max(histogram.buckets)
    each = max(math.ceil((high - low + 1) / BARS), 1)
    counts = [0] * ((high - low) // each + 1)
    for bucket, number in histogram.buckets.items():
        counts[(bucket - low) // each] += number
    most, width = max(counts), 100 / len(counts)
    edges = [_edge(low + n * each) for n in range(len(counts) + 1)]
    bars = [
        Bar(
            left=_share(n * width),
            width=_share(width),
            top=_share(100 - TALLEST * number / most),
            height=_share(TALLEST * number / most),
            label=f"{scale(edge)} to {scale(edges[n + 1])}",
            said=f"{number:,} requests",
            share=number / histogram.count,
        )
        for n, (number, edge) in enumerate(zip(counts, edges, strict=False))
    ]
    span = len(counts) * each
    marks = []
    for quantile, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
        at = 100 * (_place(histogram.quantile(quantile)) - low) / span
        marks.append(Mark(_share(at), name, on_left=at > 85))
    return Bars(bars, marks, [scale(edges[round(n * len(counts) / 4)]) for n in range(5)])


@dataclass(frozen=True, slots=True)
class StepBar:
    """Ready to run from `ready` on, ran for `ran` from `began` on."""

    top: str
    height: str
    ready: str
    waited: str
    began: str
    ran: str
    step: Step
    number: int

    @property
    def waited_ns(self) -> int:
        return max(self.step.began_ns - self.step.queued_ns, 0)

    @property
    def ran_ns(self) -> int:
        return max(self.step.ended_ns - self.step.began_ns, 0)


@dataclass(frozen=True, slots=True)
class Timeline:
    height_px: int
    steps: list[StepBar]


def timeline(steps: Sequence[Step], wall_ns: int) -> Timeline:
    each = min(max(STEPS_PX // max(len(steps), 1), STEP_PX), STEP_MOST_PX)
    whole = max([wall_ns, *(step.ended_ns for step in steps)]) or 1

    def part(ns: int) -> str:
        return _share(100 * ns / whole)

    bars = [
        StepBar(
            top=str(n * each),
            height=str(max(each - 2, 2)),
            ready=part(step.queued_ns),
            waited=part(max(step.began_ns - step.queued_ns, 0)),
            began=part(step.began_ns),
            ran=part(max(step.ended_ns - step.began_ns, 0)),
            step=step,
            number=n + 1,
        )
        for n, step in enumerate(steps)
    ]
    return Timeline(len(steps) * each, bars)


def ceiling(value: float) -> float:
    """The next of 1, 2, 3, 4, 5, 6, 8, 10 times a power of ten, for an axis."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if value <= step * power * 1.000001)


def _runs(places: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """What is between the gaps. A point alone is a short line, or nobody would see it."""
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            runs.append([])
        else:
            runs[-1].append(place)
    return [run if len(run) > 1 else [run[0], (run[0][0] + 1, run[0][1])] for run in runs if run]


def _path(run: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in run)


def _marks(points: Sequence[Point], marks: Sequence[tuple[float, str]]) -> list[Mark]:
    if len(points) < 2:
        return []
    first, last = points[0].at, points[-1].at
    inside = [(at, label) for at, label in marks if first < at <= last]
    shares = [100 * (at - first) / (last - first) for at, _ in inside]
    return [
        Mark(_share(share), label, on_left=share > 80)
        for share, (_, label) in zip(shares, inside, strict=True)
    ]


def _edge(bucket: int) -> float:
    """The least value of a bucket."""
    return _GAMMA ** (bucket - 1) if bucket > 0 else 0.0


def _place(value: float) -> float:
    """In buckets."""
    return math.log(value, _GAMMA) + 1 if value >= 1 else 0.5


def _share(percent: float) -> str:
    return f"{percent:.3f}%"
