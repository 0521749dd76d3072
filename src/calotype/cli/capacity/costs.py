"""What operations cost, as `calotype bench` measured it: rows of its reports, turned into seconds and bytes.

`measured/` holds one report of each bench, as `calotype bench NAME --json` printed it. A report of the same bench that is
given by `--costs` takes its place, row by row. A new figure is a field of `Costs` and a line of `FIGURES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from calotype.cli.capacity.assumptions import MOST, CapacityInvalid

MEASURED = Path(__file__).parent / "measured"
MEASURED_ON = date(2026, 11, 24)


LEAST = 1e-6
"""A row below is less than a bench can measure."""


class ReportUnreadable(CapacityInvalid):
    """A file of `--costs` that is no report of a bench."""

    code = "report_unreadable"


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds of one core, seconds, bytes or shares, each of one operation."""

    feed_page_app_s: float
    feed_page_postgres_s: float
    feed_page_bytes: float
    upload_app_s: float
    photo_bytes: float
    variants_bytes: float
    read_memcached_s: float
    read_postgres_s: float
    read_hit_share: float
    list_read_app_s: float
    object_read_app_s: float
    write_app_s: float
    mixed_postgres_s: float
    mixed_statements: float
    logged_row_s: float
    entry_app_s: float
    entry_postgres_s: float
    entry_wall_s: float
    cassandra_entry_s: float
    cassandra_page_s: float
    jobs_a_s: float
    send_job_s: float
    job_latency_p50_s: float
    job_latency_p99_s: float
    invalidated_p50_s: float
    invalidated_p99_s: float


class Figure(msgspec.Struct, frozen=True):
    """A row of a report. Its value times `scale` is the field of `Costs`."""

    bench: str
    row: str
    unit: str
    scale: float


_MS, _US, _PERCENT = 1e-3, 1e-6, 1e-2
_FAN_OUT = "fan-out to 10,000 followers"
_DELETED = "commit to deleted in the other region, 1,000 commits/s"

FIGURES = {
    "feed_page_app_s": Figure("feed", "home feed, app CPU", "ms/page", _MS),
    "feed_page_postgres_s": Figure("feed", "home feed, PostgreSQL CPU", "ms/page", _MS),
    "feed_page_bytes": Figure("feed", "home feed, size", "bytes/page", 1),
    "upload_app_s": Figure("upload", "POST /new/, server CPU", "ms", _MS),
    "photo_bytes": Figure("upload", "the photo", "bytes", 1),
    "variants_bytes": Figure("upload", "its ten variants", "bytes", 1),
    "read_memcached_s": Figure("graph", "TAO's mix, memcached CPU", "us/operation", _US),
    "read_postgres_s": Figure("graph", "TAO's mix, PostgreSQL CPU", "us/operation", _US),
    "read_hit_share": Figure("graph", "TAO's mix, hit rate", "% of reads", _PERCENT),
    "list_read_app_s": Figure("graph", "assoc_range(20), 8 tasks, client CPU", "us", _US),
    "object_read_app_s": Figure("graph", "obj_get, 1 task, client CPU", "us", _US),
    "write_app_s": Figure("graph", "assoc_add, 8 tasks, client CPU", "us", _US),
    "mixed_postgres_s": Figure("graph", "LinkBench's mix, PostgreSQL CPU", "us/operation", _US),
    "mixed_statements": Figure("graph", "LinkBench's mix, statements", "/1,000 operations", 1e-3),
    "logged_row_s": Figure("invalidation", "a row of a backlog, CPU", "us", _US),
    "entry_app_s": Figure("fanout", f"{_FAN_OUT}, client CPU", "us/entry", _US),
    "entry_postgres_s": Figure("fanout", f"{_FAN_OUT}, PostgreSQL CPU", "us/entry", _US),
    "entry_wall_s": Figure("fanout", f"{_FAN_OUT}, wall", "us/entry", _US),
    "cassandra_entry_s": Figure("timelines", "Cassandra, push, server CPU", "us/entry", _US),
    "cassandra_page_s": Figure("timelines", "Cassandra, page of 20, server CPU", "us/page", _US),
    "jobs_a_s": Figure("jobs", "RabbitMQ, one process", "jobs/s", 1),
    "send_job_s": Figure("jobs", "RabbitMQ, send, CPU", "us/call", _US),
    "job_latency_p50_s": Figure("jobs", "RabbitMQ, sent to run, p50", "ms", _MS),
    "job_latency_p99_s": Figure("jobs", "RabbitMQ, sent to run, p99", "ms", _MS),
    "invalidated_p50_s": Figure("invalidation", f"{_DELETED}, p50", "ms", _MS),
    "invalidated_p99_s": Figure("invalidation", f"{_DELETED}, p99", "ms", _MS),
}
"""Field of `Costs` -> the row that it comes from."""


class Measured(msgspec.Struct, frozen=True):
    """One figure as it is printed: what the report said, where and when."""

    figure: Figure
    value: float
    on: date
    machine: str


class _Row(msgspec.Struct):
    name: str
    value: float
    unit: str


class _Machine(msgspec.Struct):
    processor: str
    cores: int


class _Report(msgspec.Struct):
    """What is read of `benchmarks.report.Report`, which an installed package does not have."""

    bench: str
    machine: _Machine
    rows: list[_Row]


def measured(reports: Iterable[Path] = ()) -> dict[str, Measured]:
    """By the fields of `Costs`: from the reports that come with the package, then from these. Raises `ReportUnreadable`."""
    found: dict[str, Measured] = {}
    for path in sorted(MEASURED.glob("*.json")):
        found |= _figures(_read(path), MEASURED_ON)
    for path in reports:
        known = _figures(_read(path), datetime.fromtimestamp(path.stat().st_mtime, UTC).date())
        if not known:
            raise ReportUnreadable(f"{path} has none of the rows that are counted with: {_wanted()}")
        found |= known
    assert found.keys() == FIGURES.keys(), FIGURES.keys() - found.keys()
    return found


def costs(found: Mapping[str, Measured]) -> Costs:
    return Costs(**{field: one.value * one.figure.scale for field, one in found.items()})


def _figures(report: _Report, on: date) -> dict[str, Measured]:
    """Rows of one name differ by their baselines, and have the same value of ours. Of what was less than could be
    measured the figure that is known stays."""
    values = {(row.name, row.unit): row.value for row in report.rows}
    machine = f"{report.machine.cores} cores, {report.machine.processor}"
    return {
        field: Measured(figure, values[figure.row, figure.unit], on, machine)
        for field, figure in FIGURES.items()
        if figure.bench == report.bench and values.get((figure.row, figure.unit), 0) >= LEAST
    }


def _read(path: Path) -> _Report:
    try:
        report = msgspec.json.decode(path.read_bytes(), type=_Report)
    except OSError as error:
        raise ReportUnreadable(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise ReportUnreadable(f"{path} is no report of `calotype bench NAME --json`: {error}") from None
    for row in report.rows:
        if not 0 <= row.value <= MOST:
            raise ReportUnreadable(f"{path}: {row.name} is {row.value}")
    return report


def _wanted() -> str:
    return ", ".join(sorted({figure.bench for figure in FIGURES.values()}))
