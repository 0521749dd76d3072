"""Whether the site answers: GET /healthz."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import msgspec

PATH = "/healthz"


class Health(msgspec.Struct, frozen=True):
    """`status` is the HTTP status, 0 when nothing answered; `detail` the answer's JSON, or why there is none."""

    status: int
    detail: object

    @property
    def ok(self) -> bool:
        return self.status == 200


def probe(url: str, seconds: float = 2.0) -> Health:
    """Ask once. Never raises; goes to the address itself, whatever proxy the environment names."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=seconds)
    try:
        connection.request("GET", PATH, headers={"Connection": "close"})
        answer = connection.getresponse()
        return Health(answer.status, _detail(answer.read(65536)))
    except (OSError, http.client.HTTPException) as error:
        return Health(0, f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def _detail(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode(errors="replace").strip()
