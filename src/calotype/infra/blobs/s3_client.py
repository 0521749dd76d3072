"""What obstore does not say to an S3 server: signed requests of our own, from a thread.

`Bucket` is an address. A `Connection` signs by AWS Signature Version 4, as Amazon's "Authenticating Requests: Using the
Authorization Header" describes it, with the hash of the body, so that a body that was damaged on its way is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import quote, urlsplit

import msgspec

from calotype.std.deadline import remaining_s

_ANSWER = re.compile(
    r"status code: (?P<status>\d+)(?:.*?<Code>(?P<code>.*?)</Code>)?(?:.*?<Message>(?P<message>.*?)</Message>)?",
    re.DOTALL,
)
_CODE = re.compile(r"<Code>(.*?)</Code>")
_MESSAGE = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)

KEY_CODES = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "XAdminUserNotFound"}
"""The last one is versitygw's, which says 404 for it."""


class Bucket(msgspec.Struct, frozen=True):
    """One bucket of a server that speaks S3, and the account that may write it. Requests are path-style."""

    endpoint: str
    """`https://host` or `http://host:port`, without a path."""
    name: str
    region: str
    access_key: str
    secret_key: str


class Refusal(NamedTuple):
    """What a server said instead of doing it. To a HEAD it says no `code`."""

    status: int
    code: str
    message: str

    def sentence(self, bucket: Bucket) -> str:
        if self.code in KEY_CODES or (self.status in (401, 403) and self.code in ("", "AccessDenied")):
            said = f"{self.status} {self.code}".strip()
            return f"{bucket.endpoint} refuses the access key or its secret ({said}): check access_key and secret_key"
        if self.code == "NoSuchBucket":
            return f"there is no bucket {bucket.name} at {bucket.endpoint}: make it, or check its name"
        return f"{bucket.endpoint} says {self.status} {self.code}: {self.message}".rstrip(": ")


class Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.status} {refusal.code}: {refusal.message}")
        self.refusal = refusal


@contextlib.contextmanager
def tolerated(code: str) -> Iterator[None]:
    """What was refused with this code needs nothing more."""
    try:
        yield
    except Refused as refused:
        if refused.refusal.code != code:
            raise


def refusal_in(text: str) -> Refusal | None:
    """What the server said, out of the text of an error of obstore; None when it said nothing, as one that is gone."""
    found = _ANSWER.search(text)
    return found and Refusal(int(found["status"]), found["code"] or "", found["message"] or "")


class Connection:
    """To one bucket, for one thread; it connects by itself, and again when the server has hung up."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        where = urlsplit(bucket.endpoint)
        kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
        self._http = kind(where.netloc)
        self._host = where.netloc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        body: bytes | memoryview = b"",
        headers: Mapping[str, str] | None = None,
        *,
        within_s: float | None = None,
    ) -> tuple[bytes, Mapping[str, str]]:
        """The answer's body and headers, the names in lower case; `within_s`: what is left of the deadline if not given.

        Raises `Refused` if the server refused it, `TimeoutError`, and `OSError` if it cannot be reached or hung up.
        """
        self._limit(remaining_s() if within_s is None else within_s)
        path = f"/{self._bucket.name}" + (f"/{key}" if key else "")
        words = "&".join(
            f"{quote(name, '')}={quote(value, '')}" for name, value in sorted((query or {}).items())
        )
        signed = {**(headers or {}), **self._signature(method, path, words, body)}
        try:
            self._http.request(method, f"{path}?{words}" if words else path, body, signed)
            answer = self._http.getresponse()
            said = answer.read()
        except http.client.HTTPException as error:
            self._http.close()
            raise ConnectionError(f"{self._bucket.endpoint} answers no HTTP: {error!r}") from error
        except OSError:
            self._http.close()  # a late answer must not be taken for that of the next request
            raise
        # To complete an upload takes a server so long that it says 200 first, and perhaps an error after it.
        if answer.status >= 300 or b"<Error>" in said:
            raise Refused(_refusal(answer.status, said.decode(errors="replace")))
        return said, {name.lower(): value for name, value in answer.getheaders()}

    def _limit(self, seconds: float) -> None:
        if seconds <= 0:
            raise TimeoutError
        self._http.timeout = seconds
        if self._http.sock is not None:
            self._http.sock.settimeout(seconds)

    def _signature(self, method: str, path: str, query: str, body: bytes | memoryview) -> dict[str, str]:
        now = datetime.now(UTC)
        moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        digest = hashlib.sha256(body).hexdigest()
        signed = {"host": self._host, "x-amz-content-sha256": digest, "x-amz-date": moment}
        names = ";".join(signed)
        lines = [method, quote(path), query, *(f"{name}:{value}" for name, value in signed.items()), ""]
        request = "\n".join([*lines, names, digest])
        scope = f"{day}/{self._bucket.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{self._bucket.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"Credential={self._bucket.access_key}/{scope}"
        return {
            **signed,
            "authorization": f"AWS4-HMAC-SHA256 {credential},SignedHeaders={names},Signature={signature}",
        }


def make_bucket(bucket: Bucket) -> None:
    """Make it if it is not there. Raises as `Connection.ask` does. Blocking."""
    with Connection(bucket) as connection:
        with tolerated("NoSuchBucket"):
            connection.ask("GET", query={"list-type": "2", "max-keys": "1"})
            return
        with tolerated("BucketAlreadyOwnedByYou"):  # another process of ours was faster
            connection.ask("PUT", body=_location(bucket.region))


def _location(region: str) -> bytes:
    """Where to make a bucket. The first region must not be named: it is meant when none is."""
    if region == "us-east-1":
        return b""
    where = f"<LocationConstraint>{region}</LocationConstraint>"
    return f"<CreateBucketConfiguration>{where}</CreateBucketConfiguration>".encode()


def _refusal(status: int, said: str) -> Refusal:
    code, message = _CODE.search(said), _MESSAGE.search(said)
    return Refusal(status, code[1] if code else "", message[1] if message else "")
