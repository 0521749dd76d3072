"""Uploading files in chunks, before they are posted: the requests of `staging`."""

from __future__ import annotations

import msgspec
from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.utils.cache import patch_cache_control
from django.utils.http import http_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from calotype.infra.blobs import blob_key
from calotype.infra.tao import Node
from calotype.product.accounts.queries import require_viewer
from calotype.product.accounts.types import AccountId
from calotype.product.photos import staging
from calotype.product.photos.forms import FileForm
from calotype.product.photos.types import StagedFile
from calotype.std.errors import BadRequest
from calotype.web.idempotency import key_of
from calotype.web.pages import json
from calotype.web.rate_limits import RateLimit
from calotype.web.request import SiteRequest

BY_ACCOUNT = RateLimit("file", amount=600, seconds=600)

CHUNK_TYPE = "application/offset+octet-stream"
"""The content type of a chunk, as in tus: no form can be sent as this from elsewhere."""


class StagedAnswer(msgspec.Struct, frozen=True):
    """A file as its owner is told of it: how much has been stored of it, and whether it is known to be a photograph."""

    id: str
    offset: int
    length: int
    checked: bool


@require_POST
async def create(request: SiteRequest) -> HttpResponse:
    """Announce a file: `name`, `size` in bytes, perhaps its `sha256`. An Idempotency-Key makes a repetition harmless."""
    me = await require_viewer(request)
    form = FileForm(request.POST)
    if not form.is_valid():
        raise BadRequest(_("A file is announced with its name, its size in bytes, and perhaps its sha256."))
    await BY_ACCOUNT.spend(request.site.sessions, str(me.id))
    file = await staging.create(request.site, AccountId(me.id), **form.cleaned_data, key=key_of(request))
    return _state(file, await staging.offset_of(request.site, file), 201)


@require_http_methods(["GET", "HEAD", "PATCH", "DELETE"])
async def upload(request: SiteRequest, file_id: int) -> HttpResponse:
    """How far a file is; a chunk of it; or its end."""
    owner = AccountId((await require_viewer(request)).id)
    if request.method == "PATCH":
        offset = await staging.append(request.site, owner, file_id, _offset(request), await _chunk(request))
        response = HttpResponse(status=204)
        response["Upload-Offset"] = str(offset)
        return response
    if request.method == "DELETE":
        await staging.cancel(request.site.graph, owner, file_id)
        return HttpResponse(status=204)
    file = await staging.file_of(request.site.graph, owner, file_id)
    return _state(file, await staging.offset_of(request.site, file))


@require_GET
async def preview(request: SiteRequest, file_id: int) -> HttpResponse:
    """What a file shows, small: for browsers that cannot decode it themselves."""
    me = await require_viewer(request)
    file = await staging.file_of(request.site.graph, AccountId(me.id), file_id)
    data = await request.site.blobs.get(blob_key(f"{staging.prefix(file.id)}/preview.jpeg"))
    response = HttpResponse(data, content_type="image/jpeg")
    patch_cache_control(response, private=True, max_age=3600)
    return response


def _state(file: Node[StagedFile], offset: int, status: int = 200) -> HttpResponse:
    response = json(StagedAnswer(str(file.id), offset, file.data.size, file.data.checked), status)
    response["Cache-Control"] = "no-store"
    response["Location"] = f"/uploads/{file.id}/"
    response["Upload-Offset"] = str(offset)
    response["Upload-Length"] = str(file.data.size)
    response["Upload-Expires"] = http_date(staging.expires_ms(file) // 1000)
    return response


def _offset(request: SiteRequest) -> int:
    given = request.headers.get("Upload-Offset", "")
    if request.content_type != CHUNK_TYPE or not (given.isascii() and given.isdigit() and len(given) < 12):
        raise BadRequest(
            _("A chunk comes as %(type)s with an Upload-Offset in bytes.") % {"type": CHUNK_TYPE}
        )
    return int(given)


async def _chunk(request: SiteRequest) -> bytes:
    """The body, of which `web.limits` has bounded the length."""
    data: bytes = await sync_to_async(request.read, thread_sensitive=False)()
    return data
