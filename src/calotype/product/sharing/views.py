"""oEmbed, and the sheet by which somebody passes a post or a profile on."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.http import HttpResponse
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import by_username, card
from calotype.product.accounts.views import address
from calotype.product.photos.queries import PostMissing, picture
from calotype.product.sharing.cards import embed_code, post_and_author, post_card, profile_card
from calotype.product.sharing.oembed import CACHE_S, FormatUnsupported, PhotoEmbed, embed_of, side
from calotype.web.pages import json, origin_of, wants_fragment
from calotype.web.rate_limits import RateLimit
from calotype.web.request import SiteRequest

BY_ADDRESS = RateLimit("oembed", amount=600, seconds=600)

URL_LIMIT = 2_000


@require_http_methods(["GET", "HEAD"])
async def oembed(request: SiteRequest) -> HttpResponse:
    """`GET /api/oembed?url=...`: a post as a photo of oEmbed 1.0. Whoever is signed in gets the same as everybody."""
    await BY_ADDRESS.spend(request.site.sessions, address(request))
    if request.GET.get("format", "json") != "json":
        raise FormatUnsupported("only format=json is made here")
    origin = origin_of(request)
    post_id = post_at(request.GET.get("url", ""), origin)
    widest, highest = side(request.GET.get("maxwidth")), side(request.GET.get("maxheight"))
    node, author = await post_and_author(request.site.graph, post_id, None)
    shown = picture(node.id, node.data.photos[0], widest, highest)
    return _for_everybody(embed_of(post_card(node, author, origin), shown, origin))


def post_at(url: str, origin: str) -> int:
    """The post whose page this address is; raises `PostMissing` for anything else, and for pages of others."""
    try:
        parts, ours = urlsplit(url[:URL_LIMIT]), urlsplit(origin)
        match = resolve(parts.path if parts.path.endswith("/") else parts.path + "/")
    except (ValueError, Resolver404):
        raise PostMissing(_("There is no such post; it may have been deleted.")) from None
    if parts.scheme not in ("http", "https") or parts.netloc != ours.netloc or match.url_name != "post":
        raise PostMissing(_("There is no such post; it may have been deleted."))
    return int(match.kwargs["post_id"])


def _for_everybody(found: PhotoEmbed) -> HttpResponse:
    """An answer that scripts of other sites may read and caches may keep: nothing in it depends on who asks."""
    response = json(found)
    response["Access-Control-Allow-Origin"] = "*"
    response["Cache-Control"] = f"public, max-age={CACHE_S}"
    return response


@require_http_methods(["GET", "HEAD"])
async def share_post(request: SiteRequest, post_id: int) -> HttpResponse:
    node, author = await post_and_author(request.site.graph, post_id, request.account_id)
    shared = post_card(node, author, origin_of(request))
    context = {"url": shared.url, "title": shared.title, "shown": shared.by, "code": embed_code(shared)}
    return await _sheet(request, context)


@require_http_methods(["GET", "HEAD"])
async def share_profile(request: SiteRequest, username: str) -> HttpResponse:
    person = card(await by_username(request.site.graph, username, request.account_id))
    shared = profile_card(person, origin_of(request))
    return await _sheet(request, {"url": shared.url, "title": shared.title, "shown": shared.title})


async def _sheet(request: SiteRequest, context: dict[str, str]) -> HttpResponse:
    template = "sharing/_sheet.html" if wants_fragment(request) else "sharing/share.html"
    return await show(request, template, context)
