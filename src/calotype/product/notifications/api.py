"""Notifications and read markers in the shapes of Mastodon's `Notification` and `Marker`. Ids are strings.

A notification's id is the time of its entry, in microseconds since 1970: so ids are in the order of what happened, and
a marker's `last_read_id` says up to when one has read.
"""

from __future__ import annotations

import time
from typing import Literal

import msgspec
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from calotype.infra.tao import FIRST, START
from calotype.infra.timelines.types import Place
from calotype.product.accounts.queries import require_viewer
from calotype.product.accounts.types import AccountId
from calotype.product.feed.queries import items_of
from calotype.product.feed.statuses import Status, account_json, reply_json, status, timestamp
from calotype.product.notifications import actions, queries
from calotype.product.notifications.types import Event, Kind, at_ms
from calotype.std.errors import BadRequest
from calotype.web import paging
from calotype.web.pages import json, origin_of
from calotype.web.request import SiteRequest

FIELD = "notifications[last_read_id]"
"""Of the form that moves a marker, as Mastodon's clients send it."""

Word = Literal["favourite", "mention", "follow"]
WORDS: dict[Kind, Word] = {
    Kind.LIKE: "favourite",
    Kind.COMMENT: "mention",
    Kind.FOLLOW: "follow",
    Kind.MENTION: "mention",
}
"""Mastodon's word for each kind: there a comment is a status that mentions the author of the first."""


class Notification(msgspec.Struct, frozen=True):
    id: str
    type: Word
    created_at: str
    account: msgspec.Raw
    """An `Account`, in JSON already."""
    status: Status | None = None
    """The post that it is about."""
    comment: msgspec.Raw | None = None
    """Ours, a `Reply`: what was said there. Mastodon's comments are statuses themselves."""


class Marker(msgspec.Struct, frozen=True):
    """`last_read_id`: nothing up to this id is new. It grows and never falls, so it is the `version` too."""

    last_read_id: str
    version: int
    updated_at: str


class Markers(msgspec.Struct, frozen=True, omit_defaults=True):
    notifications: Marker | None = None


@require_http_methods(["GET", "HEAD"])
async def notifications(request: SiteRequest) -> HttpResponse:
    """`GET /api/v1/notifications`: the last first, with `limit`, `max_id` and `Link`. Not to be seen by looking: see `markers`."""
    me = await require_viewer(request)
    graph = request.site.graph
    limit = paging.limit(request.GET.get("limit"))
    before = _before(request.GET.get("max_id"))
    found, older = await queries.events(graph, request.site.timelines, me, limit, before)
    posts = dict.fromkeys((each.post, each.author) for each in found if each.post is not None)
    origin = origin_of(request)
    items = await items_of(graph, me.id, list(posts))
    statuses = {item.post.id: status(item, origin) for item in items}
    response = json([_notification(each, statuses, origin) for each in found])
    if older is not None:
        response["Link"] = f'<{origin}{request.path}?limit={limit}&max_id={older[0]}>; rel="next"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
async def markers(request: SiteRequest) -> HttpResponse:
    """`/api/v1/markers`: up to where one has read; a POST with `notifications[last_read_id]` moves it forwards."""
    me = await require_viewer(request)
    graph = request.site.graph
    if request.method == "POST":
        # Not beyond now: what is still to come would never be new.
        seen_ms = min(_id(request.POST.get(FIELD)) // 1_000, int(time.time() * 1_000))
        await actions.note_seen(graph, AccountId(me.id), seen_ms)
        await request.site.live.tell(me.id)
    seen_ms = await queries.seen(graph, me.id)
    return json(Markers(_marker(seen_ms) if seen_ms else None))


def _marker(seen_ms: int) -> Marker:
    last = seen_ms * 1_000 + 999
    return Marker(str(last), last, timestamp(seen_ms))


def _notification(event: Event, statuses: dict[int, Status], origin: str) -> Notification:
    return Notification(
        id=str(event.entry.time),
        type=WORDS[event.kind],
        created_at=timestamp(at_ms(event.entry)),
        account=account_json(event.person, origin),
        status=statuses.get(event.post) if event.post is not None else None,
        comment=reply_json(event.said, origin) if event.said is not None else None,
    )


def _before(max_id: str | None) -> Place:
    return (_id(max_id), 0) if max_id else START


def _id(text: str | None) -> int:
    if not (text and text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= FIRST):
        raise BadRequest(
            _("“%s” is no id of a notification: follow the link on the page before.") % (text or "")[:20]
        )
    return int(text)
