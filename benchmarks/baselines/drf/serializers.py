"""The shape of a Mastodon status, as the site that is measured has it."""

from __future__ import annotations

from typing import Any

from django.utils.html import escape
from rest_framework import serializers

from benchmarks.baselines.photos.models import Comment, Person, Photo

CONSTANT: dict[str, Any] = {
    "sensitive": False,
    "spoiler_text": "",
    "visibility": "public",
    "reblogs_count": 0,
    "reblogged": False,
    "in_reply_to_id": None,
    "in_reply_to_account_id": None,
    "reblog": None,
    "language": None,
    "mentions": [],
    "tags": [],
    "emojis": [],
}
"""Fields that say the same of every photo: added as they are, so that the baseline does not pay for them one by one."""


class AccountSerializer(serializers.ModelSerializer[Person]):  # type: ignore[misc]  # rest_framework has no types
    id = serializers.CharField()
    acct = serializers.CharField(source="username")
    display_name = serializers.CharField(source="name")
    note = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    avatar = serializers.ReadOnlyField(default="")
    avatar_static = serializers.ReadOnlyField(default="")
    created_at = serializers.DateTimeField(source="joined")

    class Meta:
        model = Person
        fields = (
            "id",
            "username",
            "acct",
            "display_name",
            "note",
            "url",
            "avatar",
            "avatar_static",
            "created_at",
        )

    def get_note(self, person: Person) -> str:
        return f"<p>{escape(person.bio)}</p>"

    def get_url(self, person: Person) -> str:
        return f"{self.context['origin']}/@{person.username}/"

    def to_representation(self, instance: Person) -> dict[str, Any]:
        return {**super().to_representation(instance), "locked": False, "bot": False}


class CommentSerializer(serializers.ModelSerializer[Comment]):  # type: ignore[misc]  # rest_framework has no types
    id = serializers.CharField()
    created_at = serializers.DateTimeField(source="created")
    username = serializers.CharField(source="author.username")
    content = serializers.SerializerMethodField()

    class Meta:
        model = Comment
        fields = ("id", "created_at", "username", "content")

    def get_content(self, comment: Comment) -> str:
        return f"<p>{escape(comment.text)}</p>"


class PhotoSerializer(serializers.ModelSerializer[Photo]):  # type: ignore[misc]  # rest_framework has no types
    id = serializers.CharField()
    created_at = serializers.DateTimeField(source="created")
    uri = serializers.SerializerMethodField(method_name="get_url")
    url = serializers.SerializerMethodField()
    account = AccountSerializer(source="author")
    content = serializers.SerializerMethodField()
    media_attachments = serializers.SerializerMethodField()
    favourites_count = serializers.IntegerField()
    replies_count = serializers.IntegerField()
    favourited = serializers.BooleanField()
    comments = CommentSerializer(source="last_comments", many=True)

    class Meta:
        model = Photo
        fields = (
            "id",
            "created_at",
            "uri",
            "url",
            "account",
            "content",
            "media_attachments",
            "favourites_count",
            "replies_count",
            "favourited",
            "comments",
        )

    def get_url(self, photo: Photo) -> str:
        return f"{self.context['origin']}/p/{photo.id}/"

    def get_content(self, photo: Photo) -> str:
        return f"<p>{escape(photo.caption)}</p>"

    def get_media_attachments(self, photo: Photo) -> list[dict[str, Any]]:
        small = next((width for width in photo.widths if width >= 640), photo.widths[-1])
        address = f"{self.context['origin']}/media/{photo.id}/{photo.picture}"
        return [
            {
                "id": str(photo.picture),
                "url": f"{address}/{photo.widths[-1]}.jpeg",
                "preview_url": f"{address}/{small}.jpeg",
                "description": photo.alt or None,
                "blurhash": photo.blurhash,
                "meta": {"original": _size(photo, photo.widths[-1]), "small": _size(photo, small)},
                "type": "image",
                "remote_url": None,
            }
        ]

    def to_representation(self, instance: Photo) -> dict[str, Any]:
        return {**super().to_representation(instance), **CONSTANT}


def _size(photo: Photo, width: int) -> dict[str, Any]:
    height = max(1, round(photo.height * width / photo.width))
    return {"width": width, "height": height, "size": f"{width}x{height}", "aspect": round(width / height, 4)}
