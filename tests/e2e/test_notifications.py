"""The page of notifications in a browser: earlier ones come by themselves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from calotype.config.site import read
from calotype.product.notifications.types import ACTIVITY
from tests.e2e.axe import violations
from tests.e2e.conftest import UPLOADER, NewBrowser, SessionOf
from tests.running_site import SOURCE, RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

POSTS, COMMENTS = 5, 28
MANY = POSTS * COMMENTS
"""More than one page of notes."""

PAGE = 100

SAY_MUCH = """
import asyncio, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "calotype.config.settings"
import django
django.setup(set_prefix=False)
from django.conf import settings
from calotype.config.wiring import open_site
from calotype.infra.ids import shard_of
from calotype.product.accounts.queries import named
from calotype.product.comments import actions as comments
from calotype.product.photos.types import POSTED, Post, posted_at

async def run(username, posts, many):
    async with open_site(settings.SITE, settings.DATA) as site:
        graph = site.graph
        author, mara = await named(graph, username), await named(graph, "mara")
        (some,) = await graph.assoc_range(POSTED, mara.id, 0, 1)
        photos = (await graph.obj_get(Post, some.id2)).data.photos
        for _ in range(posts):
            post = await graph.obj_add(Post(author.id, photos, borrowed=True), shard=shard_of(author.id))
            await graph.assoc_add(POSTED, author.id, post.id, time=posted_at(post))
            for n in range(many):
                await comments.add(graph, mara.id, post.id, f"Thought {n}")

asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


@pytest.fixture(scope="module")
def much_said(chromium: Browser, site: RunningSite, session_of: SessionOf) -> None:
    """After they have looked for the first time, and until they have been told of everything: what they had before is found
    by a job, and of what comes each is told by another."""
    context = chromium.new_context(base_url=site.url, storage_state=session_of(UPLOADER))
    page = context.new_page()
    page.goto("/notifications/")
    owner = int(page.evaluate("document.body.dataset.account"))
    context.close()
    say_much(site, POSTS, COMMENTS)
    until = time.monotonic() + 60
    while (told := entries_of(site, owner)) < MANY:
        assert time.monotonic() < until, f"told of {told} of {MANY}"
        time.sleep(0.1)


def entries_of(site: RunningSite, owner: int) -> int:
    found = 0
    for dsn in read(site.data).servers.values():
        with psycopg.connect(dsn) as connection:
            row = connection.execute(
                "select count(*) from calotype.timelines where owner = %s and kind = %s", (owner, ACTIVITY)
            ).fetchone()
            assert row is not None
            found += row[0]
    return found


def say_much(site: RunningSite, posts: int, comments: int) -> None:
    """Mara says something under posts of the uploader; by a process beside the site's own."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", SAY_MUCH, UPLOADER, str(posts), str(comments)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "CALOTYPE_DATA": str(site.data)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def page(new_browser: NewBrowser, much_said: None) -> Page:
    page = new_browser(390).new_page()
    page.goto("/notifications/")
    return page


def thoughts(page: Page) -> set[tuple[str, str]]:
    """The posts and words that notes are about."""
    found = page.locator(".event").evaluate_all(
        "all => all.map(each => [each.querySelector('.said a').pathname, each.querySelector('.event-words').innerText])"
    )
    return {(str(path), str(words)) for path, words in found}


def test_earlier_notifications_come_when_their_end_is_scrolled_to(page: Page) -> None:
    first = page.locator(".event").count()
    weights = page.locator(".event bdi").evaluate_all(
        "all => all.map(each => getComputedStyle(each).fontWeight)"
    )
    assert weights[:2] == ["650", "400"], "whose words they are is bold, and not the words"
    page.mouse.wheel(0, 400)
    page.wait_for_timeout(300)
    assert page.locator(".event").count() == first, "not before they are near"
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator(".event").nth(MANY - 1)).to_be_attached()
    expect(page.locator("[data-say][aria-live]")).to_have_text(re.compile(r"^\d+ earlier notifications$"))
    expect(page.get_by_role("link", name="Earlier")).to_have_count(0)
    page.wait_for_url(re.compile("/notifications/$"))
    assert page.locator(".event").count() == len(thoughts(page)) == MANY
    assert violations(page) == []


def test_earlier_notifications_that_do_not_come_can_be_asked_for(page: Page) -> None:
    page.route("**/notifications/?before=*", lambda route: route.abort())
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.get_by_role("alert")).to_contain_text("That did not work")
    page.unroute("**/notifications/?before=*")
    page.get_by_role("link", name="Earlier").press("Enter")
    expect(page.locator(".event").nth(MANY - 1)).to_be_attached()
    assert (
        page.evaluate(
            "[...document.querySelectorAll('.event')].indexOf(document.activeElement.closest('.event'))"
        )
        >= PAGE
    )


def test_what_came_from_below_stays_when_new_ones_are_shown(page: Page, site: RunningSite) -> None:
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator(".event").nth(MANY - 1)).to_be_attached()
    before = thoughts(page)
    say_much(site, posts=1, comments=1)
    page.get_by_role("button", name="Show 1 new notification").click(timeout=20_000)
    expect(page.locator(".event")).to_have_count(MANY + 1)
    assert before < thoughts(page)
