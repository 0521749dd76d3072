"""The first page: who is active, what they cost, and which endpoints that goes to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from calotype.efficiency.appweight import AppWeight, Capacity, capacity, weigh
from calotype.efficiency.appweight.weight import EndpointWeight
from calotype.efficiency.console import charts, figures
from calotype.efficiency.console.history import HOUR_S, SPAN_S, History
from calotype.efficiency.console.records import Row, row
from calotype.efficiency.console.windows import NAN, Stretch, Window, groups, stretch, stretches
from calotype.efficiency.dynostats import Tick

SLOWEST = 8
COMPARED = 30
"""Minutes on each side of a release."""
LEAST_COMPARED = 3


@dataclass(frozen=True, slots=True)
class Endpoint:
    weight: EndpointWeight
    requests_per_s: float
    share_width: str
    """Of the largest share."""
    trend: str
    """A path of `charts.sparkline`."""
    trend_said: str


@dataclass(frozen=True, slots=True)
class SinceRelease:
    release: str
    change: str
    grew: bool


@dataclass(frozen=True, slots=True)
class Overview:
    window: Window
    now: float
    minute: AppWeight | None
    """None: nobody has written in the last one."""
    weight_ns: float
    """CPU for each person who was active in the last minute."""
    since_release: SinceRelease | None
    peak: float
    """People active in a minute, of the window."""
    capacity: Capacity | None
    """Of the last hour."""
    unit: str | None
    latest_at: float
    unread_bytes: int
    dropped: int
    """In the window."""
    weights: charts.Lines
    people: charts.Lines
    has_people: bool
    endpoints: list[Endpoint]
    endpoint_seconds: float
    """Of the time that the table is of, as far as anything is known."""
    slowest: list[Row]


def overview(history: History, now: float, window: Window) -> Overview:
    minutes = history.minutes(now, window.seconds)[:-1]  # the last one is not over
    hour = history.minutes(now, HOUR_S)[:-1]
    minute = history.last_minute(now)
    releases = history.releases()[1:]
    shown = stretches(minutes, window.minutes)
    seconds, endpoints = _endpoints(history.spans(now, window.seconds), now, window)
    return Overview(
        window=window,
        now=now,
        minute=minute,
        weight_ns=minute.weight * 1e9 if minute else NAN,
        since_release=_since(releases, hour),
        peak=max((each.people for each in minutes), default=0),
        capacity=_capacity(tuple(replace(each, endpoints=()) for each in hour)),
        unit=history.unit,
        latest_at=history.latest_at,
        unread_bytes=history.unread_bytes,
        dropped=sum(each.dropped for each in minutes),
        weights=charts.lines([_weight_point(each) for each in shown], releases, figures.duration),
        people=charts.lines([_people_point(each) for each in shown], releases, figures.digits),
        has_people=any(each.people > 0 for each in shown),
        endpoints=endpoints,
        endpoint_seconds=seconds,
        slowest=[row(record) for record in history.slowest()[:SLOWEST]],
    )


def _weight_point(each: Stretch) -> charts.Point:
    value = each.weight_ns if math.isfinite(each.weight_ns) else None
    return charts.Point(each.at, figures.clock(each.at), value, figures.duration(each.weight_ns))


def _people_point(each: Stretch) -> charts.Point:
    value = each.people if math.isfinite(each.people) else None
    return charts.Point(each.at, figures.clock(each.at), value, figures.digits(each.people))


def _since(releases: Sequence[tuple[float, str]], minutes: Sequence[AppWeight]) -> SinceRelease | None:
    """How what a person costs has changed with the latest release, if minutes before and after it say so."""
    if not releases:
        return None
    at, name = releases[-1]
    before = [each for each in minutes if each.until <= at and each.people][-COMPARED:]
    after = [each for each in minutes if each.since >= at and each.people][:COMPARED]
    if min(len(before), len(after)) < LEAST_COMPARED:
        return None
    costs = stretch(before).weight_ns, stretch(after).weight_ns
    return SinceRelease(name, figures.change(*costs), costs[1] > costs[0])


@lru_cache(maxsize=4)
def _capacity(minutes: tuple[AppWeight, ...]) -> Capacity | None:
    """Kept until a minute is over: thousands of resamplings."""
    return capacity(minutes)


def _endpoints(spans: Sequence[Tick], now: float, window: Window) -> tuple[float, list[Endpoint]]:
    if not spans:
        return 0.0, []
    first = min(tick.at - tick.seconds for tick in spans)
    began = max(first, (now - window.seconds) // SPAN_S * SPAN_S)
    whole = weigh(spans, began - 1, now)
    seconds = max(now - began, 1.0)
    grouped = [ticks for _, ticks in groups(spans, now, window)]
    largest = max((each.cpu_share for each in whole.endpoints), default=0) or 1
    return seconds, [
        Endpoint(
            weight=each,
            requests_per_s=each.requests / seconds,
            share_width=f"{100 * each.cpu_share / largest:.2f}%",
            trend=charts.sparkline(costs := [mean_cpu(ticks, each.endpoint) for ticks in grouped]),
            trend_said=trend_said(costs, whole.unit),
        )
        for each in whole.endpoints
    ]


def mean_cpu(ticks: Sequence[Tick], endpoint: str) -> float | None:
    """Of one request. None: there was none."""
    found = [tick.endpoints[endpoint].cpu for tick in ticks if endpoint in tick.endpoints]
    number = sum(each.count for each in found)
    return sum(each.total for each in found) / number if number else None


def trend_said(costs: Sequence[float | None], unit: str | None) -> str:
    known = [cost for cost in costs if cost is not None]
    if len(known) < 2:
        return "too short for a trend"
    ends = f"from {figures.cpu(known[0], unit)} to {figures.cpu(known[-1], unit)}"
    return f"mean CPU {ends}, {figures.change(known[0], known[-1])}"
