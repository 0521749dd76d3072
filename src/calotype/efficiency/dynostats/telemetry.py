"""Records as OpenTelemetry's logs, sums as its metrics. Attributes have the names of the semantic conventions where they have any."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import AnyValue

from calotype.efficiency.dynostats.cumulative import BOUNDS, Buckets, Cumulative, active
from calotype.efficiency.dynostats.types import NO_ROUTE, Identity, Reason, Record, digest
from calotype.efficiency.meter import Unit

NS = 1_000_000_000
SCOPE = InstrumentationScope("calotype.efficiency.dynostats")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
"""Others are anybody's words: `_OTHER`, as the conventions say."""

SEVERITIES: dict[Reason, SeverityNumber] = {
    "sampled": SeverityNumber.INFO,
    "slow": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
}
UNITS: dict[Unit, tuple[str, int]] = {"ns": ("s", NS), "instructions": ("{instruction}", 1)}
"""How they are called there, and how many of ours are one of theirs."""


@cache
def resource(who: Identity, service: str) -> Resource:
    said = {
        "service.version": who.release,
        "service.instance.id": f"{who.host}:{who.worker}",
        "host.name": who.host,
    }
    if service:
        said["service.name"] = service
    if who.region:
        said["cloud.region"] = who.region
    return Resource.create(said)


def log_of(record: Record, of: Resource) -> ReadableLogRecord:
    at_ns = int(record.at * NS)
    method = record.method if record.method in METHODS else "_OTHER"
    severity = SEVERITIES[record.reason]
    return ReadableLogRecord(
        LogRecord(
            timestamp=at_ns,
            observed_timestamp=at_ns + record.wall_ns,
            severity_number=severity,
            severity_text=severity.name,
            body=f"{method} {record.endpoint} {record.status}",
            attributes=_attributes(record, method),
            event_name="dynostats.request",
        ),
        of,
        SCOPE,
    )


def _attributes(record: Record, method: str) -> dict[str, AnyValue]:
    said: dict[str, AnyValue] = {
        "http.request.method": method,
        "http.request.body.size": record.bytes_in,
        "http.response.body.size": record.bytes_out,
        "dynostats.request.id": digest(record),
        "dynostats.reason": record.reason,
        "dynostats.weight": record.weight,
        "dynostats.duration_ns": record.wall_ns,
    }
    if record.endpoint != NO_ROUTE:
        said["http.route"] = record.endpoint
    if record.status:
        said["http.response.status_code"] = record.status
    if record.error or record.status >= 500:
        said["error.type"] = record.error or str(record.status)
    if record.gates:
        said["dynostats.gates"] = list(record.gates)
    if (figures := record.figures) is not None:
        said |= {
            "dynostats.counter": figures.counter,
            "dynostats.cpu": figures.cpu,
            "dynostats.after_cpu": figures.after_cpu,
            "dynostats.offloaded_cpu": figures.offloaded_cpu,
            "dynostats.loop_wait_ns": figures.loop_wait_ns,
            "dynostats.io_wait_ns": figures.io_wait_ns,
        }
        for engine, calls in figures.calls.items():
            said[f"dynostats.calls.{engine}.times"] = calls.times
            said[f"dynostats.calls.{engine}.took_ns"] = calls.took_ns
    return said


def metrics_of(sums: Cumulative, of: Resource) -> MetricsData:
    """All of a worker since it began; of a distribution neither the least nor the largest is known."""
    unit, per = UNITS[sums.unit]
    routes = [(_route(endpoint), each) for endpoint, each in sums.endpoints.items()]
    times = int(sums.since * NS), int(sums.at * NS)
    metrics = [
        Metric(
            "dynostats.requests",
            "All of them, whatever is sampled.",
            "{request}",
            _sum(times, [(route, each.requests) for route, each in routes]),
        ),
        Metric(
            "dynostats.request.errors",
            "Answers of 500 and above, and none at all.",
            "{request}",
            _sum(times, [(route, each.errors) for route, each in routes]),
        ),
        Metric(
            "dynostats.request.duration",
            "From the arrival of a request until the application was done with it.",
            "s",
            _histogram(times, NS, [(route, each.wall_ns) for route, each in routes]),
        ),
        Metric(
            "dynostats.request.cpu",
            "CPU of a request, in threads and after its answer too; of the metered ones.",
            unit,
            _histogram(times, per, [(route, each.cpu) for route, each in routes]),
        ),
        Metric(
            "dynostats.records.dropped",
            "Records that some sink could not take.",
            "{record}",
            _sum(times, [({}, sums.dropped)]),
        ),
        Metric(
            "process.cpu.time",
            "CPU of the whole process.",
            "s",
            _sum(times, [({}, sums.process_cpu_ns / NS)]),
        ),
        Metric(
            "dynostats.attributed",
            "CPU that requests were charged with.",
            unit,
            _sum(times, [({}, sums.attributed / per)]),
        ),
        Metric(
            "dynostats.after",
            "As much of it was used after the application was done with its request.",
            unit,
            _sum(times, [({}, sums.after / per)]),
        ),
        Metric(
            "dynostats.people.active",
            "How many people this worker has served in the last minute.",
            "{person}",
            Gauge([NumberDataPoint({}, *times, active([sums], sums.at))]),
        ),
    ]
    return MetricsData([ResourceMetrics(of, [ScopeMetrics(SCOPE, metrics, "")], "")])


Route = dict[str, str]
Times = tuple[int, int]
"""Since when, and when."""


def _route(endpoint: str) -> Route:
    return {} if endpoint == NO_ROUTE else {"http.route": endpoint}


def _sum(times: Times, values: Iterable[tuple[Route, float]]) -> Sum:
    points = [NumberDataPoint(route, *times, value) for route, value in values]
    return Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)


def _histogram(times: Times, per: int, values: Iterable[tuple[Route, Buckets]]) -> Histogram:
    bounds = [bound / per for bound in BOUNDS]
    points = [
        HistogramDataPoint(
            route,
            *times,
            count=buckets.count,
            sum=buckets.total / per,
            bucket_counts=buckets.counts,
            explicit_bounds=bounds,
            min=None,  # type: ignore[arg-type]  # optional in the protocol
            max=None,  # type: ignore[arg-type]
        )
        for route, buckets in values
    ]
    return Histogram(points, AggregationTemporality.CUMULATIVE)
