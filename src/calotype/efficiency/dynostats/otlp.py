"""Records as logs and ticks as metrics, to an OpenTelemetry collector (OTLP over HTTP).

Encoding and sending are the SDK's; its batch processor is not used, since what its queue cannot take is lost without being
counted. Headers, certificates and further attributes of the resource are said by the standard's own variables
(`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_CERTIFICATE`, `OTEL_RESOURCE_ATTRIBUTES`).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

from calotype.efficiency.dynostats.background import begun
from calotype.efficiency.dynostats.collector import Answer, Collector
from calotype.efficiency.dynostats.cumulative import Cumulative
from calotype.efficiency.dynostats.types import Entry, Record

log = logging.getLogger(__name__)

QUEUE = 10_000
"""Records wait for the collector; more than these are dropped."""

BATCH = 500
SEND_EVERY_S = 1.0
TIMEOUT_S = 5.0
"""Of one request of ours, with what the SDK tries again by itself."""

CLOSE_S = 5.0
"""As long the end of a process waits for a collector."""

PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""Between failures, doubling. A collector that says Retry-After is left alone for so long, up to `LONGEST_REFUSAL_S`."""

LONGEST_REFUSAL_S = 300.0


@dataclass
class Patience:
    """With one of the collector's two addresses. Times of `time.monotonic`."""

    until: float = 0.0
    failures: int = 0

    def after(self, answer: Answer, now: float) -> None:
        """When to come again."""
        if not answer.again:
            self.failures = 0
            return
        self.failures += 1
        pause_s = min(PAUSE_S * 2 ** min(self.failures - 1, 10), LONGEST_PAUSE_S)
        self.until = now + max(pause_s, min(answer.retry_after_s, LONGEST_REFUSAL_S))


class Otlp:
    """A `Sink`. Its thread begins with the first entry, in the process that puts it. Records that wait too long or are
    refused are dropped; ticks are sent as sums that only grow, so one that does not arrive is in the next."""

    def __init__(self, endpoint: str, *, service: str = "", timeout_s: float = TIMEOUT_S) -> None:
        """`endpoint`: without `/v1/logs` and `/v1/metrics`."""
        self.dropped = 0
        self._connect: Callable[[], Collector] = lambda: Collector(endpoint, service, timeout_s)
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._waiting: deque[Record] = deque()
        self._sending: list[Record] = []
        self._lock = threading.Lock()
        self._sums: Cumulative | None = None
        self._due = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._logs, self._metrics = Patience(), Patience()
        self._away = False

    def put(self, entry: Entry) -> None:
        if self._closing.is_set():
            self.dropped += 1
            return
        if not isinstance(entry, Record):
            with self._lock:
                if self._sums is None:
                    self._sums = Cumulative.begun(entry)
                self._sums.add(entry)
                self._due = True
        elif len(self._waiting) < QUEUE:
            self._waiting.append(entry)
        else:
            self.dropped += 1
        if self._thread is None:
            self._thread = begun("otlp", self._send_for_ever)

    def close(self) -> None:
        """Send what waits, if the collector takes it soon."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        elif self._waiting or self._due:
            self._send_for_ever()
        left = len(self._waiting) + len(self._sending)
        if left:
            self.dropped += left
            log.warning("%d records are dropped: the collector has not taken them before the end", left)
        self._waiting.clear()
        self._sending = []

    def _send_for_ever(self) -> None:
        collector = self._connect()
        while not self._closing.wait(SEND_EVERY_S):
            self._send(collector)
        self._logs.until = self._metrics.until = 0.0  # the last try
        self._send(collector)

    def _send(self, collector: Collector) -> None:
        """Whatever is due, as far as the collector takes it."""
        if self._due and time.monotonic() >= self._metrics.until:
            self._send_metrics(collector)
        while (self._sending or self._waiting) and time.monotonic() >= self._logs.until:
            self._send_logs(collector)

    def _send_metrics(self, collector: Collector) -> None:
        with self._lock:
            sums, self._due = deepcopy(self._sums), False
        assert sums is not None
        answer = collector.take_metrics(sums)
        self._metrics.after(answer, time.monotonic())
        self._due = self._due or answer.again

    def _send_logs(self, collector: Collector) -> None:
        while self._waiting and len(self._sending) < BATCH:
            self._sending.append(self._waiting.popleft())
        answer = collector.take_logs(self._sending)
        self._logs.after(answer, time.monotonic())
        self._say(answer)
        if not answer.again:
            self.dropped += answer.lost
            self._sending = []

    def _say(self, answer: Answer) -> None:
        """Once, when it begins."""
        if answer.refusal and not self._away:
            log.warning("the collector does not take records: %s", answer.refusal)
        self._away = bool(answer.refusal)
