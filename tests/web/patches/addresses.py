"""Addresses that depend on the language, for `test_addresses`."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.utils.functional import lazy
from django.utils.translation import get_language


def view(request: HttpRequest, **_: object) -> HttpResponse:
    return HttpResponse()


def word() -> str:
    return {"fr": "accueil/"}.get(get_language() or "", "home/")


lazy_word = lazy(word, str)

urlpatterns = [
    path(lazy_word(), view, name="translated"),
    path("with/", view, {"more": [1]}, name="with_more"),
    path("one/<str:text>/", view, name="one"),
    path("//<path:text>", view, name="slashes"),
    re_path(r"^either/(?:(?P<number>[0-9]+)/)?$", view, name="either"),
    path("sub/<int:number>/", include([path("deep/<slug:word>/", view, name="deep")])),
    path("space/", include(([path("inside/<int:number>/", view, name="inside")], "app"), namespace="space")),
]
