"""Send a blob: streamed, cacheable, with conditional requests, and nothing a browser could run."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseBase, HttpResponseNotModified, StreamingHttpResponse
from django.utils.cache import patch_cache_control

from calotype.infra.blobs import BlobKey
from calotype.web.request import SiteRequest

INLINE_BYTES = 512 * 1024
"""A blob up to this size is sent in one piece; a larger one is streamed."""

KEPT_S = 604_800
"""How long a browser may keep what it has been shown: a week. A blob never changes; who may see it might."""


async def send_blob(request: SiteRequest, key: BlobKey, content_type: str) -> HttpResponseBase:
    """The blob as an answer. Raises `BlobMissing`, `BlobsUnavailable`. Who may see it has been checked by the view."""
    etag = f'"{key.rsplit("/", 2)[-2]}-{key.rsplit("/", 1)[-1]}"'
    if etag in request.headers.get("If-None-Match", ""):
        return _public(HttpResponseNotModified(), etag)
    return _public(await _answer(request, key, content_type), etag)


async def send_private(request: SiteRequest, key: BlobKey, content_type: str) -> HttpResponseBase:
    """As `send_blob`, for one person's eyes: nothing keeps it, and opened as a page it is a file to save."""
    return private(await _answer(request, key, content_type))


async def _answer(request: SiteRequest, key: BlobKey, content_type: str) -> HttpResponseBase:
    info = await request.site.blobs.head(key)
    if info.size_bytes <= INLINE_BYTES:
        return HttpResponse(await request.site.blobs.get(key), content_type=content_type)
    stream = await request.site.blobs.open(key)
    response = StreamingHttpResponse(stream.chunks, content_type=content_type)
    response["Content-Length"] = str(stream.size_bytes)
    return response


def _public(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    patch_cache_control(response, private=True, max_age=KEPT_S, immutable=True)
    return _harmless(response)


def private[R: HttpResponseBase](response: R) -> R:
    response["Content-Disposition"] = "attachment"
    response["Cache-Control"] = "private, no-store"
    return _harmless(response)


def _harmless[R: HttpResponseBase](response: R) -> R:
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
