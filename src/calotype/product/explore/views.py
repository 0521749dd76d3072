"""Explore as a page and as JSON. Public, as profiles are."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import HttpResponse
from django.views.decorators.http import require_http_methods

from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import viewer
from calotype.product.explore import queries
from calotype.product.explore.types import EVERY_S
from calotype.product.feed.queries import items_of
from calotype.product.feed.statuses import status
from calotype.product.profiles.grid import cell
from calotype.web import paging
from calotype.web.pages import json, origin_of, page, wants_fragment
from calotype.web.request import SiteRequest

GRID_PAGE = 60


@require_http_methods(["GET", "HEAD"])
async def explore(request: SiteRequest) -> HttpResponse:
    graph = request.site.graph
    ranking = await queries.ranking(graph)
    offset = paging.offset(request.GET.get("before"))
    found = (
        await queries.popular(graph, ranking, GRID_PAGE + 1, request.account_id, offset) if ranking else []
    )
    context = {
        "posts": [cell(each) for each in found[:GRID_PAGE]],
        "older": str(offset + GRID_PAGE) if len(found) > GRID_PAGE else "",
        "at": datetime.fromtimestamp(ranking.at / 1000, UTC) if ranking else None,
        "every_min": round(EVERY_S / 60),
    }
    if wants_fragment(request):
        return page(request, "profiles/_grid.html", {"part": True, **context})
    return await show(request, "explore/explore.html", context)


@require_http_methods(["GET", "HEAD"])
async def statuses(request: SiteRequest) -> HttpResponse:
    """`GET /api/v1/trends/statuses`: the same as Mastodon statuses, with `limit` and `offset`."""
    graph = request.site.graph
    me = await viewer(request)
    ranking = await queries.ranking(graph)
    limit, offset = paging.limit(request.GET.get("limit")), paging.offset(request.GET.get("offset"))
    found = await queries.popular(graph, ranking, limit, request.account_id, offset) if ranking else []
    wanted = [(each.post.id, each.author.id) for each in found]
    items = await items_of(graph, me.id if me else None, wanted)
    return json([status(item, origin_of(request)) for item in items])
