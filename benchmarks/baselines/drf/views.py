"""`GET /api/v1/timelines/home`: four statements, of which two are the session and its account."""

from __future__ import annotations

from django.db.models import Count, Exists, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks.baselines.drf.serializers import PhotoSerializer
from benchmarks.baselines.photos.models import Comment, Like, Photo, home

PAGE = 20
COMMENTS_SHOWN = 2


class Home(APIView):  # type: ignore[misc]  # rest_framework has no types
    def get(self, request: Request) -> Response:
        photos = list(_page(request.user.id))
        shown = photos[:PAGE]
        for photo in shown:
            photo.last_comments.reverse()  # type: ignore[attr-defined]  # `to_attr` of the prefetch
        origin = request.build_absolute_uri("/")[:-1]
        response = Response(PhotoSerializer(shown, many=True, context={"origin": origin}).data)
        if len(photos) > PAGE:
            response["Link"] = f'<{origin}{request.path}?max_id={shown[-1].id}>; rel="next"'
        return response


def _page(person: int) -> QuerySet[Photo]:
    """A page and the one behind it, with everything that the serializers touch."""
    likes = Like.objects.filter(photo=OuterRef("id")).order_by().values("photo")
    comments = Comment.objects.filter(photo=OuterRef("id")).order_by().values("photo")
    last = Comment.objects.select_related("author").order_by("-created", "-id")[:COMMENTS_SHOWN]
    photos: QuerySet[Photo] = (
        home(person)
        .select_related("author")
        .annotate(
            favourites_count=Coalesce(Subquery(likes.annotate(amount=Count("id")).values("amount")), 0),
            replies_count=Coalesce(Subquery(comments.annotate(amount=Count("id")).values("amount")), 0),
            favourited=Exists(Like.objects.filter(person=person, photo=OuterRef("id"))),
        )
        .prefetch_related(Prefetch("comments", last, to_attr="last_comments"))[: PAGE + 1]
    )
    return photos
