"""An OTLP receiver over HTTP that decodes what it gets with the protocol's own classes, and answers as it is told."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tests.ports import free_port


class Reply(NamedTuple):
    status: int = 200
    retry_after: str = ""
    rejected: int = 0


class Receiver:
    def __init__(self) -> None:
        self.logs: list[LogRecord] = []
        self.metrics: list[dict[str, Metric]] = []
        self.resource: dict[str, str] = {}
        self.times: list[float] = []
        """When logs came, whatever they were answered; of `time.monotonic`."""
        self.reply: Callable[[], Reply] = Reply
        self.hanging = threading.Event()
        """Set: it takes requests and never answers them, until it is cleared."""
        self.port = 0

    def post(self, path: str, body: bytes) -> Reply:
        if path == "/v1/logs":
            self.times.append(time.monotonic())
        while self.hanging.is_set():
            time.sleep(0.01)
        reply = self.reply()
        if reply.status == 200:
            if path == "/v1/logs":
                self._logs(body)
            elif path == "/v1/metrics":
                self._metrics(body)
            else:
                return Reply(404)
        return reply

    def _logs(self, body: bytes) -> None:
        for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            self.resource = said(of_resource.resource.attributes)
            for scope in of_resource.scope_logs:
                self.logs.extend(scope.log_records)

    def _metrics(self, body: bytes) -> None:
        for of_resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in of_resource.scope_metrics:
                self.metrics.append({metric.name: metric for metric in scope.metrics})


def said(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Attributes as text."""
    found = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        assert kind is not None
        found[each.key] = str(getattr(each.value, kind))
    return found


@contextmanager
def receiving(port: int | None = None) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/x-protobuf"
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            reply = receiver.post(self.path, body)
            answer = ExportLogsServiceResponse()
            if reply.rejected:
                answer.partial_success.rejected_log_records = reply.rejected
            data = answer.SerializeToString()
            self.send_response(reply.status)
            if reply.retry_after:
                self.send_header("Retry-After", reply.retry_after)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Whoever asked has not waited for the answer."""

    with Server(("127.0.0.1", port or free_port()), Handler) as server:
        receiver.port = server.server_port
        serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        try:
            yield receiver
        finally:
            receiver.hanging.clear()
            server.shutdown()
            serving.join()


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)
