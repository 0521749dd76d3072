"""The site without a connection, and what is left of a person after it: nothing once they have logged out."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, StorageState, expect

from tests.e2e.conftest import NewContext, OpenPage
from tests.e2e.offline import (
    everything_kept,
    expect_waiting,
    pages_kept,
    unsent,
    wait_until,
    wait_until_kept,
)
from tests.e2e.uploading import CHUNKS, choose, photo
from tests.e2e.way import Way, way_to
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

FORGOTTEN = {"calotype-1-pages", "calotype-1-images", "calotype-1-owner", "calotype-shared"}


def test_the_last_feed_is_there_offline_with_its_photos(jans: Page) -> None:
    jans.context.set_offline(True)
    jans.reload()
    expect(jans.get_by_text("Contemplative cat!").first).to_be_visible()
    expect(jans.locator("[data-offline]")).to_contain_text("Kept on this device: as of")
    first = jans.locator("article img").first
    assert jans.evaluate("(img) => img.decode().then(() => img.naturalWidth)", first.element_handle()) > 0
    assert jans.evaluate("getComputedStyle(document.querySelector('.tabs')).display") != "inline"


def test_posts_and_profiles_seen_lately_are_there_and_settings_never(jans: Page) -> None:
    post = jans.locator('article a[href^="/p/"]').first.get_attribute("href")
    assert post
    for path in (post, "/@mara/", "/settings/profile/", "/notifications/"):
        jans.goto(path)
    wait_until_kept(jans, "/@mara/")
    jans.context.set_offline(True)
    for path in (post, "/@mara/"):
        jans.goto(path)
        expect(jans.locator("[data-offline]")).to_contain_text("Kept on this device")
    for path in ("/settings/profile/", "/notifications/", "/?before=1"):
        jans.goto(path)
        expect(jans.get_by_role("heading", name="You are offline")).to_be_visible()


def test_a_page_that_is_not_there_says_what_is_and_comes_back_with_the_connection(jans: Page) -> None:
    jans.context.set_offline(True)
    jans.goto("/people/")
    expect(jans.get_by_role("heading", name="You are offline")).to_be_visible()
    assert jans.evaluate("document.styleSheets.length") == 1
    jans.locator(".kept").get_by_role("link", name="Home").click()
    expect(jans.get_by_text("Contemplative cat!").first).to_be_visible()
    jans.goto("/people/")
    jans.context.set_offline(False)
    expect(jans.get_by_role("heading", name="People").first).to_be_visible()


def test_a_connection_that_flickers_does_not_hold_up_who_is_going_somewhere(jans: Page) -> None:
    jans.context.set_offline(True)
    jans.goto("/people/")
    expect(jans.locator(".kept").get_by_role("link", name="Home")).to_be_visible()
    jans.evaluate("document.querySelector('.kept a[href=\"/\"]').click(); dispatchEvent(new Event('online'))")
    expect(jans.get_by_text("Contemplative cat!").first).to_be_visible()


def test_going_offline_and_back_is_shown_while_a_page_is_open(jans: Page) -> None:
    note = jans.locator("[data-offline]")
    expect(note).to_be_hidden()
    jans.context.set_offline(True)
    expect(note).to_have_text("You are offline")
    expect(jans.get_by_role("status").filter(has=note)).to_have_count(1)  # so it is heard as it appears
    jans.context.set_offline(False)
    expect(note).to_be_hidden()


def test_nothing_of_a_person_is_left_after_they_log_out(
    new_context: NewContext, two_people: tuple[StorageState, StorageState]
) -> None:
    context = new_context(two_people[0])
    page, other_tab = context.new_page(), context.new_page()
    page.goto("/@away1/")
    wait_until_kept(page, "/@away1/")
    page.goto("/")
    wait_until_kept(page, "/")
    other_tab.goto("/@away1/")
    page.route(CHUNKS, lambda route: route.abort())
    choose(page, photo("a draft of mine.jpg"))
    page.get_by_label("Caption").fill("Words of mine")
    expect(page.locator(".upload [data-status]")).to_contain_text("Waiting for the network")
    assert unsent(page, "/p/17/like/")
    expect_waiting(page, 1)
    before = everything_kept(page)
    for kept in ("away1", "calotype-uploads", "calotype-outbox", '"calotype-uploads":"1"'):
        assert kept in before
    page.evaluate("sessionStorage.setItem('where', 'in the feed')")
    page.goto("/settings/profile/")
    page.get_by_role("button", name="Log out").click()
    for tab in (page, other_tab):
        expect(tab.get_by_role("heading", name="Log in")).to_be_visible()
        assert json.loads(everything_kept(tab)) == [[], {}, {}]
    context.set_offline(True)
    for path in ("/", "/@away1/"):
        try:
            page.goto(path)
        except Exception as error:  # Playwright's own: there is no worker any more
            assert "ERR_INTERNET_DISCONNECTED" in str(error)
        expect(page.locator("body")).not_to_contain_text("away1")
        expect(page).not_to_have_title(re.compile("away1"))
    context.set_offline(False)
    page.goto("/")
    context.add_cookies(two_people[1]["cookies"])  # type: ignore[arg-type]  # what it has given
    page.goto("/")
    wait_until_kept(page, "/")
    assert "away1" not in everything_kept(page)


def test_logging_out_offline_deletes_what_was_kept_and_says_that_the_site_does_not_know(jans: Page) -> None:
    jans.evaluate("sessionStorage.setItem('where', 'in the feed')")
    jans.goto("/settings/profile/")
    jans.context.set_offline(True)
    jans.get_by_role("button", name="Log out").click()
    expect(jans.get_by_role("alert")).to_contain_text("could not be told that you log out")
    assert not FORGOTTEN & set(jans.evaluate("caches.keys()"))
    assert jans.evaluate("sessionStorage.length") == 0
    jans.goto("/")
    expect(jans.get_by_role("heading", name="You are offline")).to_be_visible()


def test_another_person_s_page_makes_the_worker_forget_the_first(
    new_context: NewContext, session_of_jan: StorageState, two_people: tuple[StorageState, StorageState]
) -> None:
    """The session is another one, and nobody has pressed anything."""
    context = new_context(session_of_jan)
    page = context.new_page()
    page.goto("/@jan/")
    wait_until_kept(page, "/@jan/")
    context.clear_cookies()
    page.goto("/explore/")
    assert pages_kept(page) == []
    context.add_cookies(session_of_jan["cookies"])  # type: ignore[arg-type]  # what it has given
    page.goto("/@jan/")
    wait_until_kept(page, "/@jan/")
    context.clear_cookies()
    context.add_cookies(two_people[1]["cookies"])  # type: ignore[arg-type]  # what it has given
    page.goto("/")
    wait_until_kept(page, "/")
    assert pages_kept(page) == ["/"]
    assert "Contemplative cat!" not in everything_kept(page)


def test_what_is_kept_is_bounded(jans: Page) -> None:
    jans.evaluate("""async () => {
        const cache = await caches.open("calotype-1-pages");
        for (let n = 0; n < 60; n++) await cache.put(`/p/${n}/`, new Response("a page"));
    }""")
    jans.goto("/@mara/")
    wait_until(
        jans,
        """async () => {
        const paths = (await (await caches.open("calotype-1-pages")).keys()).map(each => new URL(each.url).pathname);
        return paths.length <= 30 && paths.includes("/") && paths.includes("/@mara/") && paths.includes("/p/59/");
    }""",
    )


def test_of_photographs_the_two_hundred_seen_last_are_kept(jans: Page) -> None:
    jans.evaluate("""async () => {
        const cache = await caches.open("calotype-1-images");
        for (let n = 0; n < 260; n++) await cache.put(`/media/old/${n}.webp`, new Response("a photograph"));
    }""")
    jans.goto("/@mara/")
    # What the browser still has in memory it shows without asking the worker.
    wait_until(
        jans,
        """async () => {
        const asked = performance.getEntriesByType("resource").filter(({ workerStart }) => workerStart > 0);
        const seen = asked.filter(({ name }) => name.includes("/media/"));
        const kept = (await (await caches.open("calotype-1-images")).keys()).map(each => each.url);
        const old = (n) => kept.some(each => each.endsWith(`/media/old/${n}.webp`));
        const lost = seen.filter(({ name }) => !kept.includes(name)).map(({ name, responseStatus }) => [name, responseStatus]);
        const right = kept.length <= 200 && seen.length > 0 && lost.length === 0 && old(259) && !old(0);
        return right || { kept: kept.length, seen: seen.length, lost, first: old(0), last: old(259) };
    }""",
    )


@pytest.fixture
def on_the_way(
    site: RunningSite, new_context: NewContext, session_of_jan: StorageState
) -> Iterator[tuple[Way, Page]]:
    """Jan's feed, kept by the worker, over a way that can be slowed and cut."""
    with way_to(site) as way:
        page = new_context(session_of_jan, way.url).new_page()
        page.goto("/")
        wait_until_kept(page, "/")
        yield way, page


def test_a_site_that_takes_longer_than_four_seconds_is_answered_for(on_the_way: tuple[Way, Page]) -> None:
    way, page = on_the_way
    way.delay_s = 6  # its answer is here before the next load gives up, which in Chromium waits for it
    began = time.monotonic()
    page.goto("/", wait_until="commit")
    assert 3.5 < time.monotonic() - began < way.delay_s
    expect(page.locator("[data-offline]")).to_contain_text("Kept on this device: as of")
    expect(page.get_by_text("Contemplative cat!").first).to_be_visible()
    way.delay_s = 0
    late = page.get_by_role("status").filter(has_text="The site has not answered in time.")
    late.get_by_role("button", name="Reload").click()
    expect(page.locator("[data-offline]")).to_be_hidden()
    way.delay_s = 5
    page.goto("/people/")  # which is not kept: it is waited for
    expect(page.get_by_role("heading", name="People").first).to_be_visible()


def test_a_gateway_that_cannot_reach_the_site_is_answered_for_and_other_errors_are_shown(
    on_the_way: tuple[Way, Page],
) -> None:
    way, page = on_the_way
    for status in (502, 503, 504):
        way.status = status
        page.goto("/")
        expect(page.locator("[data-offline]")).to_contain_text("Kept on this device: as of")
        page.goto("/people/")
        expect(page.get_by_role("heading", name=f"Gateway {status}")).to_be_visible()
    for status in (404, 429, 500):
        way.status = status
        page.goto("/")
        expect(page.get_by_role("heading", name=f"Gateway {status}")).to_be_visible()


def test_nobody_who_is_not_signed_in_gets_a_worker(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/")
    page.wait_for_timeout(300)
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then(all => all.length)") == 0
