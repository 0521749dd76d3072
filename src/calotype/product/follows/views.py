from __future__ import annotations

import msgspec
from django.http import HttpResponse
from django.views.decorators.http import require_http_methods, require_POST

from calotype.infra.tao import Node
from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import by_username, card, require_viewer, viewer
from calotype.product.accounts.types import AccountId, Person
from calotype.product.follows import actions, queries
from calotype.product.follows.types import FOLLOWED_BY, FOLLOWS
from calotype.web import paging
from calotype.web.errors import wants_json
from calotype.web.pages import json, safe_next, see_other, wants_fragment
from calotype.web.request import SiteRequest

PEOPLE_A_PAGE = 40


class Standing(msgspec.Struct, frozen=True):
    """Whether one follows somebody now, and how many do."""

    following: bool
    followers: int


@require_POST
async def follow(request: SiteRequest, username: str) -> HttpResponse:
    me = await require_viewer(request)
    person = await by_username(request.site.graph, username)
    await actions.follow(request.site.graph, AccountId(me.id), AccountId(person.id))
    return await _done(request, person, following=True)


@require_POST
async def unfollow(request: SiteRequest, username: str) -> HttpResponse:
    me = await require_viewer(request)
    person = await by_username(request.site.graph, username)
    await actions.unfollow(request.site.graph, AccountId(me.id), AccountId(person.id))
    return await _done(request, person, following=False)


async def _done(request: SiteRequest, person: Node[Person], *, following: bool) -> HttpResponse:
    """On to where one was; as JSON, how it stands now."""
    if wants_json(request):
        return json(Standing(following, (await queries.counts(request.site.graph, person.id)).followers))
    return see_other(safe_next(request, f"/@{person.data.username}/"))


@require_http_methods(["GET", "HEAD"])
async def people_list(request: SiteRequest, username: str, which: str) -> HttpResponse:
    """Followers or followees of somebody."""
    graph = request.site.graph
    person = await by_username(graph, username)
    association = FOLLOWED_BY if which == "followers" else FOLLOWS
    cards, older = await queries.page(
        graph, association, person.id, paging.decode(request.GET.get("before")), PEOPLE_A_PAGE
    )
    me = await viewer(request)
    followed = await queries.followed_among(graph, me.id, [each.id for each in cards]) if me else set()
    context = {
        "person": card(person),
        "which": which,
        "people": [(each, each.id in followed) for each in cards],
        "older": paging.encode(older) if older else "",
    }
    template = "follows/_people.html" if wants_fragment(request) else "follows/people_list.html"
    return await show(request, template, context)
