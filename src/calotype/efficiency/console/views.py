"""The pages. They are synchronous: they read files and add up, which no event loop should wait for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from calotype.efficiency.console import endpoints, records
from calotype.efficiency.console import overview as overviews
from calotype.efficiency.console.access import staff_only
from calotype.efficiency.console.history import History, history_of
from calotype.efficiency.console.profiles import profiles_page
from calotype.efficiency.console.windows import HOUR, WINDOWS, Window
from calotype.efficiency.dynostats.settings import told

NAME = 500
"""Characters of a name that somebody asks for: no more are compared, or said again."""


@require_safe
@staff_only
def overview(request: HttpRequest) -> HttpResponse:
    history, now, window = _history(), time.time(), _window(request)
    history.refresh(now)
    page = overviews.overview(history, now, window)
    return _page(request, "overview", {"page": page, "window": window})


@require_safe
@staff_only
def endpoint(request: HttpRequest) -> HttpResponse:
    history, now, window = _history(), time.time(), _window(request)
    history.refresh(now)
    name = request.GET.get("name", "")[:NAME]
    page = endpoints.endpoint_page(history, name, now, window)
    if page is None:
        return _gone(
            request,
            f"No request of {name} in the last day",
            "It may have been renamed, or nobody asked for it.",
        )
    return _page(request, "endpoint", {"page": page, "window": window})


@require_safe
@staff_only
def request(request: HttpRequest, digest: str) -> HttpResponse:
    history = _history()
    history.refresh(time.time())
    record = history.find(digest)
    if record is None:
        return _gone(
            request,
            "This request is not kept any longer",
            "The console keeps the slowest of the last hour, the latest that failed, and the latest of all.",
        )
    return _page(request, "request", {"page": records.page(record)})


@require_safe
@staff_only
def profiles(request: HttpRequest) -> HttpResponse:
    asked = [request.GET.get(name, "")[:NAME] for name in ("endpoint", "release", "clock", "before")]
    page = profiles_page(_directory() / "profiles", *asked)
    return render(request, "console/profiles.html", {"page": page})


def _directory() -> Path:
    return told().directory


def _history() -> History:
    return history_of(_directory())


def _window(request: HttpRequest) -> Window:
    return WINDOWS.get(request.GET.get("window", ""), HOUR)


def _page(request: HttpRequest, name: str, context: Mapping[str, Any]) -> HttpResponse:
    """The page, or with `?fragment` only what of it changes."""
    part = f"_{name}" if "fragment" in request.GET else name
    return render(request, f"console/{part}.html", {"windows": WINDOWS.values(), **context})


def _gone(request: HttpRequest, title: str, why: str) -> HttpResponse:
    return render(request, "console/gone.html", {"title": title, "why": why}, status=404)
