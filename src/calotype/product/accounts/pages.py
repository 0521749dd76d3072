"""Pages that know who is looking."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse

from calotype.product.accounts.queries import card, viewer
from calotype.web.pages import page
from calotype.web.request import SiteRequest


async def show(
    request: SiteRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Render a page with `me`, the card of who is looking, or None."""
    node = await viewer(request)
    return page(request, template, {"me": card(node) if node else None, **context}, status)
