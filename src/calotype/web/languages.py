"""The language that somebody chose: kept in a cookie, so that a page is drawn in it without reading anything.

Who has chosen none gets what their browser asks for, as far as the site speaks it (`web.native.Locale`).
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation

Language = tuple[str, str]
"""(code, name in the language itself)"""


def offered() -> list[Language]:
    """The languages that a person may choose: all but the one for tests."""
    return [(code, name) for code, name in settings.LANGUAGES if code != settings.PSEUDO_LANGUAGE]


def chosen(request: HttpRequest) -> str:
    """What whoever asks has chosen in this browser; empty for nothing, or for a language that is gone."""
    language = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    return language if language in dict(settings.LANGUAGES) else ""


def speak(request: HttpRequest, language: str) -> None:
    """Answer this request in a language; empty: in the one that the browser asks for."""
    request.COOKIES[settings.LANGUAGE_COOKIE_NAME] = language
    translation.activate(translation.get_language_from_request(request))


def remember(response: HttpResponseBase, language: str) -> None:
    """Have this browser ask for pages in a language from now on; empty: as its own settings say."""
    name, path, domain = (
        settings.LANGUAGE_COOKIE_NAME,
        settings.LANGUAGE_COOKIE_PATH,
        settings.LANGUAGE_COOKIE_DOMAIN,
    )
    if not language:
        response.delete_cookie(name, path, domain, samesite="Lax")
        return
    response.set_cookie(
        name,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        path=path,
        domain=domain,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
    )
