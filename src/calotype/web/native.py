"""Django's own middleware, run on the event loop.

`MiddlewareMixin` sends `process_request` and `process_response` to a thread although most of them only compute. Each
class here is one that was read and found not to block; the subclass runs the same code in place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.contrib.messages.middleware import MessageMiddleware
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponsePermanentRedirect
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.locale import LocaleMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

from calotype.web.request import SiteRequest

GetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class Native(MiddlewareMixin):
    """Mixed in before a Django middleware, runs it without threads."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase | None = None
        if hasattr(self, "process_request"):
            response = self.process_request(request)
        if response is None:
            response = await cast(GetResponse, self.get_response)(request)
        if hasattr(self, "process_response"):
            response = self.process_response(request, response)
        return cast(HttpResponseBase, response)


class SecurityHeaders(SecurityMiddleware):
    """Redirects to HTTPS, and the headers of three of Django's middlewares: `SecurityMiddleware` (HSTS, `nosniff`,
    referrers, openers), `ContentSecurityPolicyMiddleware` and `XFrameOptionsMiddleware`.

    They depend on nothing but whether the request came by HTTPS, so Django is asked for them once. A view that sets one
    of them itself is heard; decorators that change the policy for one view are not.
    """

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self._headers = {secure: _security_headers(secure=secure) for secure in (False, True)}

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase | None = self.process_request(request) if self.redirect else None
        if response is None:
            response = await cast(GetResponse, self.get_response)(request)
        headers = response.headers
        for name, value in self._headers[request.is_secure()].items():
            headers.setdefault(name, value)
        return response


class _Https(HttpRequest):
    @property
    def scheme(self) -> str:
        return "https"


def _security_headers(*, secure: bool) -> dict[str, str]:
    """What Django's three middlewares say to a request."""
    request, response = (_Https() if secure else HttpRequest()), HttpResponse()
    del response["Content-Type"]
    for middleware in (SecurityMiddleware, ContentSecurityPolicyMiddleware, XFrameOptionsMiddleware):
        middleware(lambda _: response).process_response(request, response)
    return dict(response.items())


class Locale(Native, LocaleMiddleware):
    """The language that a cookie says its owner has chosen (`web.languages`), else the one that the browser asks for.

    Django looks twice a request whether the path begins with the code of a language. That means something only for
    addresses made by `i18n_patterns`: a site that has some gets all of Django's.
    """

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        in_paths, _ = is_language_prefix_patterns_used(getattr(request, "urlconf", settings.ROOT_URLCONF))
        if in_paths:
            return await super().__acall__(request)
        translation.activate(translation.get_language_from_request(request))
        request.LANGUAGE_CODE = translation.get_language()
        response = await cast(GetResponse, self.get_response)(request)
        if has_words(response):
            patch_vary_headers(response, ("Accept-Language", "Cookie"))
            response.headers.setdefault("Content-Language", translation.get_language())
        return response


def has_words(response: HttpResponseBase) -> bool:
    """Whether it is told in a language. A photograph is not: a browser may keep it whatever its cookies become."""
    return not response.headers.get("Content-Type", "image/").startswith("image/")


class Common(Native, CommonMiddleware):
    """Forbidden user agents, `APPEND_SLASH`, Content-Length."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            return await super().__acall__(request)
        except Http404:
            if request.method in ("GET", "HEAD") and self.should_redirect_with_slash(request):
                return HttpResponsePermanentRedirect(self.get_full_path_with_slash(request))
            raise


class Messages(Native, MessageMiddleware):
    """One-time notes, kept in a signed cookie."""


class Csrf(Native, CsrfViewMiddleware):
    """Refuses forms that were not made here. The token is in a cookie, so no session is read for it."""

    async def process_view(  # type: ignore[override]  # the same, as a coroutine, so that Django leaves it on the loop
        self,
        request: HttpRequest,
        view: Callable[..., Any],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> HttpResponseBase | None:
        if isinstance(request, SiteRequest) and request.method == "POST":
            await request.parse_form()  # the token is in the form
        return super().process_view(request, view, args, kwargs)
