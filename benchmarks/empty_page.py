"""The addresses of the site and one more, whose page is empty: all that it costs is the handler and its middleware."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.pages import EMPTY, PATHS
from calotype.config import urls
from calotype.config.urls import handler400, handler403, handler404

__all__ = ["handler400", "handler403", "handler404", "urlpatterns"]


async def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"")


urlpatterns = [*urls.urlpatterns, path(PATHS[EMPTY][1:], empty, name="empty")]
