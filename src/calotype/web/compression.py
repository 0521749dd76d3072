"""Answers are compressed for those who take it: pages, JSON, whatever is text. Streams and photographs are not.

The length of a compressed answer betrays whether what a stranger put into it, such as a query, stands there a second time
(BREACH). Tokens against forged requests are masked anew in each answer and keys of forms are new in each, so there is nothing
to find out of these. What else is private on a page is blurred: each body is cut at a place by chance, where a new block of
the coding begins, so the length of the same page differs from answer to answer by more than a letter is worth; and the
session's cookie comes with no request that another site makes but a visit one can see. An answer that holds a lasting secret
beside words from elsewhere says `Cache-Control: no-transform` and is left alone.
"""

from __future__ import annotations

import secrets
import sys
import zlib
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

from calotype.web.encodings import preferred
from calotype.web.middleware import Middleware
from calotype.web.request import SiteRequest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIN_BYTES = 1_024
"""Less fits into one packet with its headers, compressed or not."""

TYPES = frozenset(
    {
        "application/activity+json",
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/xml",
        "image/svg+xml",
    }
)
"""Compressed besides `text/`. Photographs are compressed already."""

ZSTD_LEVEL, GZIP_LEVEL = 3, 5
"""docs/delivery.md has what each level costs and saves of a feed page."""

WHOLE = frozenset({200, 201, 400, 401, 403, 404, 405, 408, 409, 410, 413, 422, 429, 500, 503})
"""Statuses whose body is the whole of something: a part (206) has its place in the bytes as they are."""


def with_zstd(body: bytes, cut: int) -> bytes:
    compressor = _zstd()
    return compressor.compress(body[:cut], compressor.FLUSH_BLOCK) + compressor.compress(
        body[cut:], compressor.FLUSH_FRAME
    )


@cache
def _zstd() -> zstd.ZstdCompressor:
    """One a process, for its memory: the loop has one thread, and each answer is a frame of its own."""
    return zstd.ZstdCompressor(level=ZSTD_LEVEL)


def with_gzip(body: bytes, cut: int) -> bytes:
    compressor = zlib.compressobj(GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16)
    return (
        compressor.compress(body[:cut])
        + compressor.flush(zlib.Z_SYNC_FLUSH)
        + compressor.compress(body[cut:])
        + compressor.flush()
    )


CODINGS: dict[str, Callable[[bytes, int], bytes]] = {"zstd": with_zstd, "gzip": with_gzip}
"""The one that costs least first."""

OFFERED = tuple(CODINGS)


class Compression(Middleware):
    """Compresses what is worth it. Streams go out as they come: news to open pages must not wait for more of them."""

    async def __call__(self, request: SiteRequest) -> HttpResponseBase:
        response = await self.get_response(request)
        if settings.SITE.web.compress and isinstance(response, HttpResponse) and is_worth_it(response):
            patch_vary_headers(response, ("Accept-Encoding",))
            coding = preferred(request.headers.get("Accept-Encoding", ""), OFFERED)
            if coding:
                compress(response, coding)
        return response


def is_worth_it(response: HttpResponse) -> bool:
    """Whether it is text, whole, not compressed already and long enough to gain by it."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return (
        (kind.startswith("text/") or kind in TYPES)
        and len(response.content) >= MIN_BYTES
        and response.status_code in WHOLE
        and not response.has_header("Content-Encoding")
        and not response.has_header("Content-Range")
        and "no-transform" not in response.headers.get("Cache-Control", "")
    )


def compress(response: HttpResponse, coding: str) -> None:
    """In place. The entity tag becomes a weak one: the same page in other bytes."""
    body = response.content
    response.content = CODINGS[coding](body, secrets.randbelow(len(body)))
    response["Content-Encoding"] = coding
    response["Content-Length"] = str(len(response.content))
    tag = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        response["ETag"] = f"W/{tag}"
