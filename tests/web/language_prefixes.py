"""Addresses that begin with a language, for `test_native`."""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.http import HttpRequest, HttpResponse
from django.urls import path


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = i18n_patterns(path("", view), prefix_default_language=False)
