"""One person's browser, as far as a page without pictures and scripts needs one."""

from __future__ import annotations

import http.client
import re
import select
import socket
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Self
from urllib.parse import urlencode, urlsplit

from calotype.std.errors import Unavailable

TIMEOUT_S = 20.0
"""Longer than the site's own deadline for a request, so that what is not answered by then never will be."""

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_PAGE_WITH_A_FORM = "/password-reset/"


class SiteRefused(Unavailable):
    """The site answered, but not as somebody who logs in needs it; `data["status"]` is its HTTP status."""

    code = "site_refused"


@dataclass(frozen=True)
class Reply:
    status: int
    location: str
    text: str


class Browser:
    """Cookies, a CSRF token and one kept connection to each origin (`http://host:port`) of one site.

    It goes nowhere else: requests name a path and one of the origins, and no redirect is followed. Cookies do not know
    ports, so all origins share them. For one thread. Every failure to get an answer is an `OSError`.
    """

    def __init__(self, *origins: str, timeout_s: float = TIMEOUT_S) -> None:
        assert origins, "a browser needs a site"
        self.origins = origins
        self.cookies: dict[str, str] = {}
        self._token = ""
        self._connections = {origin: _connection(origin, timeout_s) for origin in origins}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go; the cookies stay, and the next request connects again."""
        for connection in self._connections.values():
            connection.close()

    def get(self, path: str, origin: str = "") -> Reply:
        """Get a page of the first origin, or of this one."""
        return self._request(origin, "GET", path)

    def post(self, path: str, origin: str = "", **fields: str) -> Reply:
        """Send a form, once. After an `OSError` nobody knows whether it was received."""
        if not self._token:
            self.take_token()
        body = urlencode({"csrfmiddlewaretoken": self._token, **fields}).encode()
        return self._request(origin, "POST", path, body)

    def log_in(self, username: str, password: str) -> None:
        """Raises `SiteRefused`: 422 for a wrong name or password, 429 when there were too many attempts."""
        reply = self.post("/log-in/", username=username, password=password)
        if reply.status != http.HTTPStatus.SEE_OTHER:
            raise SiteRefused(
                f"{self.origins[0]} does not let {username} in: it answered {reply.status}",
                status=reply.status,
            )
        self.take_token()

    def take_token(self) -> None:
        """Take a CSRF token from a form, as after logging in, which changes it. Raises `SiteRefused`."""
        reply = self.get(_PAGE_WITH_A_FORM)
        found = _TOKEN.search(reply.text)
        if found is None:
            raise SiteRefused(
                f"{self.origins[0]}{_PAGE_WITH_A_FORM} has no form: it answered {reply.status}",
                status=reply.status,
            )
        self._token = found[1]

    def _request(self, origin: str, method: str, path: str, body: bytes | None = None) -> Reply:
        assert path.startswith("/"), path
        connection = self._connections[origin or self.origins[0]]
        if _ended(connection):
            connection.close()
        try:
            connection.request(method, path, body, self._headers(body))
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except http.client.HTTPException as error:
            connection.close()
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        except OSError:
            connection.close()
            raise
        self._keep_cookies(response.headers.get_all("Set-Cookie", []))
        return Reply(response.status, response.headers.get("Location", ""), text)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return headers

    def _keep_cookies(self, headers: list[str]) -> None:
        for header in headers:
            for name, morsel in SimpleCookie(header).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value


def _connection(origin: str, timeout_s: float) -> http.client.HTTPConnection:
    """To the address itself, whatever proxy the environment names."""
    parts = urlsplit(origin)
    assert parts.scheme == "http" and parts.hostname, origin
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)


def _ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the other side has closed a kept connection: a form sent on it would fail, received or not."""
    sock: socket.socket | None = connection.sock
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
