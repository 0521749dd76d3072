"""Rendering: pages from templates, JSON from msgspec Structs."""

from __future__ import annotations

from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.template.backends.django import Template as DjangoTemplate
from django.template.context import make_context
from django.template.loader import get_template
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme

ACCOUNT = "X-Account"
"""The header of a page that says whose it is, 0 for nobody's: the service worker keeps nothing of one person for another."""

_json = msgspec.json.Encoder()


FRAGMENT = "X-Fragment"
"""With this header a module asks for that part of a page which it is going to put into the page that is open."""


def wants_fragment(request: HttpRequest) -> bool:
    return request.headers.get(FRAGMENT) == "1"


def page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """A page, or a part of one, that depends on who asks, so no shared cache may keep it. Going back, a browser must not
    show the part in place of the page."""
    response = HttpResponse(rendered(template, context, request), status=status)
    patch_vary_headers(response, (FRAGMENT,))
    response["Cache-Control"] = "private, no-cache"
    response[ACCOUNT] = str(getattr(request, "account_id", None) or 0)
    return response


def rendered(template: str, context: dict[str, Any], request: HttpRequest) -> str:
    """As Django's `render_to_string`, whose context refers to itself through what it was given: with each page all that was on
    it, and its request, would wait for the garbage collector."""
    found = get_template(template)
    assert isinstance(found, DjangoTemplate)
    made = make_context(context, request, autoescape=found.backend.engine.autoescape)
    try:
        return found.template.render(made)
    finally:
        made.dicts.clear()


def json(document: object, status: int = 200) -> HttpResponse:
    response = HttpResponse(_json.encode(document), content_type="application/json", status=status)
    response["Cache-Control"] = "private, no-cache"
    return response


def safe_next(request: HttpRequest, fallback: str) -> str:
    """Where the form asks to go on, if that is a path of this site; else `fallback`, a path or a route's name."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if wanted and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) and wanted.startswith("/"):
        return wanted
    return resolve_url(fallback)


def see_other(location: str) -> HttpResponseRedirect:
    """303: after a POST, go on with a GET."""
    response = HttpResponseRedirect(location)
    response.status_code = 303
    return response


def origin_of(request: HttpRequest) -> str:
    """Scheme and host under which people reach the site."""
    return settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"
