"""The page of one endpoint: how what it costs is distributed, and what each release has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calotype.efficiency.console import charts, figures
from calotype.efficiency.console.folding import add_totals
from calotype.efficiency.console.history import DAY_S, History
from calotype.efficiency.console.overview import mean_cpu
from calotype.efficiency.console.records import Call, Row, calls, row
from calotype.efficiency.console.windows import Window, groups
from calotype.efficiency.dynostats import Tick, Totals

ROWS = 10


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """What requests cost under one release; changes are against the release before it."""

    name: str
    since: str
    totals: Totals
    p50: float
    p95: float
    mean_change: str
    p50_change: str
    p95_change: str


@dataclass(frozen=True, slots=True)
class EndpointPage:
    name: str
    window: Window
    unit: str | None
    totals: Totals
    means: charts.Lines
    cpu: charts.Bars | None
    wall: charts.Bars | None
    releases: list[ReleaseRow]
    calls: list[Call]
    sampled: int
    """So many requests the calls are taken from."""
    slowest: list[Row]
    failed: list[Row]


def endpoint_page(history: History, name: str, now: float, window: Window) -> EndpointPage | None:
    """None: there was no request of it in the last day."""
    day = [tick for tick in history.spans(now, DAY_S) if name in tick.endpoints]
    if not day:
        return None
    releases = history.releases()
    spans = [tick for tick in day if tick.at > now - window.seconds]
    totals, unit = summed(spans, name), history.unit
    sampled = history.sampled(name)

    def scale(value: float) -> str:
        return figures.cpu(value, unit)

    points = []
    for at, ticks in groups(spans, now, window):
        mean = mean_cpu(ticks, name)
        points.append(
            charts.Point(at, figures.clock(at), mean, figures.NOTHING if mean is None else scale(mean))
        )
    return EndpointPage(
        name=name,
        window=window,
        unit=unit,
        totals=totals,
        means=charts.lines(points, releases[1:], scale),
        cpu=charts.distribution(totals.cpu, scale),
        wall=charts.distribution(totals.wall_ns, figures.duration),
        releases=_releases(day, name, releases),
        calls=calls(sampled),
        sampled=len(sampled),
        slowest=[row(record) for record in history.slowest(name)[:ROWS]],
        failed=[row(record) for record in history.failed(name)[:ROWS]],
    )


def summed(ticks: Sequence[Tick], endpoint: str) -> Totals:
    sum_ = Totals()
    for tick in ticks:
        if (totals := tick.endpoints.get(endpoint)) is not None:
            add_totals(sum_, totals)
    return sum_


def _releases(day: Sequence[Tick], endpoint: str, releases: Sequence[tuple[float, str]]) -> list[ReleaseRow]:
    """The latest first."""
    rows: list[ReleaseRow] = []
    before: Totals | None = None
    for since, name in releases:
        totals = summed([tick for tick in day if tick.identity.release == name], endpoint)
        if totals.requests:
            rows.append(_release(name, since, before, totals))
            before = totals
    return rows[::-1]


def _release(name: str, since: float, before: Totals | None, totals: Totals) -> ReleaseRow:
    old = before.cpu if before is not None else None
    p50, p95 = totals.cpu.quantile(0.5), totals.cpu.quantile(0.95)
    return ReleaseRow(
        name=name,
        since=figures.clock(since),
        totals=totals,
        p50=p50,
        p95=p95,
        mean_change=figures.change(old.mean, totals.cpu.mean) if old else "",
        p50_change=figures.change(old.quantile(0.5), p50) if old else "",
        p95_change=figures.change(old.quantile(0.95), p95) if old else "",
    )
