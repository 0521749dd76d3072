"""What makes the site an app: its manifest, its service worker, the page for when there is no connection, and the share target."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import get_language, get_language_bidi
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from calotype.web.pages import rendered, see_other
from calotype.web.request import SiteRequest

LIGHT, DARK = "#fbfaf7", "#12110f"
"""`--paper` of look.css in either theme."""

ICONS = (("web/icon-192.png", "192x192", "any"), ("web/icon-512.png", "512x512", "any"))
MASKABLE = ("web/icon-maskable-512.png", "512x512", "maskable")

PRECACHED = (
    "web/look.css",
    "web/offline_page.js",
    "web/icons.svg",
    "web/brand.svg",
    "web/favicon.svg",
)
"""What the page for offline needs. What other pages need is kept as they load it."""

WORKERS = ("offline.worker.js", "share.worker.js", "outbox.worker.js")
WITHDRAWN = ("withdrawn.worker.js",)
VERSION_DIGITS = 16


def worker_path() -> str:
    """Where pages find the service worker; empty if the site has none."""
    return reverse("service_worker") if settings.OFFLINE else ""


@require_safe
async def manifest(request: SiteRequest) -> HttpResponse:
    """What a device shows of the site once it is installed there, in the language of who asks."""
    document: dict[str, Any] = {
        "id": "/",
        "name": "Calotype",
        "short_name": "Calotype",
        "description": _("Photographs, and the people who make them."),
        "lang": get_language(),
        "dir": "rtl" if get_language_bidi() else "ltr",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "categories": ["photo", "social"],
        "background_color": LIGHT,
        "theme_color": LIGHT,
        "color_scheme_dark": {"background_color": DARK, "theme_color": DARK},
        "icons": [_icon(*icon) for icon in (*ICONS, MASKABLE)],
        "shortcuts": [
            {"name": _("New post"), "url": reverse("new"), "icons": [_icon(*ICONS[0])]},
            {"name": _("Notifications"), "url": reverse("notifications"), "icons": [_icon(*ICONS[0])]},
        ],
        "share_target": {
            "action": reverse("share"),
            "method": "POST",
            "enctype": "multipart/form-data",
            "params": {"files": [{"name": "photos", "accept": ["image/*", ".heic", ".heif"]}]},
        },
    }
    response = HttpResponse(msgspec.json.encode(document), content_type="application/manifest+json")
    response["Cache-Control"] = "no-cache"
    return response


def _icon(name: str, sizes: str, purpose: str) -> dict[str, str]:
    return {"src": static(name), "sizes": sizes, "type": "image/png", "purpose": purpose}


@require_safe
async def service_worker(request: SiteRequest) -> HttpResponse:
    """The worker with what it has to know of this release. Each release is another script, so browsers notice it."""
    text = _text(WORKERS if settings.OFFLINE else WITHDRAWN)
    precached = [reverse("offline"), *(static(name) for name in PRECACHED)] if settings.OFFLINE else []
    told = {"version": _version(str(settings.DYNOSTATS["release"]), text, *precached), "precached": precached}
    response = HttpResponse(
        f'"use strict";\nself.calotype = {msgspec.json.encode(told).decode()};\n{text}',
        content_type="text/javascript; charset=utf-8",
    )
    response["Cache-Control"] = "no-cache"
    return response


@functools.cache
def _text(names: tuple[str, ...]) -> str:
    """These scripts, each in a block: what it declares is its own."""
    texts = [(Path(__file__).parent / "static/web" / name).read_text(encoding="utf-8") for name in names]
    return "\n".join(f"{{\n{text}}}" for text in texts)


def _version(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:VERSION_DIGITS]


@require_safe
async def offline(request: SiteRequest) -> HttpResponse:
    """Kept by the worker and shown for pages that it does not have: the same for everybody, so it names nobody."""
    response = HttpResponse(rendered("web/offline.html", {}, request))
    response["Cache-Control"] = "no-cache"
    return response


@csrf_exempt  # the device sends it, and it changes nothing
@require_http_methods(["GET", "HEAD", "POST"])
async def share(request: SiteRequest) -> HttpResponse:
    """Photographs that another app shares with this one. The service worker takes them before they come here; a browser
    without it is sent to where they can be chosen."""
    messages.info(request, _("What you shared could not be handed over. Choose the photos here."))
    return see_other(reverse("new"))
