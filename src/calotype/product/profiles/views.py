from __future__ import annotations

import asyncio

from django.http import HttpResponse
from django.views.decorators.http import require_http_methods

from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import by_username, card, require_viewer, viewer
from calotype.product.follows.queries import counts, followed_among
from calotype.product.photos.queries import photo_view, posts_of
from calotype.product.photos.types import POSTED
from calotype.product.profiles.queries import to_find
from calotype.web import paging
from calotype.web.pages import see_other
from calotype.web.request import SiteRequest

GRID_PAGE = 30
PEOPLE_A_PAGE = 30


@require_http_methods(["GET", "HEAD"])
async def profile(request: SiteRequest, username: str) -> HttpResponse:
    graph = request.site.graph
    person = await by_username(graph, username)
    if person.data.username != username:
        return see_other(f"/@{person.data.username}/")
    me = await viewer(request)
    (posts, older), follow_counts, post_count, followed = await asyncio.gather(
        posts_of(graph, person.id, paging.decode(request.GET.get("before")), GRID_PAGE),
        counts(graph, person.id),
        graph.assoc_count(POSTED, person.id),
        followed_among(graph, me.id if me else 0, [person.id]),
    )
    context = {
        "person": card(person),
        "mine": me is not None and me.id == person.id,
        "followed": bool(followed),
        "counts": follow_counts,
        "post_count": post_count,
        "posts": [
            {"id": post.id, "photo": photo_view(post.id, post.data.photos[0]), "many": len(post.data.photos)}
            for post in posts
        ],
        "older": paging.encode(older) if older else "",
    }
    return await show(request, "profiles/profile.html", context)


@require_http_methods(["GET", "HEAD"])
async def people(request: SiteRequest) -> HttpResponse:
    me = await require_viewer(request)
    found = await to_find(request.site.graph, me.id, PEOPLE_A_PAGE)
    return await show(request, "profiles/people.html", {"people": found})
