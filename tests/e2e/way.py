"""A way to the site on which a test decides how long pages take, and whether a gateway answers in place of the site."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.ports import free_port
from tests.running_site import RunningSite

KEPT_BACK = {"connection", "transfer-encoding", "content-length", "date", "server"}
"""Headers of an answer that this way writes itself, or that are about one connection."""


@dataclass
class Way:
    url: str
    delay_s: float = 0
    """Of pages; what they load comes at once."""
    status: int = 0
    """Pages are answered by a gateway with this, if there is one."""


@contextmanager
def way_to(site: RunningSite) -> Iterator[Way]:
    """An origin of its own in front of the site. Cookies do not know ports, so a session of the site is one here."""
    port = free_port()
    way = Way(f"http://127.0.0.1:{port}")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/notifications/live/":
                return self._answer(204, {}, b"")  # no stream: the page asks instead
            if self.headers.get("Sec-Fetch-Mode") == "navigate":
                time.sleep(way.delay_s)
                if way.status:
                    page = f"<!doctype html><title>{way.status}</title><h1>Gateway {way.status}</h1>"
                    return self._answer(way.status, {"Content-Type": "text/html"}, page.encode())
            connection = HTTPConnection("127.0.0.1", site.port, timeout=30)
            try:
                given = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                connection.request("GET", self.path, headers=given)
                answer = connection.getresponse()
                headers = {k: v for k, v in answer.getheaders() if k.lower() not in KEPT_BACK}
                return self._answer(answer.status, headers, answer.read())
            finally:
                connection.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield way
    finally:
        server.shutdown()
        server.server_close()
