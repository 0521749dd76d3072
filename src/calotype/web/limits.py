"""How much one request may bring, and how long that may take."""

from __future__ import annotations

from django.conf import settings

from calotype.infra.shards.tickets import carrying
from calotype.web.request import SiteRequest
from calotype.web.sessions import SessionStore
from calotype.web.tickets import held_by

FORM_BYTES = 1 << 20
"""Any request that uploads nothing."""


def is_upload(request: SiteRequest) -> bool:
    """Whether this is a request that may bring files: by `settings.UPLOAD_LIMITS` and `settings.CHUNK_LIMITS`."""
    return upload_bytes(request) > 0


def upload_bytes(request: SiteRequest) -> int:
    """How much an upload to this path may bring; 0 for all other requests."""
    path = request.path_info
    if request.method == "POST":
        return int(settings.UPLOAD_LIMITS.get(path, 0))
    if request.method == "PATCH":
        return max(
            (limit for start, limit in settings.CHUNK_LIMITS.items() if path.startswith(start)), default=0
        )
    return 0


def seconds(request: SiteRequest) -> float:
    """How long the request may take, from its first byte read to its answer; reading its body counts anew."""
    return float(settings.UPLOAD_SECONDS if is_upload(request) else settings.REQUEST_SECONDS)


async def body_limit(request: SiteRequest) -> int:
    """Bytes that this request's body may have. Only somebody who is signed in may fill our disk with an upload."""
    if not is_upload(request):
        return FORM_BYTES
    session = SessionStore(request.COOKIES.get(settings.SESSION_COOKIE_NAME), request.site.sessions)
    with carrying(held_by(request)):  # they may have signed in a moment ago, in another region
        await session.aload_now()
    return FORM_BYTES if session.account_id is None else upload_bytes(request)
