from __future__ import annotations

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from calotype.product.accounts.pages import show
from calotype.product.demo.credits import Credit, credits
from calotype.std.errors import NotFound
from calotype.web.request import SiteRequest


@require_http_methods(["GET", "HEAD"])
async def about_photos(request: SiteRequest) -> HttpResponse:
    """Whose the demo photographs are: their licences ask for it."""
    return await show(
        request, "demo/about_photos.html", {"photos": [_shown(credit) for credit in credits().values()]}
    )


def _shown(credit: Credit) -> dict[str, object]:
    return {
        "url": reverse("demo_photo", args=[credit.name]),
        "title": credit.title or credit.name.replace("-", " ").capitalize(),
        "alt": credit.alt,
        "author": credit.author,
        "licence": credit.licence,
        "source": credit.source,
        "changed": credit.changed,
        "width": credit.width,
        "height": credit.height,
    }


@require_http_methods(["GET", "HEAD"])
async def photo(request: SiteRequest, name: str) -> HttpResponse:
    credit = credits().get(name)
    if credit is None:
        raise NotFound(_("There is no such photo."))
    response = HttpResponse(credit.path.read_bytes(), content_type="image/jpeg")
    response["Cache-Control"] = "public, max-age=86400"
    return response
