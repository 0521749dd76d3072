from __future__ import annotations

import msgspec
from django.contrib import messages
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from calotype.infra.tao import Node
from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import by_username, card, named, require_viewer, viewer
from calotype.product.accounts.types import BLOCKS, AccountId, Person
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
    person = await by_username(request.site.graph, username, me.id)
    await actions.follow(request.site.graph, AccountId(me.id), AccountId(person.id))
    return await _done(request, person, following=True)


@require_POST
async def unfollow(request: SiteRequest, username: str) -> HttpResponse:
    me = await require_viewer(request)
    person = await named(request.site.graph, username)
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
    me = await viewer(request)
    person = await by_username(graph, username, me.id if me else None)
    association = FOLLOWED_BY if which == "followers" else FOLLOWS
    cards, older = await queries.page(
        graph,
        association,
        person.id,
        paging.decode(request.GET.get("before")),
        PEOPLE_A_PAGE,
        me.id if me else None,
    )
    followed = await queries.followed_among(graph, me.id, [each.id for each in cards]) if me else set()
    context = {
        "person": card(person),
        "which": which,
        "people": [(each, each.id in followed) for each in cards],
        "own": which == "followers" and me is not None and me.id == person.id,
        "older": paging.encode(older) if older else "",
    }
    template = "follows/_people.html" if wants_fragment(request) else "follows/people_list.html"
    return await show(request, template, context)


@require_http_methods(["GET", "HEAD", "POST"])
async def remove(request: SiteRequest, username: str) -> HttpResponse:
    """Have somebody no longer follow one. Asks first; does it on POST."""
    me = await require_viewer(request)
    person = card(await named(request.site.graph, username))
    if request.method == "POST":
        await actions.unfollow(request.site.graph, person.id, AccountId(me.id))
        messages.success(request, _("%s no longer follows you.") % person.name)
        return see_other(safe_next(request, f"/@{me.data.username}/followers/"))
    return await show(request, "follows/remove.html", {"person": person})


@require_http_methods(["GET", "HEAD", "POST"])
async def block(request: SiteRequest, username: str) -> HttpResponse:
    """Asks first; blocks on POST."""
    me = await require_viewer(request)
    person = card(await named(request.site.graph, username))
    if request.method == "POST":
        await actions.block(request.site.graph, AccountId(me.id), person.id)
        messages.success(request, _("%s is blocked.") % person.name)
        return see_other(person.url)
    return await show(request, "follows/block.html", {"person": person})


@require_POST
async def unblock(request: SiteRequest, username: str) -> HttpResponse:
    me = await require_viewer(request)
    person = card(await named(request.site.graph, username))
    await actions.unblock(request.site.graph, AccountId(me.id), person.id)
    messages.success(request, _("%s is not blocked any longer.") % person.name)
    return see_other(safe_next(request, person.url))


@require_http_methods(["GET", "HEAD"])
async def blocked(request: SiteRequest) -> HttpResponse:
    """Whom one has blocked."""
    me = await require_viewer(request)
    before = paging.decode(request.GET.get("before"))
    cards, older = await queries.page(request.site.graph, BLOCKS, me.id, before, PEOPLE_A_PAGE, None)
    context = {"people": cards, "older": paging.encode(older) if older else ""}
    return await show(request, "follows/blocked_people.html", context)
