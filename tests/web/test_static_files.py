"""Addresses of static files are Django's, worked out once."""

from __future__ import annotations

import re
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


# --- What modules import -----------------------------------------------------------------------------------------------


def collected(directory: Path, **files: str) -> StaticFiles:
    """A storage of these modules, collected."""
    storage = StaticFiles(location=str(directory), base_url="/static/")
    names = {name.replace("__", "/") + ".js": text for name, text in files.items()}
    for name, text in names.items():
        storage.save(name, ContentFile(text.encode()))
    for _, _, done in storage.post_process({name: (storage, name) for name in names}):
        assert not isinstance(done, Exception), done
    return storage


def test_all_that_a_module_imports_is_known_nearest_first_and_each_once(tmp_path: Path) -> None:
    storage = collected(
        tmp_path,
        likes__like='import { say } from "../web/say.js";\nimport {\n  ask,\n  send\n} from "../web/request.js";\n',
        web__say='import "./words.js";\n',
        web__request='export { words } from "./words.js";\n',
        web__words="export const words = 1;\n",
    )
    expected = [storage.url(f"web/{name}.js") for name in ("say", "request", "words")]
    assert [*storage.imports("likes/like.js")] == [*expected[:2], expected[2]]
    assert all(re.fullmatch(r"/static/web/\w+\.[0-9a-f]{12}\.js", address) for address in expected)
    assert storage.imports("web/words.js") == ()


def test_what_comes_later_or_never_is_not_named(tmp_path: Path) -> None:
    storage = collected(
        tmp_path,
        app="""\
/** @import { Words } from "./words.js" */
/** @typedef {import("./words.js").Words} Also */
// import "./words.js";
const path = "./words.js";
export const from = "./words.js";
button.onclick = () => import("./words.js");
""",
        words="",
    )
    assert storage.imports("app.js") == ()


def test_what_is_collected_anew_is_read_anew(tmp_path: Path) -> None:
    assert collected(tmp_path, app="", words="").imports("app.js") == ()
    for name in ("app.js", "words.js"):
        (tmp_path / name).unlink()
    storage = collected(tmp_path, app='import "./words.js";', words="")
    assert [*storage.imports("app.js")] == [storage.url("words.js")]
