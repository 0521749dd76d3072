"""The tables of the alias `sessions`."""

from __future__ import annotations

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models


class Session(AbstractBaseSession):
    account_id = models.BigIntegerField(null=True, db_index=True)

    class Meta:
        verbose_name = "session"
        verbose_name_plural = "sessions"

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        from calotype.web.sessions import SessionStore

        return SessionStore


class Attempts(models.Model):
    """How often something that is limited was tried, by a window of time; written by `web.rate_limits`."""

    key = models.CharField(max_length=200)
    window = models.BigIntegerField()
    count = models.IntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("key", "window"), name="web_attempts_once"),)
