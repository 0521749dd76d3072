"""A browser without a screen: drives the ASGI application in this process, keeps cookies, fills in CSRF tokens."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import msgspec

from calotype.web.handler import LeanHandler

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')

File = tuple[str, bytes]
"""(file name, content)"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def location(self) -> str:
        return self.headers["location"]

    @property
    def error_code(self) -> str:
        """The stable code of a JSON error, or of an error page."""
        if self.headers["content-type"].startswith("application/json"):
            return str(self.json()["error"]["code"])
        found = re.search(r'<p class="code">([a-z_]+)', self.text)
        return found[1] if found else ""


@dataclass
class Client:
    """One person's browser. `await client.post(...)` first takes a CSRF token from the log-in page, as a form would."""

    handler: LeanHandler
    cookies: dict[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"
    _token: str = ""

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.request("GET", path, headers=headers)

    async def post(
        self,
        path: str,
        fields: Mapping[str, str | Sequence[str]] | None = None,
        files: Sequence[tuple[str, File]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """POST a form with its CSRF token; as multipart when there are files."""
        given = {"csrfmiddlewaretoken": await self.token(), **(fields or {})}
        pairs = [
            (name, value)
            for name, values in given.items()
            for value in ([values] if isinstance(values, str) else values)
        ]
        body, kind = (
            _multipart(pairs, files)
            if files
            else (urlencode(pairs).encode(), "application/x-www-form-urlencoded")
        )
        return await self.request("POST", path, body=body, headers={"content-type": kind, **(headers or {})})

    async def token(self) -> str:
        """A CSRF token that fits this browser's cookie."""
        if not self._token or "csrftoken" not in self.cookies:
            page = await self.get("/password-reset/")
            found = TOKEN.search(page.text)
            assert found is not None, "the form on /password-reset/ has no CSRF token"
            self._token = found[1]
        return self._token

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        chunk: int = 1 << 16,
    ) -> Answer:
        """Any request; a body is sent in chunks."""
        path, _, query = path.partition("?")
        sent = {
            "host": "testserver",
            "content-length": str(len(body)),
            **{k.lower(): v for k, v in (headers or {}).items()},
        }
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "headers": [(name.encode(), value.encode("latin1")) for name, value in sent.items()],
            "client": (self.address, 40000),
            "server": ("testserver", 80),
        }
        return await self._exchange(scope, body, chunk)

    async def _exchange(self, scope: dict[str, Any], body: bytes, chunk: int) -> Answer:
        parts = [body[at : at + chunk] for at in range(0, len(body), chunk)] or [b""]
        received: list[Any] = []

        async def receive() -> dict[str, Any]:
            if not parts:
                await asyncio.Event().wait()
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message: Any) -> None:
            received.append(message)

        await self.handler(scope, receive, send)
        start = received[0]
        headers: dict[str, str] = {}
        for name, value in start["headers"]:
            if name.lower() == b"set-cookie":
                self._keep(value.decode("latin1"))
            else:
                headers[name.decode().lower()] = value.decode("latin1")
        return Answer(
            start["status"], headers, b"".join(message.get("body", b"") for message in received[1:])
        )

    def _keep(self, header: str) -> None:
        for name, morsel in SimpleCookie(header).items():
            if morsel["max-age"] == "0" or morsel.value == "":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
            if name == "csrftoken":
                self._token = ""


def _multipart(fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, File]]) -> tuple[bytes, str]:
    boundary = secrets.token_hex(16)
    out = bytearray()
    for name, value in fields:
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    for name, (file_name, content) in files:
        escaped = file_name.replace("\\", "\\\\").replace('"', '\\"')
        disposition = f'form-data; name="{name}"; filename="{escaped}"'
        out += f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
        out += content + b"\r\n"
    out += f"--{boundary}--\r\n".encode()
    return bytes(out), f"multipart/form-data; boundary={boundary}"
