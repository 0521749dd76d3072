from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path

from benchmarks.baselines.tools.settings import TOOL
from benchmarks.baselines.tuned.views import home_read


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"")


urlpatterns: list[URLPattern | URLResolver] = [path("api/v1/timelines/home", home_read), path("empty", empty)]
if TOOL == "django-silk":
    urlpatterns.append(path("silk/", include("silk.urls", namespace="silk")))
