"""`GET /api/v1/timelines/home` without serializers: two statements, or one and a multi-get of memcached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from django.db.models import Exists, F, OuterRef, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest, HttpResponse

from benchmarks.baselines.photos.models import Comment, Like, Photo, home
from benchmarks.baselines.tuned import cache
from benchmarks.baselines.tuned.statuses import comment, status

PAGE = 20
COMMENTS_SHOWN = 2

FIELDS = (
    "id",
    "created",
    "caption",
    "picture",
    "width",
    "height",
    "widths",
    "blurhash",
    "alt",
    "like_count",
    "comment_count",
    "author_id",
    "author__username",
    "author__name",
    "author__bio",
    "author__joined",
)


def home_read(request: HttpRequest) -> HttpResponse:
    """Everything from PostgreSQL."""
    me = _me(request)
    liked = Exists(Like.objects.filter(person=me, photo=OuterRef("id")))
    rows = list(home(me).annotate(liked=liked).values_list(*FIELDS, "liked")[: PAGE + 1])
    origin = _origin(request)
    said = _last_comments([row[0] for row in rows[:PAGE]])
    statuses = []
    for row in rows[:PAGE]:
        shown = status(row, origin)
        shown["favourites_count"], shown["replies_count"] = row[9], row[10]
        shown["favourited"] = row[-1]
        shown["comments"] = said.get(row[0], [])
        statuses.append(shown)
    return _answer(request, statuses, more=len(rows) > PAGE)


def home_cached(request: HttpRequest) -> HttpResponse:
    """Which photos and which of them I like from PostgreSQL, all the rest from memcached."""
    me = _me(request)
    liked = Exists(Like.objects.filter(person=me, photo=OuterRef("id")))
    rows = list(home(me).annotate(liked=liked).values_list("id", "liked")[: PAGE + 1])
    shown = rows[:PAGE]
    found = cache.get(
        [f"{kind}{id_}" for id_, _ in shown for kind in (cache.PHOTO, cache.COUNTS, cache.COMMENTS)]
    )
    missing = [id_ for id_, _ in shown if f"{cache.PHOTO}{id_}" not in found]
    if missing:
        found |= _fill(missing, _origin(request))
    statuses = []
    for id_, mine in shown:
        one = found[f"{cache.PHOTO}{id_}"]
        one["favourites_count"], one["replies_count"] = found[f"{cache.COUNTS}{id_}"]
        one["favourited"] = mine
        one["comments"] = found[f"{cache.COMMENTS}{id_}"]
        statuses.append(one)
    return _answer(request, statuses, more=len(rows) > PAGE)


def _fill(ids: Sequence[int], origin: str) -> dict[str, Any]:
    """Read what memcached has not, and store it there. (Nothing here changes while it is measured: no invalidation.)"""
    said = _last_comments(ids)
    filled: dict[str, Any] = {}
    for row in Photo.objects.filter(id__in=ids).values_list(*FIELDS):
        filled[f"{cache.PHOTO}{row[0]}"] = status(row, origin)
        filled[f"{cache.COUNTS}{row[0]}"] = (row[9], row[10])
        filled[f"{cache.COMMENTS}{row[0]}"] = said.get(row[0], [])
    cache.put(filled)
    return filled


def _last_comments(photos: Iterable[int]) -> dict[int, list[dict[str, Any]]]:
    """The last two comments under each photo, oldest of them first."""
    newest = Window(RowNumber(), partition_by=F("photo_id"), order_by=(F("created").desc(), F("id").desc()))
    rows = (
        Comment.objects.filter(photo__in=list(photos))
        .annotate(place=newest)
        .filter(place__lte=COMMENTS_SHOWN)
        .order_by("photo_id", "-place")
        .values_list("photo_id", "id", "created", "author__username", "text")
    )
    said: dict[int, list[dict[str, Any]]] = {}
    for photo, *rest in rows:
        said.setdefault(photo, []).append(comment(*rest))
    return said


def _me(request: HttpRequest) -> int:
    return int(request.get_signed_cookie("person") or 0)


def _origin(request: HttpRequest) -> str:
    return f"http://{request.META['HTTP_HOST']}"


def _answer(request: HttpRequest, statuses: list[dict[str, Any]], *, more: bool) -> HttpResponse:
    response = HttpResponse(orjson.dumps(statuses), content_type="application/json")
    response["Content-Length"] = str(len(response.content))
    if more:
        address = _origin(request) + request.path
        response["Link"] = f'<{address}?max_id={statuses[-1]["id"]}>; rel="next"'
    return response
