from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_POST

from calotype.product.accounts.queries import require_viewer
from calotype.product.accounts.types import AccountId
from calotype.product.likes import actions
from calotype.product.photos.queries import post_url
from calotype.product.photos.types import PostId
from calotype.web.pages import safe_next, see_other
from calotype.web.request import SiteRequest


@require_POST
async def like(request: SiteRequest, post_id: int) -> HttpResponse:
    me = await require_viewer(request)
    await actions.like(request.site.graph, AccountId(me.id), PostId(post_id))
    return see_other(safe_next(request, post_url(post_id)))


@require_POST
async def unlike(request: SiteRequest, post_id: int) -> HttpResponse:
    me = await require_viewer(request)
    await actions.unlike(request.site.graph, AccountId(me.id), PostId(post_id))
    return see_other(safe_next(request, post_url(post_id)))
