"""What the feed makes a browser load stays small: the sum is of what would go over the wire, with brotli."""

from __future__ import annotations

import posixpath
import re

import brotli
from django.conf import settings

from tests.web_fixtures import Someone

SCRIPT_BYTES, STYLE_BYTES = 40_000, 16_000

MODULE = re.compile(r'<(?:script type="module" src|link rel="modulepreload" href)="/static/([^"]+)"')
STYLE = re.compile(r'<link rel="stylesheet" href="/static/([^"]+)"')


def weights(names: list[str]) -> dict[str, int]:
    return {name: len(brotli.compress((settings.STATIC_ROOT / name).read_bytes())) for name in names}


async def test_the_feed_s_modules_are_at_most_40_kb(ann: Someone) -> None:
    await ann.post_one()
    loaded = weights(MODULE.findall((await ann.browser.get("/")).text))
    assert any(name.startswith("web/app.") for name in loaded)
    assert sum(loaded.values()) <= SCRIPT_BYTES, loaded


async def test_the_feed_s_stylesheets_are_at_most_16_kb(ann: Someone) -> None:
    loaded = weights(STYLE.findall((await ann.browser.get("/")).text))
    assert len(loaded) == 1, "one request"
    assert sum(loaded.values()) <= STYLE_BYTES, loaded


async def test_a_page_names_all_that_its_modules_import_and_each_once(ann: Someone) -> None:
    """So a browser asks for everything at once, however deep the imports go."""
    named = MODULE.findall((await ann.browser.get("/")).text)
    assert len(named) == len(set(named))
    for name in named:
        text = (settings.STATIC_ROOT / name).read_text()
        for imported in re.findall(r'^import [^"\']*["\'](\.[^"\']+)["\']', text, re.MULTILINE):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), imported))
            assert path in named, f"{name} imports {imported}"
