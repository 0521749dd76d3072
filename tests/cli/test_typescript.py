"""The browser's modules are read by the real compiler."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calotype.cli import typescript

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One with the project's own settings and no modules."""
    for name in (*typescript.FILES, *typescript.PROJECTS):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def write(checkout: Path, path: str, text: str) -> None:
    file = checkout / "src/calotype/web/static/web" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_module_that_contradicts_its_types_is_named(checkout: Path) -> None:
    write(
        checkout,
        "page.js",
        "/** @param {number} n */\nexport const twice = (n) => n * 2;\ntwice('two');\nself.skipWaiting();\n",
    )
    ok, said = typescript.check(checkout)
    assert not ok
    assert "page.js(3,7): error TS2345" in said
    assert "page.js(4,6): error TS2339" in said, "that is a service worker's"


def test_workers_have_the_globals_of_workers(checkout: Path) -> None:
    write(checkout, "some.worker.js", "self.postMessage(1);\nexport const here = document;\n")
    ok, said = typescript.check(checkout)
    assert not ok
    assert "some.worker.js(2,21)" in said
    assert "some.worker.js(1" not in said


def test_sound_modules_and_none_at_all_pass(checkout: Path) -> None:
    assert typescript.check(checkout) == (True, "")
    write(checkout, "page.js", "/** @type {number} */\nexport const one = 1;\n")
    assert typescript.check(checkout) == (True, "")
