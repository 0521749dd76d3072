"""Pages go out compressed to those who take it, and say the same."""

from __future__ import annotations

import sys
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from calotype.web.compression import CODINGS, MIN_BYTES, Compression
from calotype.web.request import SiteRequest
from tests.client import Client
from tests.web_fixtures import Someone

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DECODE: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstd.decompress,
    "gzip": lambda body: zlib.decompress(body, wbits=zlib.MAX_WBITS | 16),
}
LONG = "A photograph is worth a thousand words. " * 100


async def answered(response: HttpResponseBase, accept: str = "gzip", method: str = "GET") -> HttpResponseBase:
    """What becomes of a response on its way out."""

    async def view(_: SiteRequest) -> HttpResponseBase:
        return response

    headers = [(b"accept-encoding", accept.encode())]
    scope = {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": headers}
    return await Compression(view)(SiteRequest(scope, None))


def content(response: HttpResponseBase) -> bytes:
    assert isinstance(response, HttpResponse)
    return response.content


@pytest.mark.parametrize("coding", CODINGS)
@given(
    body=st.one_of(st.binary(min_size=1, max_size=300), st.text(min_size=1).map(str.encode)), data=st.data()
)
def test_what_is_decoded_is_what_was_said(coding: str, body: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(body) - 1))
    assert DECODE[coding](CODINGS[coding](body, cut)) == body


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_page_is_compressed(coding: str) -> None:
    response = await answered(HttpResponse(LONG), coding)
    assert response["Content-Encoding"] == coding
    assert response["Vary"] == "Accept-Encoding"
    assert response["Content-Length"] == str(len(content(response)))
    assert len(content(response)) < len(LONG) / 10
    assert DECODE[coding](content(response)) == LONG.encode()


@pytest.mark.parametrize(
    "kind", ["application/json", "image/svg+xml", "text/css", "Text/HTML; charset=utf-8"]
)
async def test_all_that_is_text_is_compressed(kind: str) -> None:
    assert (await answered(HttpResponse(LONG, content_type=kind)))["Content-Encoding"] == "gzip"


async def test_who_takes_none_gets_none_and_caches_know_that_it_depends() -> None:
    response = await answered(HttpResponse(LONG), "identity")
    assert not response.has_header("Content-Encoding")
    assert response["Vary"] == "Accept-Encoding"
    assert content(response) == LONG.encode()


async def test_what_else_it_depends_on_is_still_said() -> None:
    response = await answered(HttpResponse(LONG, headers={"Vary": "Cookie, Accept-Language"}))
    assert response["Vary"] == "Cookie, Accept-Language, Accept-Encoding"


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse("short"),
        HttpResponse("x" * (MIN_BYTES - 1)),
        HttpResponse(LONG, content_type="image/jpeg"),
        HttpResponse(LONG, content_type="application/octet-stream"),
        HttpResponse(LONG, headers={"Content-Encoding": "br"}),
        HttpResponse(LONG, headers={"Cache-Control": "private, no-transform"}),
        HttpResponse(LONG, status=206, headers={"Content-Range": "bytes 0-3999/5000"}),
        HttpResponse(status=304, headers={"ETag": '"one"'}),
        HttpResponse(status=204),
    ],
    ids=["short", "nearly", "photo", "bytes", "already", "no-transform", "part", "unchanged", "nothing"],
)
async def test_what_gains_nothing_is_left_as_it_is(response: HttpResponse) -> None:
    headers, body = dict(response.items()), response.content
    assert content(await answered(response)) == body
    assert dict(response.items()) == headers


async def test_a_stream_goes_out_as_it_comes() -> None:
    async def events() -> AsyncIterator[bytes]:
        yield b"data: " + LONG.encode() + b"\n\n"

    response = StreamingHttpResponse(events(), content_type="text/event-stream")
    assert await answered(response) is response
    assert not response.has_header("Content-Encoding")
    assert b"".join([part async for part in response]) == b"data: " + LONG.encode() + b"\n\n"


@pytest.mark.parametrize(("tag", "weak"), [('"one"', 'W/"one"'), ('W/"one"', 'W/"one"')])
async def test_an_entity_tag_promises_the_same_page_and_not_the_same_bytes(tag: str, weak: str) -> None:
    assert (await answered(HttpResponse(LONG, headers={"ETag": tag})))["ETag"] == weak


async def test_the_same_page_has_not_the_same_length_twice() -> None:
    """So that nobody finds out a private word by what guesses of it weigh."""
    page = "".join(f"<p>{number} pages, {number * 7919 % 104729} words</p>" for number in range(300))
    for coding in CODINGS:
        lengths = {len(content(await answered(HttpResponse(page), coding))) for _ in range(40)}
        assert max(lengths) - min(lengths) > 16, coding


async def test_it_can_be_left_to_a_proxy() -> None:
    from django.conf import settings

    with override_settings(SITE=replace(settings.SITE, web=replace(settings.SITE.web, compress=False))):
        response = await answered(HttpResponse(LONG))
    assert dict(response.items()) == {"Content-Type": "text/html; charset=utf-8"}
    assert content(response) == LONG.encode()


async def test_pages_and_errors_of_the_site_are_compressed(browser: Client, ann: Someone) -> None:
    accept = {"accept-encoding": "gzip, zstd"}
    page = await ann.browser.get("/", headers=accept)
    error = await browser.get("/p/1/", headers=accept)
    assert (page.status, error.status) == (200, 404)
    for answer in (page, error):
        assert answer.headers["content-encoding"] == "zstd"
        assert zstd.decompress(answer.body).startswith(b"<!doctype html>")
        assert int(answer.headers["content-length"]) == len(answer.body)


async def test_a_head_has_the_headers_of_a_get(browser: Client) -> None:
    answer = await browser.request("HEAD", "/log-in/", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["vary"].lower()
