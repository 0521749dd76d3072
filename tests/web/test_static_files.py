"""Addresses of static files are Django's, worked out once."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, staticfiles_storage
from django.core.files.base import ContentFile
from django.test import override_settings

from calotype.web.site import Site
from calotype.web.static_files import StaticFiles


def test_the_site_has_them_under_django_s_addresses(web_site: Site) -> None:
    assert isinstance(staticfiles_storage, StaticFiles)
    django_s = ManifestStaticFilesStorage()
    for name in ("web/icons.svg", "web/icons.svg#heart", "web/look.css"):
        for _ in range(2):
            assert staticfiles_storage.url(name) == django_s.url(name)
    with override_settings(DEBUG=True):
        assert staticfiles_storage.url("web/icons.svg") == "/static/web/icons.svg"
        assert staticfiles_storage.url("web/icons.svg", force=True) == django_s.url(
            "web/icons.svg", force=True
        )


def test_an_address_is_worked_out_once(web_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    original = ManifestStaticFilesStorage.url

    def url(self: ManifestStaticFilesStorage, name: str, force: bool = False) -> str:
        asked.append(name)
        return original(self, name, force)

    monkeypatch.setattr(ManifestStaticFilesStorage, "url", url)
    storage = StaticFiles()
    assert len({storage.url("web/icons.svg") for _ in range(3)}) == 1
    assert asked == ["web/icons.svg"]


def test_what_is_collected_anew_has_its_new_address(tmp_path: Path) -> None:
    storage = StaticFiles(location=str(tmp_path), base_url="/static/")
    addresses = []
    for content in (b"one", b"two"):
        storage.delete("a.txt")
        storage.save("a.txt", ContentFile(content))
        assert all(
            not isinstance(done, Exception)
            for _, _, done in storage.post_process({"a.txt": (storage, "a.txt")})
        )
        addresses.append(storage.url("a.txt"))
    assert addresses[0] != addresses[1]


def test_a_file_that_is_not_there_is_missed_each_time(web_site: Site) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="Missing staticfiles manifest entry"):
            staticfiles_storage.url("web/nothing.svg")
