"""Liking a post and taking it back: a form's answer leads back to the page, a module's is `{"liked": true, "likes": 12}`."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_POST

from calotype.product.accounts.queries import require_viewer
from calotype.product.accounts.types import AccountId
from calotype.product.likes import actions
from calotype.product.likes.queries import like_counts
from calotype.product.photos.queries import post_url
from calotype.product.photos.types import PostId
from calotype.web.errors import wants_json
from calotype.web.pages import json, safe_next, see_other
from calotype.web.request import SiteRequest


@require_POST
async def like(request: SiteRequest, post_id: int) -> HttpResponse:
    me = await require_viewer(request)
    await actions.like(request.site.graph, AccountId(me.id), PostId(post_id))
    return await _answer(request, post_id, liked=True)


@require_POST
async def unlike(request: SiteRequest, post_id: int) -> HttpResponse:
    me = await require_viewer(request)
    await actions.unlike(request.site.graph, AccountId(me.id), PostId(post_id))
    return await _answer(request, post_id, liked=False)


async def _answer(request: SiteRequest, post_id: int, *, liked: bool) -> HttpResponse:
    if not wants_json(request):
        return see_other(safe_next(request, post_url(post_id)))
    likes = await like_counts(request.site.graph, [post_id])
    return json({"liked": liked, "likes": likes[post_id]})
