"""Addresses of static files, each worked out once: a page of the feed has fifty icons. And what a module imports."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.files.storage import storages

IMPORTS = re.compile(
    r"""^\s*(?:import|(?:import|export)\b[^"'`;()=]*\bfrom)\s*["'](\.{1,2}/[^"']+)["']""", re.MULTILINE
)
"""Of a module: what it cannot begin without. `import()` comes later, if at all; a type in a comment never."""


class StaticFiles(ManifestStaticFilesStorage):
    """Django's, which reads the manifest once a process and then parses and quotes each address at each use.

    The names are those that templates have, so there are few.
    """

    support_js_module_import_aggregation = True
    """Modules import each other by hashed names. A worker's address comes from the page: `new URL` is not rewritten."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._urls: dict[str, str] = {}
        self._imports: dict[str, tuple[str, ...]] = {}

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
        self._imports.clear()

    def hashed(self) -> list[Path]:
        """All that have a hash in their names, where they lie."""
        return [Path(self.path(name)) for name in sorted(set(self.hashed_files.values()))]

    def imports(self, name: str) -> tuple[str, ...]:
        """The addresses of all modules that this one imports, those that others of them import too, nearest first.

        The collected files are read for it, a few small ones once a process.
        """
        found = self._imports.get(name)
        if found is None:
            names = self._imported(name if settings.DEBUG else self.stored_name(name))
            assert self.base_url is not None, "STATIC_URL is set"
            found = self._imports[name] = tuple(self.base_url + quote(each) for each in names)
        return found

    def _imported(self, module: str) -> list[str]:
        """By stored names, in which modules import each other."""
        met = [module]
        for importer in met:  # grows while it is read
            with self.open(importer) as file:
                text = file.read().decode()
            names = (
                posixpath.normpath(posixpath.join(posixpath.dirname(importer), path))
                for path in IMPORTS.findall(text)
            )
            met += [name for name in dict.fromkeys(names) if name not in met]
        return met[1:]


def collected() -> StaticFiles:
    """The site's static files."""
    storage = storages["staticfiles"]
    assert isinstance(storage, StaticFiles)
    return storage
