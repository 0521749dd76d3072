from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from django.views.decorators.http import require_http_methods

from calotype.infra.tao import START, Node
from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import (
    apart_from,
    blocked_among,
    by_username,
    card,
    named,
    nobody_called,
    require_viewer,
    viewer,
)
from calotype.product.accounts.types import Person
from calotype.product.comments.queries import comment_counts
from calotype.product.follows.queries import counts, followed_among
from calotype.product.likes.queries import like_counts
from calotype.product.photos.queries import posts_of
from calotype.product.photos.types import POSTED, posted_at
from calotype.product.profiles.grid import Listed, cell
from calotype.product.profiles.queries import to_find
from calotype.product.sharing.cards import post_and_author, profile_card
from calotype.web import paging
from calotype.web.pages import origin_of, page, see_other, wants_fragment
from calotype.web.request import SiteRequest

GRID_PAGE = 30
PEOPLE_A_PAGE = 30
LAST_POSTS = 3
"""Of the card of a person."""


@require_http_methods(["GET", "HEAD"])
async def profile(request: SiteRequest, username: str) -> HttpResponse:
    person = await named(request.site.graph, username)
    if person.data.username != username:
        return see_other(f"/@{person.data.username}/")
    if await apart_from(request.site.graph, request.account_id, [person.id]):
        return await _of_somebody_apart(request, person)
    if wants_fragment(request):
        return page(request, "profiles/_grid.html", {"part": True, **await _grid(request, person)})
    grid, known = await asyncio.gather(_grid(request, person), _known(request, person))
    me = await viewer(request)
    context = {
        "mine": me is not None and me.id == person.id,
        "share": profile_card(card(person), origin_of(request)),
        **grid,
        **known,
    }
    return await show(request, "profiles/profile.html", context)


async def _of_somebody_apart(request: SiteRequest, person: Node[Person]) -> HttpResponse:
    """For who has blocked them, how to undo that; for who is blocked, nobody. Raises `PersonMissing`."""
    me = await require_viewer(request)
    if not await blocked_among(request.site.graph, me.id, [person.id]):
        raise nobody_called(person.data.username)
    return await show(request, "follows/blocked.html", {"person": card(person)})


async def _grid(request: SiteRequest, person: Node[Person]) -> dict[str, Any]:
    """A page of somebody's posts."""
    before = paging.decode(request.GET.get("before"))
    posts, older = await posts_of(request.site.graph, person.id, before, GRID_PAGE)
    author = card(person)
    return {
        "posts": [cell(Listed(post, author)) for post in posts],
        "older": paging.encode(older) if older else "",
    }


async def _known(request: SiteRequest, person: Node[Person]) -> dict[str, Any]:
    """What stands above the posts."""
    graph = request.site.graph
    me = await viewer(request)
    me_id = me.id if me else 0
    follow_counts, post_count, followed, follows_you = await asyncio.gather(
        counts(graph, person.id),
        graph.assoc_count(POSTED, person.id),
        followed_among(graph, me_id, [person.id]),
        followed_among(graph, person.id, [me_id]),
    )
    return {
        "person": card(person),
        "followed": bool(followed),
        "follows_you": bool(follows_you),
        "counts": follow_counts,
        "post_count": post_count,
    }


@require_http_methods(["GET", "HEAD"])
async def person_card(request: SiteRequest, username: str) -> HttpResponse:
    """What is shown of somebody whose name is pointed at. Public, as the profile is."""
    person = await by_username(request.site.graph, username, request.account_id)
    known, (posts, _) = await asyncio.gather(
        _known(request, person), posts_of(request.site.graph, person.id, START, LAST_POSTS)
    )
    author = card(person)
    last = [cell(Listed(post, author)) for post in posts]
    return await show(request, "profiles/_person_card.html", {"posts": last, **known})


@require_http_methods(["GET", "HEAD"])
async def post_card(request: SiteRequest, post_id: int) -> HttpResponse:
    """What is shown of a post in a grid that is pointed at. Public, as the post is."""
    graph = request.site.graph
    (post, author), likes, talk = await asyncio.gather(
        post_and_author(graph, post_id, request.account_id),
        like_counts(graph, [post_id]),
        comment_counts(graph, [post_id]),
    )
    context = {
        "author": author,
        "caption": post.data.caption,
        "likes": likes[post_id],
        "comments": talk[post_id],
        "at": datetime.fromtimestamp(posted_at(post) / 1000, UTC),
    }
    return page(request, "profiles/_post_card.html", context)


@require_http_methods(["GET", "HEAD"])
async def people(request: SiteRequest) -> HttpResponse:
    me = await require_viewer(request)
    found = await to_find(request.site.graph, me.id, PEOPLE_A_PAGE)
    return await show(request, "profiles/people.html", {"people": found})
