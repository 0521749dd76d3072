"""AppWeight: the CPU that one active person costs ("Instagram Under the Hood", Django Under the Hood 2016).

All of it is sums over ticks, so it is the same whichever worker or host they come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from calotype.efficiency.dynostats import Tick, Totals
from calotype.efficiency.meter import Unit
from calotype.efficiency.sketches import Histogram, HyperLogLog
from calotype.efficiency.sketches.hyperloglog import union

NS = 1e9


@dataclass(frozen=True, slots=True)
class EndpointWeight:
    """What an endpoint costs and how much of it there is: `cpu_share` is the cost of one request times `traffic_share`,
    as a part of what all requests cost."""

    endpoint: str
    requests: int
    errors: int
    cpu: Histogram
    """Of one request, in the unit of the whole."""
    wall_ns: Histogram
    traffic_share: float
    cpu_share: float


@dataclass(frozen=True, slots=True)
class AppWeight:
    """From `since` to `until` (Unix seconds)."""

    since: float
    until: float
    people: int
    """How many different ones were active."""
    requests: int
    errors: int
    dropped: int
    cores: float
    """CPU seconds a second of all workers' processes."""
    weight: float
    """CPU seconds of the site for each active person; NaN without any."""
    attributed: float
    """The CPU that requests were charged with, in `unit` a second."""
    attributed_share: float
    """Of the processes' CPU; NaN where CPU is counted in instructions."""
    unit: Unit | None
    """None: there is no tick."""
    endpoints: tuple[EndpointWeight, ...]
    """By `cpu_share`, the largest first."""

    @property
    def seconds(self) -> float:
        return self.until - self.since


@dataclass(frozen=True, slots=True)
class Release:
    """A release, and when it was first seen at work."""

    name: str
    since: float


def weigh(ticks: Iterable[Tick], since: float, until: float) -> AppWeight:
    """What the site cost in that time. A tick belongs to where it ends.

    Raises `ValueError` where ticks of different units meet: those of a release that counts otherwise.
    """
    chosen = [tick for tick in ticks if since < tick.at <= until]
    units = {tick.unit for tick in chosen}
    if len(units) > 1:
        raise ValueError("these ticks count CPU in instructions and in ns, which do not add up")
    unit = next(iter(units), None)
    seconds = until - since
    cores = sum(tick.process_cpu_ns for tick in chosen) / NS / seconds
    attributed = sum(tick.attributed for tick in chosen) / seconds
    people = len(union(HyperLogLog.decoded(tick.people) for tick in chosen))
    totals = _totals(chosen)
    return AppWeight(
        since=since,
        until=until,
        people=people,
        requests=sum(each.requests for each in totals.values()),
        errors=sum(each.errors for each in totals.values()),
        dropped=sum(tick.dropped for tick in chosen),
        cores=cores,
        weight=cores * seconds / people if people else float("nan"),
        attributed=attributed,
        attributed_share=attributed / NS / cores if unit == "ns" and cores else float("nan"),
        unit=unit,
        endpoints=_endpoints(totals),
    )


def series(ticks: Sequence[Tick], since: float, until: float, step_s: float = 60) -> list[AppWeight]:
    """One after the other, each of `step_s`; the last may be cut short by `until`.

    Ticks that count in another unit than the latest are left out, with all that they say.
    """
    latest = max(ticks, key=lambda tick: tick.at, default=None)
    steps: dict[int, list[Tick]] = {}
    for tick in ticks:
        if latest is not None and since < tick.at <= until and tick.unit == latest.unit:
            steps.setdefault(int((tick.at - since) // step_s), []).append(tick)
    edges = [since + n * step_s for n in range(int((until - since) // step_s) + 1)]
    if edges[-1] < until:
        edges.append(until)
    return [weigh(steps.get(n, ()), *ends) for n, ends in enumerate(pairwise(edges))]


def releases(ticks: Iterable[Tick]) -> list[Release]:
    """In the order in which they came."""
    first: dict[str, float] = {}
    for tick in ticks:
        name = tick.identity.release
        first[name] = min(first.get(name, tick.at), tick.at)
    return [Release(name, since) for name, since in sorted(first.items(), key=lambda item: item[1])]


def _totals(ticks: Iterable[Tick]) -> dict[str, Totals]:
    sums: dict[str, Totals] = {}
    for tick in ticks:
        for endpoint, totals in tick.endpoints.items():
            sum_ = sums.setdefault(endpoint, Totals())
            sum_.requests += totals.requests
            sum_.errors += totals.errors
            sum_.wall_ns.merge(totals.wall_ns)
            sum_.cpu.merge(totals.cpu)
    return sums


def _endpoints(totals: dict[str, Totals]) -> tuple[EndpointWeight, ...]:
    """An endpoint of which only some requests were metered is taken to cost the same in the others."""
    requests = sum(each.requests for each in totals.values())
    costs = {endpoint: each.cpu.mean * each.requests for endpoint, each in totals.items()}
    cost = sum(costs.values())
    weights = [
        EndpointWeight(
            endpoint=endpoint,
            requests=each.requests,
            errors=each.errors,
            cpu=each.cpu,
            wall_ns=each.wall_ns,
            traffic_share=each.requests / requests if requests else 0.0,
            cpu_share=costs[endpoint] / cost if cost else 0.0,
        )
        for endpoint, each in totals.items()
    ]
    return tuple(sorted(weights, key=lambda weight: weight.cpu_share, reverse=True))
