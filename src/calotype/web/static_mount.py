"""Serves the collected static files, compressed ahead where the client takes it.

Granian has a mount for static files of its own, in Rust, which knows no compressed siblings. Here an index of the directory is
made once, before workers are forked; a request is a look into it, and the server itself sends the file (`http.response.pathsend`)
where it can. What is not in the index is not there: no name leads out of the directory.
"""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from calotype.web.encodings import preferred
from calotype.web.precompression import SUFFIXES

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

HASHED = re.compile(r"\.[0-9a-f]{12}(\.[^./]+)?$")
"""Names that the storage makes carry a hash of the content."""

FOR_EVER, FOR_AN_HOUR = b"public, max-age=31536000, immutable", b"public, max-age=3600"

TYPES = {
    ".js": "text/javascript",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".webmanifest": "application/manifest+json",
}
"""What not every Python that we run on, or every system, knows."""

PATHSEND = "http.response.pathsend"


@dataclass(frozen=True, slots=True)
class Representation:
    """A file as one content coding has it."""

    path: str
    tag: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Entry:
    plain: Representation
    encoded: Mapping[str, Representation]
    offered: tuple[str, ...]

    def chosen(self, accepted: str) -> Representation:
        coding = preferred(accepted, self.offered) if self.offered else None
        return self.encoded[coding] if coding else self.plain


class StaticMount:
    """An ASGI application: files of `directory` under `prefix`, everything else from `application`."""

    def __init__(self, application: Application, prefix: str, directory: Path) -> None:
        self._application = application
        self._prefix = prefix
        self._entries = dict(entries(directory))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        entry = self._found(scope)
        if entry is None:
            await self._application(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD"):
            await answer(entry, scope, send)
        else:
            await _say(send, 405, [(b"allow", b"GET, HEAD")])

    def _found(self, scope: Scope) -> Entry | None:
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix):
            return None
        return self._entries.get(scope["path"][len(self._prefix) :])


def entries(directory: Path) -> Iterator[tuple[str, Entry]]:
    """Every file by its path below the directory. Compressed siblings belong to their file and have no name of their own."""
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    siblings = {
        name: {coding: f"{name}{suffix}" for coding, suffix in SUFFIXES.items() if f"{name}{suffix}" in files}
        for name in files
    }
    for name in files.keys() - {sibling for own in siblings.values() for sibling in own.values()}:
        own = siblings[name]
        headers = _headers(name, varies=bool(own))
        encoded = {
            coding: _representation(files[sibling], [*headers, (b"content-encoding", coding.encode())])
            for coding, sibling in own.items()
        }
        yield name, Entry(_representation(files[name], headers), encoded, tuple(encoded))


def _representation(path: Path, headers: Headers) -> Representation:
    found = path.stat()
    tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'.encode()
    length = str(found.st_size).encode()
    return Representation(str(path), tag, [*headers, (b"content-length", length), (b"etag", tag)])


def _headers(name: str, *, varies: bool) -> Headers:
    """What is the same in every coding."""
    return [
        (b"content-type", _content_type(name).encode()),
        (b"cache-control", FOR_EVER if HASHED.search(name) else FOR_AN_HOUR),
        (b"x-content-type-options", b"nosniff"),
        *([(b"vary", b"accept-encoding")] if varies else []),
    ]


def _content_type(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    kind = TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


async def answer(entry: Entry, scope: Scope, send: Send) -> None:
    asked = dict(scope["headers"])
    one = entry.chosen(asked.get(b"accept-encoding", b"").decode("latin1"))
    if one.tag in asked.get(b"if-none-match", b""):
        await _say(
            send, 304, [each for each in one.headers if each[0] in (b"etag", b"cache-control", b"vary")]
        )
        return
    await send({"type": "http.response.start", "status": 200, "headers": one.headers})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body"})
    elif PATHSEND in scope.get("extensions", {}):
        await send({"type": PATHSEND, "path": one.path})
    else:
        await send({"type": "http.response.body", "body": await asyncio.to_thread(Path(one.path).read_bytes)})


async def _say(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})
