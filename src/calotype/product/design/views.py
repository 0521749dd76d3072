from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from calotype.efficiency.console.access import staff_only
from calotype.product.design.samples import THEMES, context, sections
from calotype.web.pages import page


@require_safe
@staff_only
def design(request: HttpRequest) -> HttpResponse:
    """Every token and component in both themes, for staff. Synchronous, as all of the pages for staff are."""
    sides = [context(theme) for theme in THEMES]
    return page(request, "design/design.html", {"sections": sections(), "sides": sides})
