"""The page of notifications, the number of new ones, the stream of it, and what one wants to be told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import require_viewer
from calotype.product.accounts.types import AccountId, Person
from calotype.product.notifications import actions, queries
from calotype.product.notifications.forms import WORDS, WantedForm
from calotype.product.notifications.types import Note
from calotype.product.photos.queries import photo_view
from calotype.std.deadline import deadline
from calotype.std.errors import BadRequest, CalotypeError, Unprocessable
from calotype.web import paging
from calotype.web.errors import wants_json
from calotype.web.pages import json, see_other, wants_fragment
from calotype.web.request import SiteRequest
from calotype.web.site import Site

RECONNECT_MS = 3_000
COUNT_WITHIN_S = 5.0
MOMENT_DIGITS = 15


class NotSaved(Unprocessable):
    code = "not_saved"


@require_http_methods(["GET", "HEAD"])
async def notifications(request: SiteRequest) -> HttpResponse:
    """What happened, the last first. To look at it is to have seen it."""
    me = await require_viewer(request)
    site = request.site
    before = paging.decode(request.GET.get("before"))
    page = await queries.notes(site.graph, site.timelines, me, before)
    if page.seen and request.method == "GET" and not request.GET.get("before"):
        await actions.note_seen(site.graph, AccountId(me.id), page.seen)
        await site.live.tell(me.id)
    context = {
        "notes": [shown(note) for note in page.notes],
        "older": paging.encode(page.older) if page.older else "",
        "seen": str(page.seen),
        "unread": any(note.unread for note in page.notes),
    }
    part = "notifications/_notes.html" if wants_fragment(request) else "notifications/notifications.html"
    return await show(request, part, context)


@require_POST
async def read(request: SiteRequest) -> HttpResponse:
    """Note what has been read, up to `up_to` in milliseconds since 1970 and never beyond now: what is still to come is new."""
    me = await require_viewer(request)
    up_to = request.POST.get("up_to", "")
    if not (up_to.isascii() and up_to.isdigit() and len(up_to) <= MOMENT_DIGITS):
        raise BadRequest(_("%(text)s is no moment: milliseconds since 1970 are.") % {"text": up_to[:20]})
    site = request.site
    await actions.note_seen(site.graph, AccountId(me.id), min(int(up_to), int(time.time() * 1_000)))
    await site.live.tell(me.id)
    if wants_json(request):
        return json({"unread": await queries.unread(site.graph, site.timelines, me)})
    return see_other(reverse("notifications"))


@require_GET
async def unread(request: SiteRequest) -> HttpResponse:
    """`{"unread": 3}`: for pages that have no stream."""
    me = await require_viewer(request)
    return json({"unread": await queries.unread(request.site.graph, request.site.timelines, me)})


@require_GET
async def live(request: SiteRequest) -> StreamingHttpResponse:
    """Server-sent events: `unread` with the number at the start and whenever it may have changed."""
    me = await require_viewer(request)
    news = request.site.live.stream(me.id)
    response = StreamingHttpResponse(_events(request.site, me.id, news), content_type="text/event-stream")
    response["Cache-Control"] = "private, no-store"
    response["X-Accel-Buffering"] = "no"  # nginx would keep it until it has a page full
    return response


async def _events(site: Site, viewer: int, news: AsyncIterator[bool]) -> AsyncIterator[bytes]:
    yield f"retry: {RECONNECT_MS}\n\n".encode()
    async for told in news:
        if not told:
            yield b":\n\n"
            continue
        number = await _count(site, viewer)
        if number is None:
            return
        yield f'event: unread\ndata: {{"unread": {number}}}\n\n'.encode()


async def _count(site: Site, viewer: int) -> int | None:
    """None: the stream shall end, and the page ask again."""
    try:
        with deadline(COUNT_WITHIN_S):
            person = await site.graph.obj_get(Person, viewer)
            if person is None or person.data.suspended:
                return None
            return await queries.unread(site.graph, site.timelines, person)
    except (CalotypeError, TimeoutError):
        return None


@require_http_methods(["GET", "POST"])
async def settings(request: SiteRequest) -> HttpResponse:
    me = await require_viewer(request)
    wanted = [kind.word for kind in WORDS if kind.word not in me.data.quiet]
    form = WantedForm(request.POST if request.method == "POST" else None, initial={"wanted": wanted})
    if request.method == "POST" and form.is_valid():
        await actions.be_quiet(request.site.graph, AccountId(me.id), form.quiet())
        if wants_json(request):
            return json({"saved": _("Saved.")})
        messages.success(request, _("Saved."))
        return see_other(request.path)
    if form.errors and wants_json(request):
        raise NotSaved(" ".join(str(error) for errors in form.errors.values() for error in errors))
    return await show(request, "notifications/settings.html", {"form": form}, 422 if form.errors else 200)


def shown(note: Note) -> dict[str, Any]:
    """A note as the template shows it."""
    picture = (
        photo_view(note.post.id, note.post.data.photos[0]) if note.post and note.post.data.photos else None
    )
    first, *more = note.people
    return {
        "kind": note.kind.word,
        "about": note.about,
        "person": first,
        "second": more[0] if more else None,
        "people": note.people,
        "total": note.total,
        "others": note.total - 1,
        "post": note.post.id if note.post else 0,
        "photo": picture,
        "text": note.text,
        "at": datetime.fromtimestamp(note.at / 1000, UTC),
        "unread": note.unread,
    }
