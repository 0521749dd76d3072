"""People, follows, photos, likes and comments as ordinary tables, with the indexes that a feed needs."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, QuerySet


class PersonManager(BaseUserManager["Person"]):
    """Needed by `AUTH_USER_MODEL`."""


class Person(AbstractBaseUser):
    id = models.BigIntegerField(primary_key=True)
    username = models.CharField(max_length=30, unique=True)
    name = models.CharField(max_length=50)
    bio = models.CharField(max_length=300)
    joined = models.DateTimeField()

    objects: ClassVar[PersonManager] = PersonManager()

    USERNAME_FIELD = "username"


class Follow(models.Model):
    follower = models.ForeignKey(Person, models.CASCADE, related_name="follows", db_index=False)
    followee = models.ForeignKey(Person, models.CASCADE, related_name="followers")

    objects: ClassVar[models.Manager[Follow]] = models.Manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("follower", "followee"), name="follow_once"),)


class Photo(models.Model):
    id = models.BigIntegerField(primary_key=True)
    author = models.ForeignKey(Person, models.CASCADE, related_name="photos", db_index=False)
    picture = models.BigIntegerField()
    """The id under which its files are stored."""
    width = models.IntegerField()
    height = models.IntegerField()
    widths = ArrayField(models.IntegerField())
    blurhash = models.CharField(max_length=100)
    alt = models.TextField()
    caption = models.TextField()
    created = models.DateTimeField()
    like_count = models.IntegerField(default=0)
    comment_count = models.IntegerField(default=0)

    objects: ClassVar[models.Manager[Photo]] = models.Manager()

    class Meta:
        indexes = (
            models.Index(fields=("author", "-created", "-id"), name="photo_author_newest"),
            models.Index(fields=("-created", "-id"), name="photo_newest"),
        )


class Like(models.Model):
    person = models.ForeignKey(Person, models.CASCADE, related_name="likes", db_index=False)
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="likes")

    objects: ClassVar[models.Manager[Like]] = models.Manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("person", "photo"), name="like_once"),)


class Comment(models.Model):
    id = models.BigIntegerField(primary_key=True)
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="comments", db_index=False)
    author = models.ForeignKey(Person, models.CASCADE, related_name="comments")
    text = models.TextField()
    created = models.DateTimeField()

    objects: ClassVar[models.Manager[Comment]] = models.Manager()

    class Meta:
        indexes = (models.Index(fields=("photo", "-created", "-id"), name="comment_newest"),)


def home(person: int) -> QuerySet[Photo]:
    """Photos by those whom somebody follows and by themselves, newest first."""
    followees = Follow.objects.filter(follower=person).values("followee")
    return Photo.objects.filter(Q(author=person) | Q(author__in=followees)).order_by("-created", "-id")
