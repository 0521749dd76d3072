"""A whole site as `calotype up` runs it: its own processes, its own data, reached over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

SOURCE = Path(__file__).parent.parent / "src"
START_SECONDS = 120


@dataclass(frozen=True)
class RunningSite:
    data: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calotype(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line against this site."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "calotype.cli", *arguments],
            env={**os.environ, "PYTHONPATH": str(SOURCE), "CALOTYPE_DATA": str(self.data)},
            capture_output=True,
            text=True,
            check=check,
            timeout=START_SECONDS,
        )

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.calotype("status", "--json", check=False).stdout)
        return answer

    def pid(self, child: str) -> int:
        """The process of a child of the supervisor."""
        return next(int(each["pid"]) for each in self.status()["children"] if each["name"] == child)

    def web_workers(self) -> list[int]:
        """The processes that answer requests."""
        children = Path(f"/proc/{self.pid('web')}/task/{self.pid('web')}/children").read_text()
        return [int(pid) for pid in children.split()]

    def wait_until_healthy(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                if Visitor(self).get("/healthz").status == 200:
                    return
            except OSError:
                pass
            assert time.monotonic() < until, self.calotype("logs", check=False).stdout[-4000:]
            time.sleep(0.1)


@contextmanager
def running_site(data: Path, *options: str) -> Iterator[RunningSite]:
    """`calotype up --detach` with these options; `calotype down` at the end."""
    site = RunningSite(data, free_port())
    started = site.calotype("up", "--detach", "--port", str(site.port), *options, check=False)
    assert started.returncode == 0, started.stdout + started.stderr
    try:
        yield site
    finally:
        site.calotype("down", check=False)


def free_port() -> int:
    """A port below those that the system hands out itself."""
    for port in range(21000 + os.getpid() % 5000, 32768):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port below 32768")


@dataclass(frozen=True)
class Reply:
    status: int
    location: str
    text: str


@dataclass
class Visitor:
    """One person's browser on a connection of its own, for load: plain HTTP, cookies, CSRF tokens."""

    site: RunningSite
    cookies: dict[str, str] = field(default_factory=dict)
    _token: str = ""

    def get(self, path: str) -> Reply:
        return self._request("GET", path, b"", {})

    def post(self, path: str, **fields: str) -> Reply:
        if not self._token:
            self.take_token()
        body = urlencode({"csrfmiddlewaretoken": self._token, **fields}).encode()
        return self._request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def take_token(self) -> None:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get("/password-reset/").text)
        assert found is not None
        self._token = found[1]

    def log_in(self, username: str, password: str) -> None:
        reply = self.post("/log-in/", username=username, password=password)
        assert reply.status == 303, reply.text
        self.take_token()

    def _request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=20)
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()
        for header in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(header).items():
                self.cookies[name] = morsel.value
        return Reply(response.status, response.headers.get("Location", ""), text)


def kill(pid: int) -> None:
    """`kill -9` of one process that a site of ours started."""
    os.kill(pid, signal.SIGKILL)
