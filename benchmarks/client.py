"""A small HTTP client on one kept-alive connection; it opens another when the server closes it (gunicorn's sync worker
does after each answer)."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field

from calotype.std.errors import CalotypeError


class Unexpected(CalotypeError):
    code = "bench_unexpected_answer"


@dataclass
class Client:
    port: int
    cookies: tuple[str, ...] = field(default=(), init=False)
    """Those that the last answer has set, as `name=value`."""
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str, headers: dict[str, str]) -> bytes:
        return self.request("GET", path, b"", headers)

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """The body of the answer; raises `Unexpected` unless it is a success."""
        try:
            self._connection.request(method, path, body or None, headers)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection.close()
            self._connection.request(method, path, body or None, headers)
            response = self._connection.getresponse()
        content = response.read()
        set_cookies = response.headers.get_all("Set-Cookie", [])
        self.cookies = tuple(each.partition(";")[0] for each in set_cookies)
        if response.status not in (200, 201):
            raise Unexpected(
                f"{method} {path} on port {self.port} answered {response.status}: {content[:500].decode(errors='replace')}"
            )
        return content

    @property
    def local_port(self) -> int:
        """This end's of the connection, once there is one."""
        port: int = self._connection.sock.getsockname()[1]
        return port

    def close(self) -> None:
        self._connection.close()
