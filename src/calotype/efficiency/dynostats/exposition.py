"""What Prometheus scrapes: `path("metrics", exposition)` in any Django site's addresses.

It answers whoever has the token that the settings name. If they name none, it answers clients on this machine alone, and
none that came through a proxy that says so; behind a proxy that does not, everybody seems to be on this machine, so there
a token is needed.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from calotype.efficiency.dynostats.cumulative import BOUNDS, Buckets, Cumulative, active
from calotype.efficiency.dynostats.prometheus import Example, Examples, Snapshot, live
from calotype.efficiency.dynostats.settings import told
from calotype.efficiency.meter import Unit

NS = 1e9
PER: dict[Unit, float] = {"ns": NS, "instructions": 1}
SUFFIX: dict[Unit, str] = {"ns": "cpu_seconds", "instructions": "instructions"}
"""How CPU is called in the name of a metric: what it is counted in."""

FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


async def exposition(request: HttpRequest) -> HttpResponse:
    """OpenMetrics, or Prometheus's older text (which has no exemplars) for clients that do not ask for it."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    settings = told()
    if (refusal := _refusal(request, settings.metrics_token)) is not None:
        return refusal
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    text = await asyncio.to_thread(lambda: encode(registry(settings.directory, time.time())))
    return HttpResponse(text, content_type=content_type, headers={"Cache-Control": "no-store"})


def _refusal(request: HttpRequest, token: str) -> HttpResponse | None:
    if token:
        said = request.headers.get("Authorization", "")
        if compare_digest(said.encode(), f"Bearer {token}".encode()):
            return None
        return _refused(401, "metrics_token is needed\n", {"WWW-Authenticate": "Bearer"})
    if _is_on_this_machine(request):
        return None
    return _refused(403, "without a metrics_token, only for clients on this machine\n", {})


def _refused(status: int, why: str, headers: dict[str, str]) -> HttpResponse:
    return HttpResponse(why, status=status, content_type="text/plain", headers=headers)


def _is_on_this_machine(request: HttpRequest) -> bool:
    if any(request.META.get(header) for header in FORWARDED):
        return False
    try:
        address = ip_address(request.META.get("REMOTE_ADDR") or "")
    except ValueError:  # a Unix socket: whoever may open it is a proxy
        return False
    # An IPv4 client of a socket for both; before Python 3.13 it was no loopback address itself.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def registry(directory: Path, now: float) -> CollectorRegistry:
    """The metrics of the workers that write to this directory."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Workers(live(directory, now), now))
    return made


class _Workers(Collector):
    def __init__(self, snapshots: Sequence[Snapshot], now: float) -> None:
        self._snapshots, self._now = snapshots, now

    def collect(self) -> Iterator[Metric]:
        workers = [each.sums for each in self._snapshots]
        yield GaugeMetricFamily(
            "dynostats_active_people",
            "How many people were active in the last minute, each once, by a sketch (0.8%).",
            value=active(workers, self._now),
        )
        yield from _of_workers(workers)
        yield from _of_endpoints(workers)
        wall = (
            (snapshot, endpoint, sums.wall_ns, snapshot.wall_ns)
            for snapshot in self._snapshots
            for endpoint, sums in snapshot.sums.endpoints.items()
        )
        yield _histogram(
            "dynostats_request_duration_seconds",
            "From the arrival of a request until the application was done with it.",
            NS,
            wall,
        )
        for unit in _units(workers):
            cpu = (
                (snapshot, endpoint, sums.cpu, snapshot.cpu)
                for snapshot in self._snapshots
                if snapshot.sums.unit == unit
                for endpoint, sums in snapshot.sums.endpoints.items()
            )
            yield _histogram(
                f"dynostats_request_{SUFFIX[unit]}",
                "CPU of a request, in threads and after its answer too; of the metered ones.",
                PER[unit],
                cpu,
            )


def _units(workers: Sequence[Cumulative]) -> list[Unit]:
    return [unit for unit in PER if any(worker.unit == unit for worker in workers)]


def _of_workers(workers: Sequence[Cumulative]) -> Iterator[Metric]:
    began = GaugeMetricFamily(
        "dynostats_worker_start_time_seconds",
        "When a worker began, as Unix time.",
        labels=["worker", "release", "region"],
    )
    process = CounterMetricFamily(
        "dynostats_process_cpu_seconds", "CPU of the whole process.", labels=["worker"]
    )
    dropped = CounterMetricFamily(
        "dynostats_dropped", "Records that some sink could not take.", labels=["worker"]
    )
    for worker in workers:
        who = worker.identity
        began.add_metric([who.worker, who.release, who.region], worker.since)
        process.add_metric([who.worker], worker.process_cpu_ns / NS)
        dropped.add_metric([who.worker], worker.dropped)
    yield from (began, process, dropped)
    for unit in _units(workers):
        attributed = CounterMetricFamily(
            f"dynostats_attributed_{SUFFIX[unit]}", "CPU that requests were charged with.", labels=["worker"]
        )
        after = CounterMetricFamily(
            f"dynostats_after_{SUFFIX[unit]}",
            "As much of it was used after the application was done with its request.",
            labels=["worker"],
        )
        for worker in workers:
            if worker.unit == unit:
                attributed.add_metric([worker.identity.worker], worker.attributed / PER[unit])
                after.add_metric([worker.identity.worker], worker.after / PER[unit])
        yield from (attributed, after)


def _of_endpoints(workers: Sequence[Cumulative]) -> Iterator[Metric]:
    labels = ["endpoint", "worker"]
    requests = CounterMetricFamily("dynostats_requests", "All of them, whatever is sampled.", labels=labels)
    errors = CounterMetricFamily(
        "dynostats_request_errors", "Answers of 500 and above, and none at all.", labels=labels
    )
    for worker in workers:
        for endpoint, sums in worker.endpoints.items():
            requests.add_metric([endpoint, worker.identity.worker], sums.requests)
            errors.add_metric([endpoint, worker.identity.worker], sums.errors)
    yield from (requests, errors)


def _histogram(
    name: str, help_: str, per: float, rows: Iterable[tuple[Snapshot, str, Buckets, Examples]]
) -> Metric:
    """`rows`: of a worker and an endpoint. `per`: how many of their units are one of the metric's."""
    family = HistogramMetricFamily(name, help_, labels=["endpoint", "worker"])
    for snapshot, endpoint, buckets, examples in rows:
        lines = _lines(buckets, examples.get(endpoint, {}), per)
        family.add_metric([endpoint, snapshot.sums.identity.worker], lines, buckets.total / per)
    return family


Line = tuple[str, float] | tuple[str, float, Exemplar]


def _lines(buckets: Buckets, examples: dict[int, Example], per: float) -> list[Line]:
    """How many are not above each bound."""
    lines: list[Line] = []
    seen = 0
    for place, (bound, count) in enumerate(zip((*BOUNDS, math.inf), buckets.counts, strict=True)):
        seen += count
        line = ("+Inf" if bound == math.inf else str(bound / per), float(seen))
        if (example := examples.get(place)) is not None:
            lines.append((*line, Exemplar({"request": example.digest}, example.value / per, example.at)))
        else:
            lines.append(line)
    return lines
