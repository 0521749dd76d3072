"""That what a request has made goes with it, and need not wait for the garbage collector: pages hold hundreds of objects, and
a collection of fifty thousand holds up everybody on the loop for as many microseconds."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator

import pytest
from django.template import Context

from calotype.web.request import SiteRequest
from tests.web_fixtures import Someone


@pytest.fixture
def collected() -> Iterator[Counter[str]]:
    """How many of each type that belong to requests a collection has found, once it is asked for."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield found
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def collect(found: Counter[str]) -> Counter[str]:
    gc.collect()
    found.update(type(each).__name__ for each in gc.garbage if isinstance(each, SiteRequest | Context))
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1/timelines/home",
        "/@{bob}/",
        "/p/{post}/",
        "/people/",
        "/explore/",
        "/notifications/",
        "/settings/profile/",
        "/nothing/here/",
        "/healthz",
    ],
)
async def test_a_page_leaves_nothing_of_its_request(
    ann: Someone, bob: Someone, path: str, collected: Counter[str]
) -> None:
    post = await bob.post_one()
    await ann.browser.post(f"/@{bob.username}/follow/")
    await ann.browser.get(path.format(bob=bob.username, post=post))
    assert collect(collected) == Counter()


async def test_a_note_is_shown_once_and_leaves_nothing(ann: Someone, collected: Counter[str]) -> None:
    saved = await ann.browser.post("/language/", {"language": "de", "next": "/settings/language/"})
    assert saved.status == 303
    assert "Deine Sprache ist gespeichert." in (await ann.browser.get("/settings/language/")).text
    assert "Deine Sprache ist gespeichert." not in (await ann.browser.get("/settings/language/")).text
    assert collect(collected) == Counter()
