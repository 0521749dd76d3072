"""Static files as the server sends them: compressed ahead, kept for ever, and nothing from outside their directory."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import brotli
import pytest

from calotype.web.precompression import CODINGS, compress, sibling, with_brotli
from calotype.web.static_mount import PATHSEND, Receive, Scope, Send, StaticMount

CSS = b"body { margin: 0 } " * 100
NAME = "look.0123456789ab.css"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    for name, content in ((NAME, CSS), ("look.css", CSS), ("door.0123456789ab.webp", b"RIFF" * 100)):
        (tmp_path / "web" / name).write_bytes(content)
    compress((tmp_path / "web").iterdir(), lambda done, total: None)
    (tmp_path.parent / "secret.css").write_bytes(b"secret")
    return tmp_path


async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"from", b"the site")]})
    await send({"type": "http.response.body", "body": b"nothing is there"})


async def ask(
    directory: Path, path: str, accept: str = "", method: str = "GET", pathsend: bool = False, **headers: str
) -> Answer:
    """What is sent to a client by `StaticMount`; `pathsend`: by a server that sends files itself."""
    sent: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        raise AssertionError("nothing of the request is needed")

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    given = {"accept-encoding": accept, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "extensions": {PATHSEND: {}} if pathsend else {},
    }
    await StaticMount(elsewhere, "/static/", directory)(scope, receive, send)
    start, last = sent
    path = last.get("path", "")
    body = Path(path).read_bytes() if path else last.get("body", b"")  # noqa: ASYNC240  # as the server does
    decoded = {name.decode(): value.decode() for name, value in start["headers"]}
    assert bool(path) == (pathsend and start["status"] == 200 and method == "GET")
    return Answer(start["status"], decoded, body)


@pytest.mark.parametrize("pathsend", [False, True])
async def test_browsers_get_brotli_others_gzip_and_the_rest_the_file(directory: Path, pathsend: bool) -> None:
    for accept, coding, decoded in (
        ("gzip, deflate, br, zstd", "br", brotli.decompress),
        ("gzip", "gzip", lambda body: zlib.decompress(body, wbits=zlib.MAX_WBITS | 16)),
        ("", None, bytes),
    ):
        answer = await ask(directory, f"/static/web/{NAME}", accept, pathsend=pathsend)
        body = answer.body
        assert answer.status == 200
        assert answer.headers.get("content-encoding") == coding
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        assert answer.headers["content-length"] == str(len(body))
        assert answer.headers["vary"] == "accept-encoding"
        assert decoded(body) == CSS


async def test_what_has_a_hash_in_its_name_is_kept_for_ever_and_other_files_are_not(directory: Path) -> None:
    hashed, plain = [await ask(directory, f"/static/web/{name}") for name in (NAME, "look.css")]
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["cache-control"] == "public, max-age=3600"


async def test_a_photo_is_not_compressed_twice(directory: Path) -> None:
    answer = await ask(directory, "/static/web/door.0123456789ab.webp", "br")
    assert answer.headers["content-type"] == "image/webp"
    assert "content-encoding" not in answer.headers
    assert answer.body == b"RIFF" * 100


async def test_a_head_has_the_headers_and_no_body(directory: Path) -> None:
    head, get = [await ask(directory, f"/static/web/{NAME}", "br", method) for method in ("HEAD", "GET")]
    assert head.headers == get.headers
    assert head.body == b""


async def test_a_part_is_not_promised(directory: Path) -> None:
    """Range may be ignored (RFC 9110, 14.2): then all of it comes, in any coding."""
    answer = await ask(directory, f"/static/web/{NAME}", "br", range="bytes=0-9")
    assert (answer.status, brotli.decompress(answer.body)) == (200, CSS)


async def test_what_the_client_has_is_not_sent_again(directory: Path) -> None:
    tag = (await ask(directory, f"/static/web/{NAME}", "br")).headers["etag"]
    again = await ask(directory, f"/static/web/{NAME}", "br", if_none_match=f'"other", {tag}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    other_coding = await ask(directory, f"/static/web/{NAME}", "", if_none_match=tag)
    assert (other_coding.status, other_coding.body) == (200, CSS)


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/web",
        "/static/web/nothing.css",
        f"/static/web/{NAME}.br",
        "/static/../secret.css",
        "/static/web/../../../secret.css",
        "/static//etc/passwd",
        "/static/web/\0look.css",
        "/p/1/",
    ],
)
async def test_everything_else_is_the_site_s(directory: Path, path: str) -> None:
    answer = await ask(directory, path, "br")
    assert (answer.status, answer.headers["from"]) == (404, "the site")


async def test_nothing_can_be_written(directory: Path) -> None:
    answer = await ask(directory, f"/static/web/{NAME}", method="POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_without_a_directory_there_are_no_files(tmp_path: Path) -> None:
    assert (await ask(tmp_path / "nothing", f"/static/web/{NAME}")).status == 404


def test_compressing_again_changes_nothing(directory: Path) -> None:
    path = directory / "web" / NAME
    before = [sibling(path, coding).stat().st_mtime_ns for coding in ("br", "gzip")]
    told: list[tuple[int, int]] = []
    compress([path], lambda done, total: told.append((done, total)))
    assert [sibling(path, coding).stat().st_mtime_ns for coding in ("br", "gzip")] == before
    assert told == []


def test_a_sibling_that_is_not_smaller_is_not_kept(tmp_path: Path) -> None:
    import secrets

    noise, short = tmp_path / "noise.txt", tmp_path / "short.txt"
    noise.write_bytes(secrets.token_bytes(5_000))
    short.write_bytes(b"short")
    compress([noise, short], lambda done, total: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noise.txt", "short.txt"]


def test_what_was_compressed_for_one_site_is_there_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []
    shelf = tmp_path / "shelf"

    def counted(content: bytes) -> bytes:
        made.append(content)
        return with_brotli(content)

    monkeypatch.setitem(CODINGS, "br", counted)
    for site in ("one", "two"):
        path = tmp_path / site / NAME
        path.parent.mkdir()
        path.write_bytes(CSS)
        compress([path], lambda done, total: None, shelf)
        assert brotli.decompress(sibling(path, "br").read_bytes()) == CSS
    assert made == [CSS]
    assert sorted(path.name for path in shelf.iterdir()) == [f"{NAME}.br", f"{NAME}.gz"]


def test_a_shelf_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    path, shelf = tmp_path / NAME, tmp_path / "file"
    path.write_bytes(CSS)
    shelf.write_text("no directory")
    compress([path], lambda done, total: None, shelf)
    assert brotli.decompress(sibling(path, "br").read_bytes()) == CSS
    assert shelf.read_text() == "no directory"
