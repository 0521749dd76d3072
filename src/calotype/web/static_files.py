"""Addresses of static files, each worked out once: a page of the feed has fifty icons."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class StaticFiles(ManifestStaticFilesStorage):
    """Django's, which reads the manifest once a process and then parses and quotes each address at each use.

    The names are those that templates have, so there are few.
    """

    support_js_module_import_aggregation = True
    """Modules import each other by hashed names. A worker's address comes from the page: `new URL` is not rewritten."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._urls: dict[str, str] = {}

    def url(self, name: str | None, force: bool = False) -> str:
        if name is None or force or settings.DEBUG:
            return super().url(name, force)  # type: ignore[arg-type]  # its two parents disagree on None
        found = self._urls.get(name)
        if found is None:
            found = self._urls[name] = super().url(name)
        return found

    def save_manifest(self) -> None:
        super().save_manifest()
        self._urls.clear()
