"""Read your own writes, on whatever worker of whatever region the next request lands: tickets in a signed cookie.

The answer to a request that wrote carries, for each log that it wrote, a position read after the commit. For a minute
the same browser's requests bring it back: as long as their region has not applied that position they read the primary,
and all that time they are shown nothing that is known to be old (`infra.shards.tickets`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import cache

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpResponseBase

from calotype.infra.invalidation import RegionCache
from calotype.infra.shards import Tickets
from calotype.std.errors import CalotypeError
from calotype.web.request import SiteRequest

log = logging.getLogger(__name__)

COOKIE = "ticket"
HELD_S = 60
"""How long a ticket is good for: more than a region lags while all is well, and than a stale entry may be shown."""

LIMIT_BYTES = 2_000
"""Of a cookie that is looked at."""

_PART = re.compile(r"([^=&]+)=([0-9a-f]{1,16})").fullmatch


@cache
def _signer() -> TimestampSigner:
    """Made when it is first used: it takes the site's key from the settings."""
    return TimestampSigner(salt="calotype.tickets")


def held_by(request: SiteRequest) -> dict[str, int]:
    """The tickets that a request brings."""
    return decode(request.COOKIES.get(COOKIE, "")) if request.site.may_lag else {}


async def catch_up(cache: RegionCache, held: Mapping[str, int]) -> None:
    """Look how far the region is, if these tickets are ahead of what this process knows of it."""
    applied = cache.progress.applied
    if any(applied.get(name, 0) < position for name, position in held.items()):
        await cache.progress.refresh()


async def hand_out(tickets: Tickets, response: HttpResponseBase) -> None:
    """Put tickets for what was written into the answer."""
    try:
        issued = await tickets.issue()
    except CalotypeError as error:  # the writes are durable: only the next page may be a moment old
        log.warning("no ticket for a write: %s", error)
        return
    response.set_cookie(
        COOKIE,
        encode({**tickets.held, **issued}),
        max_age=HELD_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def encode(tickets: Mapping[str, int]) -> str:
    return _signer().sign("&".join(f"{name}={position:x}" for name, position in tickets.items()))


def decode(cookie: str) -> dict[str, int]:
    """The tickets of a cookie; none for one that is not ours or too old."""
    if not cookie or len(cookie) > LIMIT_BYTES:
        return {}
    try:
        text = _signer().unsign(cookie, max_age=HELD_S)
    except BadSignature:
        return {}
    parts = [found for part in text.split("&") if (found := _PART(part))]
    return {found[1]: int(found[2], 16) for found in parts}
