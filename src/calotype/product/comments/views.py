from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from calotype.product.accounts.queries import require_viewer
from calotype.product.accounts.types import AccountId
from calotype.product.comments import actions
from calotype.product.comments.forms import CommentForm
from calotype.product.comments.types import CommentId
from calotype.product.photos.queries import post_url
from calotype.product.photos.types import PostId
from calotype.std.errors import Unprocessable
from calotype.web.idempotency import key_of
from calotype.web.pages import safe_next, see_other
from calotype.web.rate_limits import RateLimit
from calotype.web.request import SiteRequest

BY_ACCOUNT = RateLimit("comment", amount=60, seconds=600)


class CommentInvalid(Unprocessable):
    code = "comment_invalid"


@require_POST
async def add(request: SiteRequest, post_id: int) -> HttpResponse:
    me = await require_viewer(request)
    form = CommentForm(request.POST)
    if not form.is_valid():
        raise CommentInvalid(" ".join(str(error) for error in form.errors["text"]))
    await BY_ACCOUNT.spend(request.site.sessions, str(me.id))
    await actions.add(
        request.site.graph, AccountId(me.id), PostId(post_id), form.cleaned_data["text"], key=key_of(request)
    )
    return see_other(safe_next(request, post_url(post_id)))


@require_POST
async def delete(request: SiteRequest, post_id: int, comment_id: int) -> HttpResponse:
    me = await require_viewer(request)
    await actions.delete(request.site.graph, AccountId(me.id), PostId(post_id), CommentId(comment_id))
    messages.success(request, _("The comment is deleted."))
    return see_other(safe_next(request, post_url(post_id)))
