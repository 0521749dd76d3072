"""A hashtag as a page and as JSON. Public, as profiles are."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import viewer
from calotype.product.feed.paging import link_header, place_of
from calotype.product.feed.queries import items_of
from calotype.product.feed.statuses import status
from calotype.product.profiles.grid import cell
from calotype.product.tags import queries
from calotype.product.words.links import tag_url
from calotype.product.words.parsing import tag_key
from calotype.web import paging
from calotype.web.pages import json, origin_of, page, see_other, wants_fragment
from calotype.web.request import SiteRequest

GRID_PAGE = 30


def _key(name: str) -> str:
    key = tag_key(name)
    if key is None:
        raise queries.TagMissing(_("“%s” is no hashtag: letters, digits and underscores are.") % name[:40])
    return key


@require_http_methods(["GET", "HEAD"])
async def tag(request: SiteRequest, name: str) -> HttpResponse:
    key = _key(name)
    if key != name:
        return see_other(tag_url(key))
    before = paging.decode(request.GET.get("before"))
    found, older = await queries.below(request.site.graph, key, GRID_PAGE, request.account_id, before)
    context = {
        "name": key,
        "posts": [cell(each) for each in found],
        "older": paging.encode(older) if older else "",
    }
    if wants_fragment(request):
        return page(request, "profiles/_grid.html", {"part": True, **context})
    return await show(request, "tags/tag.html", context)


@require_http_methods(["GET", "HEAD"])
async def timeline(request: SiteRequest, name: str) -> HttpResponse:
    """`GET /api/v1/timelines/tag/NAME`: Mastodon statuses, with `max_id`, `min_id`, `limit` and `Link`."""
    key = _key(name)
    graph = request.site.graph
    me = await viewer(request)
    limit = paging.limit(request.GET.get("limit"))
    max_id, min_id = request.GET.get("max_id"), request.GET.get("min_id")
    older = None
    if min_id:
        found = await queries.above(graph, key, limit, request.account_id, await place_of(graph, min_id))
    else:
        before = await place_of(graph, max_id) if max_id else paging.decode(None)
        found, older = await queries.below(graph, key, limit, request.account_id, before)
    wanted = [(each.post.id, each.author.id) for each in found]
    items = await items_of(graph, me.id if me else None, wanted)
    origin = origin_of(request)
    response = json([status(item, origin) for item in items])
    more = older is not None or bool(min_id)
    if links := link_header(origin + request.path, limit, items, older=more):
        response["Link"] = links
    return response
