"""Django's middleware on the loop does what Django's middleware does."""

from __future__ import annotations

from typing import Any, cast

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.test import RequestFactory, override_settings
from django.utils import translation

from calotype.web.native import GetResponse, Locale

LANGUAGES = [("en", "English"), ("fr", "French"), ("pt-br", "Brazilian")]

ASKED: list[dict[str, Any]] = [
    {},
    {"HTTP_ACCEPT_LANGUAGE": "fr"},
    {"HTTP_ACCEPT_LANGUAGE": "xx, fr;q=0.5, en;q=0.1"},
    {"HTTP_ACCEPT_LANGUAGE": "pt"},
    {"HTTP_ACCEPT_LANGUAGE": "*"},
    {"HTTP_ACCEPT_LANGUAGE": ";;,\x00"},
    {"HTTP_COOKIE": "language=fr", "HTTP_ACCEPT_LANGUAGE": "en"},
    {"HTTP_COOKIE": "language=nothing"},
]


def answered() -> HttpResponse:
    response = HttpResponse(translation.gettext("Yes"))
    response["Vary"] = "Cookie"
    return response


@pytest.mark.parametrize("urls", ["calotype.config.urls", "tests.web.language_prefixes"])
@pytest.mark.parametrize("path", ["/", "/fr/", "/api/v1/timelines/home"])
@pytest.mark.parametrize("asked", ASKED, ids=[str(at) for at in range(len(ASKED))])
async def test_the_language_of_a_page_is_the_one_that_django_chooses(
    asked: dict[str, Any], path: str, urls: str
) -> None:
    async def on_the_loop(request: HttpRequest) -> HttpResponseBase:
        return answered()

    with override_settings(LANGUAGES=LANGUAGES, ROOT_URLCONF=urls), translation.override("en"):
        theirs_request, request = (RequestFactory(**asked).get(path) for _ in range(2))
        theirs = LocaleMiddleware(lambda _: answered())(theirs_request)
        ours = await cast(GetResponse, Locale(on_the_loop))(request)
        assert isinstance(theirs, HttpResponse)
        assert isinstance(ours, HttpResponse)
        assert ours.headers.items() == theirs.headers.items()
        assert ours.content == theirs.content
        assert request.LANGUAGE_CODE == theirs_request.LANGUAGE_CODE
