"""An OpenTelemetry collector, and what it answered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult

from calotype.efficiency.dynostats.cumulative import Cumulative
from calotype.efficiency.dynostats.telemetry import log_of, metrics_of, resource
from calotype.efficiency.dynostats.types import Record

RETRIED = (429, 502, 503, 504)
"""The statuses after which the protocol lets a client try again (OTLP 1.x, "Failures")."""


@dataclass(frozen=True, slots=True)
class Answer:
    again: bool = False
    """Whether the same may be sent again."""
    retry_after_s: float = 0.0
    lost: int = 0
    """Records that it refused for good."""
    refusal: str = ""


class Collector:
    """Sends and waits for the answer, for `timeout_s` at most. For one thread."""

    def __init__(self, endpoint: str, service: str, timeout_s: float) -> None:
        base = endpoint.rstrip("/")
        self._service = service
        self._logs_session, self._metrics_session = _Session(), _Session()
        self._logs = OTLPLogExporter(
            f"{base}/v1/logs",
            timeout=timeout_s,
            compression=Compression.Gzip,
            session=self._logs_session,
        )
        self._metrics = OTLPMetricExporter(
            f"{base}/v1/metrics",
            timeout=timeout_s,
            compression=Compression.Gzip,
            session=self._metrics_session,
        )

    def take_logs(self, records: Sequence[Record]) -> Answer:
        self._logs_session.forget()
        batch = self._encoded(records)
        damaged = len(records) - len(batch)
        if not batch:
            return Answer(lost=damaged)
        taken = self._logs.export(batch) is LogRecordExportResult.SUCCESS
        answer = self._logs_session.answer(taken, len(records))
        if answer.refusal:
            return answer
        return Answer(lost=damaged + _rejected(self._logs_session.body))

    def _encoded(self, records: Sequence[Record]) -> list[ReadableLogRecord]:
        """Without those whose text is none that can be sent (a lone surrogate), which would cost all others too."""
        logs: list[ReadableLogRecord] = []
        for record in records:
            with suppress(UnicodeEncodeError):
                logs.append(log_of(record, resource(record.identity, self._service)))
        return logs

    def take_metrics(self, sums: Cumulative) -> Answer:
        self._metrics_session.forget()
        data = metrics_of(sums, resource(sums.identity, self._service))
        taken = self._metrics.export(data) is MetricExportResult.SUCCESS
        return self._metrics_session.answer(taken, 0)


class _Session(requests.Session):
    """Remembers how it went: the exporters say no more than whether it went well, and take a redirection for that."""

    def forget(self) -> None:
        self.tried, self.status, self.retry_after, self.body = False, 0, "", b""

    def send(self, request: requests.PreparedRequest, **named: Any) -> requests.Response:
        self.tried, self.status = True, 0
        response = super().send(request, **named)
        self.status, self.retry_after = response.status_code, response.headers.get("Retry-After", "")
        self.body = response.content
        return response

    def answer(self, taken: bool, records: int) -> Answer:
        if taken and 200 <= self.status < 300:
            return Answer()
        if not self.tried:
            return Answer(lost=records, refusal="they cannot be encoded")
        if not self.status:
            return Answer(again=True, refusal="it does not answer")
        if self.status in RETRIED:
            return Answer(True, _seconds(self.retry_after), refusal=f"it answers {self.status}")
        return Answer(lost=records, refusal=f"it answers {self.status}")


def _seconds(retry_after: str) -> float:
    """Of a header: a number of seconds, or a date (RFC 9110)."""
    try:
        if retry_after.isdecimal():
            return float(retry_after)
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0


def _rejected(body: bytes) -> int:
    """How many of those that it took as a whole the collector did not take after all."""
    try:
        return int(ExportLogsServiceResponse.FromString(body).partial_success.rejected_log_records)
    except DecodeError:  # JSON, or nothing that the protocol knows: it said 200
        return 0
