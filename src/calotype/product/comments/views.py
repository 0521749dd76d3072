"""Saying something under a post, and deleting it: a form's answer leads back to the page.

A module's is `{"id": "7", "html": "..."}`, the comment as the page of a post (`in=post`) or as a feed shows it, and 204.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib import messages
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from calotype.product.accounts.queries import card, require_viewer
from calotype.product.accounts.types import AccountId
from calotype.product.comments import actions, queries
from calotype.product.comments.forms import CommentForm
from calotype.product.comments.types import CommentId
from calotype.product.photos.queries import post_of, post_url
from calotype.product.photos.types import PostId
from calotype.product.words.links import linked
from calotype.std.errors import Unprocessable
from calotype.web.errors import wants_json
from calotype.web.idempotency import key_of
from calotype.web.pages import json, rendered, safe_next, see_other
from calotype.web.rate_limits import RateLimit
from calotype.web.request import SiteRequest

BY_ACCOUNT = RateLimit("comment", amount=60, seconds=600)


class CommentInvalid(Unprocessable):
    code = "comment_invalid"


@require_POST
async def add(request: SiteRequest, post_id: int) -> HttpResponse:
    me = await require_viewer(request)
    form = CommentForm(request.POST)
    if not form.is_valid():
        raise CommentInvalid(" ".join(str(error) for error in form.errors["text"]))
    await BY_ACCOUNT.spend(request.site.sessions, str(me.id))
    comment_id = await actions.add(
        request.site.graph, AccountId(me.id), PostId(post_id), form.cleaned_data["text"], key=key_of(request)
    )
    if wants_json(request):
        return await _shown(request, post_id, comment_id)
    return see_other(safe_next(request, post_url(post_id)))


async def _shown(request: SiteRequest, post_id: int, comment_id: CommentId) -> HttpResponse:
    me = await require_viewer(request)
    said = await queries.one(request.site.graph, comment_id)
    if said is None:
        raise actions.CommentMissing(_("There is no such comment; it may have been deleted."))
    post = await post_of(request.site.graph, post_id, me.id)
    context = {
        "me": card(me),
        "item": {"id": post_id, "author": {"id": post.data.author}},
        "here": f"{post_url(post_id)}#comments",
        "comment": {
            "id": said.id,
            "author": said.author,
            "words": linked(said.text, said.mentions),
            "at": datetime.fromtimestamp(said.at / 1000, UTC),
        },
    }
    part = "comments/_comment.html" if request.POST.get("in") == "post" else "comments/_said.html"
    return json({"id": str(said.id), "html": rendered(part, context, request).strip()})


@require_POST
async def delete(request: SiteRequest, post_id: int, comment_id: int) -> HttpResponse:
    me = await require_viewer(request)
    await actions.delete(request.site.graph, AccountId(me.id), PostId(post_id), CommentId(comment_id))
    if wants_json(request):
        return HttpResponse(status=204)
    messages.success(request, _("The comment is deleted."))
    return see_other(safe_next(request, post_url(post_id)))
