"""The site without a connection, and what is left of a person after it: nothing once they have logged out."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect

from calotype.web.offline import WITHDRAWN, WORKERS, _text
from tests.e2e.conftest import OpenPage
from tests.running_site import RunningSite, free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PASSWORD = "long enough to be one"
FORGOTTEN = {"calotype-1-pages", "calotype-1-images", "calotype-1-owner", "calotype-shared"}

NewContext = Callable[[StorageState | None], BrowserContext]


@pytest.fixture
def new_context(chromium: Browser, site: RunningSite) -> Iterator[NewContext]:
    """A browser of its own, with its own service worker. Requests that fail are what these tests are about."""
    contexts: list[BrowserContext] = []

    def make(state: StorageState | None) -> BrowserContext:
        context = chromium.new_context(
            base_url=site.url, storage_state=state, viewport={"width": 390, "height": 800}
        )
        context.set_default_timeout(20_000)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def jans(new_context: NewContext, session_of_jan: StorageState) -> Page:
    """Jan's feed, kept by the worker."""
    page = new_context(session_of_jan).new_page()
    page.goto("/")
    wait_until_kept(page, "/")
    return page


@pytest.fixture(scope="module")
def two_people(chromium: Browser, site: RunningSite) -> tuple[StorageState, StorageState]:
    """Two who have just signed up: `away1` and `away2`."""
    states = []
    for name in ("away1", "away2"):
        context = chromium.new_context(base_url=site.url, service_workers="block")
        page = context.new_page()
        page.goto("/sign-up/")
        page.get_by_label("User name").fill(name)
        page.get_by_label("E-mail").fill(f"{name}@mail.example")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name=re.compile("create|sign up", re.I)).click()
        expect(page).to_have_url(re.compile("/people/"))
        states.append(context.storage_state())
        context.close()
    return states[0], states[1]


def wait_until(page: Page, script: str, arg: object = None) -> None:
    """Until an async function is true: Playwright's own `wait_for_function` takes its promise for an answer. Chromium looks
    every ten seconds whether a worker has nothing to do, and not before does the next one take its place."""
    for _ in range(300):
        if page.evaluate(script, arg):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not within 30 s: {script}")


def wait_until_kept(page: Page, path: str) -> None:
    """And the worker has taken over, and the page for offline is there."""
    wait_until(
        page,
        """async (path) => navigator.serviceWorker.controller !== null
            && await caches.match("/offline/", {ignoreVary: true}) !== undefined
            && await caches.match(path, {cacheName: "calotype-1-pages", ignoreVary: true}) !== undefined""",
        path,
    )


def everything_kept(page: Page) -> str:
    """All that the browser has put by for this site, but for files, as text."""
    text: str = page.evaluate("""async () => {
        const all = [(await indexedDB.databases()).map(each => each.name)];
        for (const name of await caches.keys()) {
            if (name.endsWith("-files")) continue;
            const cache = await caches.open(name);
            for (const request of await cache.keys()) {
                const answer = await cache.match(request, {ignoreVary: true});
                all.push(name, request.url, await answer.text());
            }
        }
        return JSON.stringify(all);
    }""")
    return text


def pages_kept(page: Page) -> list[str]:
    paths: list[str] = page.evaluate("""async () => (await (await caches.open("calotype-1-pages")).keys())
        .map(each => new URL(each.url).pathname)""")
    return paths


def unsent(page: Page, path: str, key: str = "") -> bool:
    """What a module does that could not send something; whether somebody took it."""
    return not page.evaluate(
        """([path, key]) => document.dispatchEvent(new CustomEvent("calotype:unsent",
            {cancelable: true, detail: {path, fields: {}, key: key || crypto.randomUUID()}}))""",
        [path, key],
    )


def waiting(page: Page) -> int:
    amount: int = page.evaluate("""() => new Promise((resolve) => {
        const opening = indexedDB.open("calotype-outbox", 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore("wishes", {keyPath: "about"});
        opening.onsuccess = () => {
            const count = opening.result.transaction("wishes").objectStore("wishes").count();
            count.onsuccess = () => { opening.result.close(); resolve(count.result); };
        };
    })""")
    return amount


def expect_waiting(page: Page, amount: int) -> None:
    for _ in range(100):
        if waiting(page) == amount:
            return
        page.wait_for_timeout(100)
    assert waiting(page) == amount


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


def test_going_offline_and_back_is_shown_while_a_page_is_open(jans: Page) -> None:
    note = jans.locator("[data-offline]")
    expect(note).to_be_hidden()
    jans.context.set_offline(True)
    expect(note).to_have_text("You are offline")
    expect(jans.get_by_role("status").filter(has=note)).to_have_count(1)  # so it is heard as it appears
    jans.context.set_offline(False)
    expect(note).to_be_hidden()


def test_a_like_given_offline_goes_out_when_the_connection_is_back(jans: Page) -> None:
    form = jans.locator("form[data-like]").first
    like = str(form.get_attribute("action")).replace("/unlike/", "/like/")
    post = like.removesuffix("like/")
    unlike = f"{post}unlike/"
    jans.context.set_offline(True)
    for path in (like, unlike, like, unlike, like):
        assert unsent(jans, path)
    expect_waiting(jans, 1)
    jans.reload()
    expect_waiting(jans, 1)
    jans.context.set_offline(False)
    expect(jans.get_by_text("Sent what had waited for the connection.")).to_be_visible()
    expect_waiting(jans, 0)
    jans.goto(post)
    expect(jans.locator('.like[aria-pressed="true"]')).to_have_count(1)
    assert unsent(jans, unlike)  # as it was
    jans.reload()
    expect_waiting(jans, 0)
    jans.goto(post)
    expect(jans.locator('.like[aria-pressed="false"]')).to_have_count(1)


def test_a_like_that_is_refused_later_is_dropped_and_said(jans: Page) -> None:
    jans.context.set_offline(True)
    assert unsent(jans, "/p/17/like/")
    expect_waiting(jans, 1)
    jans.context.set_offline(False)
    expect(jans.get_by_role("alert")).to_contain_text("What you did offline was refused")
    expect_waiting(jans, 0)


def test_only_likes_and_follows_of_this_site_are_taken(jans: Page) -> None:
    for path in ("/p/17/comments/", "/settings/password/", "https://elsewhere.example/p/17/like/", "/like/"):
        assert not unsent(jans, path)
    expect_waiting(jans, 0)


def test_what_waits_goes_out_although_no_page_is_open(jans: Page) -> None:
    """Background Sync, which the browser starts when the connection is back."""
    form = jans.locator("form[data-like]").nth(1)
    post = re.sub(r"(un)?like/$", "", str(form.get_attribute("action")))
    jans.context.set_offline(True)
    assert unsent(jans, f"{post}like/")
    expect_waiting(jans, 1)
    session = jans.context.new_cdp_session(jans)
    registrations: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: registrations.extend(each["registrationId"] for each in event["registrations"]),
    )
    session.send("ServiceWorker.enable")
    jans.goto("about:blank")
    jans.context.set_offline(False)
    jans.wait_for_timeout(200)
    origin = session_origin(jans.context)
    session.send(
        "ServiceWorker.dispatchSyncEvent",
        {
            "origin": origin,
            "registrationId": registrations[-1],
            "tag": "calotype-outbox",
            "lastChance": False,
        },
    )
    jans.wait_for_timeout(1_000)
    seen = jans.context.request.get(post).text()
    assert re.search(r'aria-pressed="true"', seen)
    jans.goto("/")
    expect_waiting(jans, 0)
    assert unsent(jans, f"{post}unlike/")  # as it was
    jans.reload()
    expect_waiting(jans, 0)


def session_origin(context: BrowserContext) -> str:
    return re.sub(r"/service-worker\.js.*", "/", context.service_workers[0].url)


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
    page.evaluate("""() => new Promise((resolve) => {
        const opening = indexedDB.open("calotype-uploads", 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore("drafts");
        opening.onsuccess = () => {
            const writing = opening.result.transaction("drafts", "readwrite");
            writing.objectStore("drafts").put("a draft", 1);
            writing.oncomplete = () => { opening.result.close(); resolve(); };
        };
    })""")
    assert unsent(page, "/p/17/like/")
    expect_waiting(page, 1)
    assert "away1" in everything_kept(page)
    page.goto("/settings/profile/")
    page.get_by_role("button", name="Log out").click()
    for tab in (page, other_tab):
        expect(tab.get_by_role("heading", name="Log in")).to_be_visible()
    left = everything_kept(page)
    assert json.loads(left) == [[]]
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
    jans.goto("/settings/profile/")
    jans.context.set_offline(True)
    jans.get_by_role("button", name="Log out").click()
    expect(jans.get_by_role("alert")).to_contain_text("could not be told that you log out")
    assert not FORGOTTEN & set(jans.evaluate("caches.keys()"))
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


def test_a_new_version_waits_until_it_is_asked_for(jans: Page) -> None:
    """A worker under another address for the same scope is to the browser what a changed one is."""
    other_tab = jans.context.new_page()
    other_tab.goto("/explore/")
    jans.evaluate("navigator.serviceWorker.register('/service-worker.js?next')")
    told = jans.get_by_role("status").filter(has_text="A new version is there.")
    expect(told).to_be_visible()
    assert "?next" not in jans.evaluate("navigator.serviceWorker.controller.scriptURL")
    with jans.expect_navigation():
        told.get_by_role("button", name="Reload").click()
    assert "?next" in jans.evaluate("navigator.serviceWorker.controller.scriptURL")
    assert other_tab.url.endswith("/explore/")


def test_a_new_version_that_nobody_asks_for_comes_with_the_next_page(jans: Page) -> None:
    jans.evaluate("navigator.serviceWorker.register('/service-worker.js?next')")
    expect(jans.get_by_text("A new version is there.")).to_be_visible()
    jans.goto("/offline/")  # which registers none: the first address would be a newer version still
    wait_until(jans, "() => navigator.serviceWorker.controller?.scriptURL.includes('?next')")


def test_photos_that_another_app_shares_are_handed_over_once(jans: Page) -> None:
    jans.evaluate("""() => {
        const form = document.createElement("form");
        Object.assign(form, {method: "post", action: "/share/", enctype: "multipart/form-data"});
        const input = Object.assign(document.createElement("input"), {type: "file", name: "photos", multiple: true});
        const files = new DataTransfer();
        files.items.add(new File(["one"], "ein s.jpg", {type: "image/jpeg"}));
        files.items.add(new File(["two"], "zw\\u00f6lf.heic", {type: "image/heic"}));
        input.files = files.files;
        form.append(input);
        document.body.append(form);
        form.submit();
    }""")
    jans.wait_for_url("**/new/")
    rows = jans.locator("[data-items] > li")
    expect(rows).to_have_count(2)
    assert [
        name in rows.nth(at).inner_text() for at, name in enumerate(("ein s.jpg", "zw\u00f6lf.heic"))
    ] == [True] * 2
    assert "calotype-shared" not in jans.evaluate("caches.keys()")
    jans.goto("/new/?shared")
    expect(rows).to_have_count(2)


def test_nobody_who_is_not_signed_in_gets_a_worker(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/")
    page.wait_for_timeout(300)
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then(all => all.length)") == 0


def test_a_site_that_withdraws_its_worker_is_rid_of_it(chromium: Browser) -> None:
    """The real scripts on a server that has nothing else: first with a worker, then without."""
    served = {"text": prologue() + _text(WORKERS)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script = self.path == "/service-worker.js"
            body = (served["text"] if script else "<!doctype html><title>page</title>").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if script else "text/html")
            self.send_header("Cache-Control", "no-cache")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = chromium.new_context(base_url=f"http://127.0.0.1:{server.server_port}")
    try:
        page = context.new_page()
        page.goto("/")
        page.evaluate("navigator.serviceWorker.register('/service-worker.js')")
        page.wait_for_function("navigator.serviceWorker.controller !== null")
        served["text"] = prologue() + _text(WITHDRAWN)
        page.goto("/again")
        wait_until(
            page,
            """async () => (await navigator.serviceWorker.getRegistrations()).length === 0
            && (await caches.keys()).length === 0""",
        )
    finally:
        context.close()
        server.shutdown()
        server.server_close()


def prologue() -> str:
    return '"use strict";\nself.calotype = {"version": "", "precached": ["/offline/"]};\n'
