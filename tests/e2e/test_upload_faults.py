"""Whatever happens to the network, the server, the page, the session or a file: no photo is lost and none is posted twice."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, Page, Route, StorageState, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import PASSWORD, UPLOADER, NewBrowser, SessionOf, log_in
from tests.e2e.uploading import CHUNKS, choose, large, photo, share, wait_until_draft_is_kept
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture
def page(new_browser: NewBrowser) -> Page:
    return new_browser().new_page()


def test_a_draft_survives_a_reload_with_its_files_words_and_order(page: Page) -> None:
    page.route(CHUNKS, lambda route: route.abort())
    choose(page, photo("one.jpg"), photo("two.jpg", "tomato"))
    page.get_by_label("Caption").fill("Not yet")
    page.locator(".upload", has_text="two.jpg").get_by_label("What it shows").fill("tomato red")
    page.get_by_role("button", name="Move photo 2 up").click()
    expect(page.locator(".upload [data-status]").first).to_contain_text("Waiting for the network")
    wait_until_draft_is_kept(page, "Not yet", ["two.jpg", "tomato red"], ["one.jpg", ""])
    page.unroute(CHUNKS)
    page.reload()
    expect(page.locator(".upload .name")).to_have_text(["two.jpg", "one.jpg"])
    expect(page.get_by_label("Caption")).to_have_value("Not yet")
    expect(page.get_by_label("What it shows").first).to_have_value("tomato red")
    expect(page.locator(".upload.arrived")).to_have_count(2)
    share(page)
    page.wait_for_url(re.compile(r"/p/\d+/edit/\?new"))


def test_the_network_goes_in_the_middle_of_forty_uploads_and_comes_back(new_browser: NewBrowser) -> None:
    context = new_browser()
    page = context.new_page()
    choose(page, *(photo(f"{n:02}.jpg", f"hsl({n * 9}, 60%, 50%)", (1200, 800)) for n in range(40)))
    expect(page.locator(".upload")).to_have_count(40)
    expect(page.locator(".upload.arrived").nth(4)).to_be_attached()
    context.set_offline(True)
    expect(page.locator(".upload [data-status]", has_text="Waiting for the network").first).to_be_attached()
    assert page.locator(".upload.arrived").count() < 40
    share(page)
    expect(page.get_by_role("heading", name="Your post is on its way")).to_be_visible()
    context.set_offline(False)
    page.wait_for_url(re.compile(r":\d+/$"), timeout=60_000)
    page.goto("/new/")
    expect(page.locator(".upload")).to_have_count(0)


def test_the_server_restarts_between_chunks(page: Page, site: RunningSite) -> None:
    sent: list[str] = []

    def slowly(route: Route) -> None:
        if route.request.method == "PATCH":
            sent.append(route.request.headers["upload-offset"])
            if len(sent) == 2:
                os.kill(site.pid("web"), signal.SIGKILL)
        route.continue_()

    page.route(CHUNKS, slowly)
    choose(page, large("large.png"))
    expect(page.locator(".upload.arrived")).to_have_count(1, timeout=60_000)
    site.wait_until_healthy()
    assert sent.count("0") == 1, "what was stored is not sent again"
    share(page)
    page.wait_for_url(re.compile(r"/p/\d+/"), timeout=30_000)


def test_the_answer_to_a_chunk_is_lost(page: Page) -> None:
    offsets: list[int] = []

    def once(route: Route) -> None:
        chunk = route.request.method == "PATCH"
        if chunk:
            offsets.append(int(route.request.headers["upload-offset"]))
        if chunk and offsets == [0]:
            assert route.fetch().status == 204
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(CHUNKS, once)
    choose(page, large("large.png"))
    expect(page.locator(".upload.arrived")).to_have_count(1, timeout=30_000)
    assert offsets == sorted(set(offsets)), "the stored chunk is not sent again"


def test_a_corrupt_file_among_good_ones_is_named_and_the_others_are_posted(page: Page) -> None:
    whole = large("whole.png", 400)
    broken = FilePayload(name="broken.png", mimeType="image/png", buffer=whole["buffer"][:200_000])
    choose(page, photo("one.jpg"), broken, photo("two.jpg"))
    expect(page.locator(".upload.arrived")).to_have_count(2)
    row = page.locator(".upload.refused")
    expect(row.locator("[data-status]")).to_contain_text("cut short")
    expect(row.get_by_role("button", name="Try again, photo 2")).to_be_visible()
    assert violations(page) == []
    row.get_by_role("button", name="Try again, photo 2").click()
    expect(row.locator("[data-status]")).to_contain_text("cut short")
    page.get_by_role("button", name="Share 2 photos").click()
    page.wait_for_url(re.compile(r"/p/\d+/edit/\?new"))
    expect(page.locator("textarea[name=alt]")).to_have_count(2)


def test_two_tabs_show_one_draft_and_one_of_them_uploads(new_browser: NewBrowser) -> None:
    context = new_browser()
    first, second = context.new_page(), context.new_page()
    sent: dict[str, int] = {"first": 0, "second": 0}

    def counting(name: str) -> Callable[[Route], None]:
        def handler(route: Route) -> None:
            sent[name] += route.request.method == "PATCH"
            route.continue_()

        return handler

    first.route(CHUNKS, counting("first"))
    second.route(CHUNKS, counting("second"))
    second.goto("/new/")
    choose(first, photo("one.jpg"), photo("two.jpg"), photo("three.jpg"))
    expect(second.locator(".upload.arrived")).to_have_count(3)
    assert sorted(sent.values()) == [0, 3]
    second.locator("#id_photos").set_input_files([photo("four.jpg")])
    expect(first.locator(".upload.arrived")).to_have_count(4)
    second.get_by_label("Caption").fill("Of two tabs")
    share(second)
    second.wait_for_url(re.compile(r"/p/\d+/edit"))
    expect(first.locator(".upload")).to_have_count(0)
    second.goto(second.url.partition("edit/")[0])
    expect(second.get_by_text("Of two tabs").first).to_be_visible()


def test_without_room_for_a_draft_it_says_so_and_goes_on(new_browser: NewBrowser, site: RunningSite) -> None:
    """The browser's own quota is used up; so QuotaExceededError is its own too."""
    context = new_browser()
    page = context.new_page()
    page.goto("/new/")
    quota = {"origin": site.url, "quotaSize": 1_000_000}
    context.new_cdp_session(page).send("Storage.overrideQuotaForOrigin", quota)
    choose(page, large("large.png"), photo("small.jpg"))
    expect(page.get_by_text("no room left to keep your draft")).to_be_visible()
    expect(page.locator(".upload .name")).to_have_text(["large.png", "small.jpg"])
    expect(page.locator(".upload.arrived")).to_have_count(2)
    for at, words in enumerate(("noise", "teal")):
        page.get_by_label("What it shows").nth(at).fill(words)
    share(page)
    page.wait_for_url(re.compile(r"/p/\d+/$"))


def lost_after_the_first_chunk(page: Page, words: str = "Of one evening") -> None:
    """A large file of a draft with words is under way, and nothing comes through any longer."""
    sent: list[str] = []

    def once(route: Route) -> None:
        if sent and route.request.method == "PATCH":
            return route.abort()
        sent.append(route.request.method)
        return route.continue_()

    page.route(CHUNKS, once)
    choose(page, large("large.png"))
    page.get_by_label("Caption").fill(words)
    page.get_by_label("What it shows").fill("noise")
    expect(page.locator(".upload [data-status]")).to_contain_text("Waiting for the network")


def test_a_session_ends_in_the_middle_of_an_upload_and_a_new_one_goes_on(new_browser: NewBrowser) -> None:
    context = new_browser()
    page = context.new_page()
    offsets: list[int] = []
    lost_after_the_first_chunk(page)
    context.clear_cookies()
    page.unroute(CHUNKS)
    context.on(
        "request",
        lambda request: (
            offsets.append(int(request.headers["upload-offset"])) if request.method == "PATCH" else None
        ),
    )
    told = page.get_by_role("alert").filter(has_text="You have been signed out")
    expect(told).to_be_visible(timeout=30_000)
    assert violations(page) == []
    page.evaluate(
        "document.dispatchEvent(new Event('visibilitychange'))"
    )  # looked at again, and still signed out
    page.wait_for_timeout(500)
    expect(told).to_have_count(1)
    expect(page.get_by_label("Caption")).to_have_value("Of one evening")
    with context.expect_page() as opened:
        told.get_by_role("button", name="Log in in a new tab").click()
    tab = opened.value
    log_in(tab, UPLOADER, PASSWORD)
    expect(page.locator(".upload.arrived")).to_have_count(1, timeout=30_000)
    assert 0 not in offsets, "what was stored is not sent again"
    expect(told).to_have_count(0)
    share(page)  # with the token of the session before
    page.wait_for_url(re.compile(r"/p/\d+/$"))
    expect(page.get_by_text("Of one evening").first).to_be_visible()
    expect(page.get_by_alt_text("noise").first).to_be_attached()


def test_a_post_that_is_on_its_way_when_its_session_ends_waits_for_the_next(new_browser: NewBrowser) -> None:
    context = new_browser()
    page = context.new_page()
    lost_after_the_first_chunk(page, "It came later")
    share(page)
    expect(page.get_by_role("heading", name="Your post is on its way")).to_be_visible()
    context.clear_cookies()
    page.unroute(CHUNKS)
    expect(page.get_by_role("alert").filter(has_text="You have been signed out")).to_be_visible(
        timeout=30_000
    )
    page.goto("/new/")
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("User name or e-mail").fill(UPLOADER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name=re.compile("log in", re.I)).click()
    page.wait_for_url(re.compile(r"/new/$"))
    expect(page.get_by_text("Your photo is posted.")).to_be_visible(timeout=30_000)
    page.goto(f"/@{UPLOADER}/")
    page.locator(".grid a").first.click()
    expect(page.get_by_text("It came later").first).to_be_visible()


def test_a_draft_is_never_sent_as_somebody_else(
    new_browser: NewBrowser, session_of: SessionOf, session_of_jan: StorageState
) -> None:
    context = new_browser()
    page = context.new_page()
    lost_after_the_first_chunk(page)
    taken: list[str] = []
    context.clear_cookies()
    context.add_cookies(session_of_jan["cookies"])  # type: ignore[arg-type]  # what it has given
    page.on(
        "response",
        lambda answer: taken.append(answer.url) if "/uploads/" in answer.url and answer.ok else None,
    )
    page.unroute(CHUNKS)
    expect(page.get_by_role("alert").filter(has_text="You have been signed out")).to_be_visible(
        timeout=30_000
    )
    assert taken == []
    context.clear_cookies()
    context.add_cookies(session_of(UPLOADER)["cookies"])  # type: ignore[arg-type]  # what it has given
    page.evaluate(
        "document.dispatchEvent(new Event('visibilitychange'))"
    )  # as whoever comes back to this tab
    expect(page.locator(".upload.arrived")).to_have_count(1, timeout=30_000)
