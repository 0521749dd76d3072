"""The home feed as a page and as JSON, and the page of one post."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.contrib import messages
from django.http import HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from calotype.product.accounts.forms import LogInForm
from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import require_viewer, viewer
from calotype.product.accounts.types import AccountId
from calotype.product.comments.queries import page as comments_page
from calotype.product.feed import actions, queries
from calotype.product.feed.forms import ReadingForm
from calotype.product.feed.paging import link_header, place_of
from calotype.product.feed.statuses import status
from calotype.product.feed.types import FeedPage, Item
from calotype.product.follows.queries import followed_among
from calotype.product.photos.queries import PostMissing, photo_views, post_of
from calotype.product.photos.types import posted_at
from calotype.product.profiles.queries import to_find
from calotype.product.sharing.cards import post_card
from calotype.product.words.links import linked
from calotype.web import paging
from calotype.web.pages import json, origin_of, see_other
from calotype.web.request import SiteRequest

FEED_PAGE = 20
SUGGESTIONS = 5
COMMENTS_A_PAGE = 50


def shown(item: Item) -> dict[str, Any]:
    """An item as templates show it."""
    return {
        "id": item.post.id,
        "place": paging.encode((posted_at(item.post), item.post.id)),
        "author": item.author,
        "photos": photo_views(item.post),
        "caption": item.post.data.caption,
        "words": linked(item.post.data.caption, item.post.data.mentions),
        "at": datetime.fromtimestamp(posted_at(item.post) / 1000, UTC),
        "likes": item.likes,
        "liked": item.liked,
        "comments": item.comments,
        "said": [
            {
                "id": said.id,
                "author": said.author,
                "words": linked(said.text, said.mentions),
                "at": datetime.fromtimestamp(said.at / 1000, UTC),
            }
            for said in item.said
        ],
    }


@require_http_methods(["GET", "HEAD"])
async def home(request: SiteRequest) -> HttpResponse:
    """The feed; for somebody who is not signed in, the door. With `X-Fragment`, the list alone."""
    alone = "X-Fragment" in request.headers
    me = await (require_viewer if alone else viewer)(request)
    if me is None:
        return await show(request, "accounts/log_in.html", {"form": LogInForm(), "next": ""})
    graph, before = request.site.graph, request.GET.get("before")
    reading = queries.home(graph, request.site.timelines, me.id, FEED_PAGE, paging.decode(before))
    aside: dict[str, Any] = {}
    if alone:
        page = await reading
    else:
        page, aside["suggestions"] = await asyncio.gather(reading, to_find(graph, me.id, SUGGESTIONS))
    context = {
        "items": [shown(item) for item in page.items],
        "older": paging.encode(page.older) if page.older else "",
        "first_page": not before,
        "alone": alone,
        "by_button": me.data.by_button,
        **aside,
    }
    response = await show(request, "feed/_list.html" if alone else "feed/home.html", context)
    patch_vary_headers(response, ["X-Fragment"])  # a page that is gone back to must not be its list alone
    return response


@require_http_methods(["GET", "HEAD"])
async def newer(request: SiteRequest) -> HttpResponse:
    """`{"newer": 3}`: how many posts there are above the place `after`, counted up to a page."""
    me = await require_viewer(request)
    after = paging.decode(request.GET.get("after"))
    found = await queries.newer(request.site.graph, request.site.timelines, me.id, after, FEED_PAGE)
    return json({"newer": found})


@require_http_methods(["GET", "HEAD"])
async def post(request: SiteRequest, post_id: int) -> HttpResponse:
    graph = request.site.graph
    before = paging.decode(request.GET.get("before"))
    me = await viewer(request)
    viewer_id = me.id if me else None
    node = await post_of(graph, post_id, None)  # whether they may see it, `items_of` says
    items, (said, older), followed = await asyncio.gather(
        queries.items_of(graph, viewer_id, [(node.id, node.data.author)], comments=0),
        comments_page(graph, post_id, COMMENTS_A_PAGE, viewer_id, before),
        followed_among(graph, viewer_id or 0, [node.data.author]),
    )
    if not items:
        raise PostMissing(_("There is no such post; it may have been deleted."))
    view = shown(msgspec.structs.replace(items[0], said=said))
    context = {
        "item": view,
        "older": paging.encode(older) if older else "",
        "followed": bool(followed),
        "share": post_card(node, items[0].author, origin_of(request)),
    }
    return await show(request, "feed/post.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
async def settings(request: SiteRequest) -> HttpResponse:
    """How one wants to read the feed."""
    me = await require_viewer(request)
    form = ReadingForm(
        request.POST if request.method == "POST" else None, initial={"by_button": me.data.by_button}
    )
    if request.method == "POST" and form.is_valid():
        await actions.read_by_button(
            request.site.graph, AccountId(me.id), by_button=form.cleaned_data["by_button"]
        )
        messages.success(request, _("Saved."))
        return see_other(request.path)
    return await show(request, "feed/settings.html", {"form": form})


@require_http_methods(["GET", "HEAD"])
async def timeline(request: SiteRequest) -> HttpResponse:
    """`GET /api/v1/timelines/home`: the feed as Mastodon statuses, with `max_id`, `min_id`, `limit` and `Link`."""
    me = await require_viewer(request)
    graph = request.site.graph
    limit = paging.limit(request.GET.get("limit"))
    max_id, min_id = request.GET.get("max_id"), request.GET.get("min_id")
    before = await place_of(graph, max_id) if max_id else paging.decode(None)
    after = await place_of(graph, min_id) if min_id else None
    page = await queries.home(graph, request.site.timelines, me.id, limit, before, after)
    return _statuses(request, page, limit)


@require_http_methods(["GET", "HEAD"])
async def account_statuses(request: SiteRequest, account_id: int) -> HttpResponse:
    """`GET /api/v1/accounts/ID/statuses`: one person's posts, newest first. Public, as profiles are."""
    me = await viewer(request)
    graph = request.site.graph
    limit = paging.limit(request.GET.get("limit"))
    max_id, min_id = request.GET.get("max_id"), request.GET.get("min_id")
    before = await place_of(graph, max_id) if max_id else paging.decode(None)
    after = await place_of(graph, min_id) if min_id else None
    page = await queries.posts_by(graph, me.id if me else None, account_id, limit, before, after)
    return _statuses(request, page, limit)


def _statuses(request: SiteRequest, page: FeedPage, limit: int) -> HttpResponse:
    origin = origin_of(request)
    response = json([status(item, origin) for item in page.items])
    if links := link_header(origin + request.path, limit, page.items, older=page.older is not None):
        response["Link"] = links
    return response
