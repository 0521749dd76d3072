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
    """Whether this is a request that may bring files: exactly the paths of `settings.UPLOAD_LIMITS`."""
    return request.method == "POST" and request.path_info in settings.UPLOAD_LIMITS


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
    return FORM_BYTES if session.account_id is None else int(settings.UPLOAD_LIMITS[request.path_info])
