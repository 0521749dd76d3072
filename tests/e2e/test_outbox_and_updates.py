"""What the service worker does later: sends what waited, hands over what was shared, and gives way to the next one."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from calotype.web.offline import WITHDRAWN, WORKERS, _text
from tests.e2e.offline import expect_waiting, unsent, wait_until, wait_until_kept
from tests.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


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


def test_a_page_that_was_kept_before_a_like_shows_it(jans: Page) -> None:
    id_ = jans.locator("[data-like]:has([aria-pressed=false])").first.get_attribute("data-like")
    post = jans.locator(f"[data-post='{id_}']")
    heart, likes = post.locator("[data-like] [aria-pressed]"), post.locator("[data-likes]")
    before = int(str(likes.get_attribute("data-n")))
    heart.click()
    expect(jans.locator("[data-say][aria-live]")).to_contain_text("Liked.")
    jans.context.set_offline(True)
    jans.reload()
    expect(jans.locator("[data-offline]")).to_contain_text("Kept on this device")
    expect(heart).to_have_attribute("aria-pressed", "true")
    expect(likes).to_have_attribute("data-n", str(before + 1))
    heart.click()  # taken back offline
    expect_waiting(jans, 1)
    jans.reload()
    expect(heart).to_have_attribute("aria-pressed", "false")
    expect(likes).to_have_attribute("data-n", str(before))
    jans.context.set_offline(False)
    expect(jans.get_by_text("Sent what had waited for the connection.")).to_be_visible()
    jans.reload()
    expect(jans.locator("[data-offline]")).to_be_hidden()
    expect(heart).to_have_attribute("aria-pressed", "false")


def test_a_page_that_was_kept_before_a_follow_shows_it(jans: Page) -> None:
    jans.goto("/@mara/")
    wait_until_kept(jans, "/@mara/")
    button = jans.locator("form[data-follow=mara] button").first
    before = button.get_attribute("aria-pressed")
    after = "false" if before == "true" else "true"
    for state in (after, before):
        button.click()
        expect(jans.locator("[data-say][aria-live]")).to_contain_text("follow")
        jans.context.set_offline(True)
        jans.reload()
        expect(jans.locator("[data-offline]")).to_contain_text("Kept on this device")
        expect(button).to_have_attribute("aria-pressed", str(state))
        jans.context.set_offline(False)
        jans.reload()
        expect(jans.locator("[data-offline]")).to_be_hidden()


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
    form = jans.locator("form[data-like]:has([aria-pressed=false])").first
    post = str(form.get_attribute("action")).removesuffix("like/")
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

    def liked() -> bool:
        return f'action="{post}unlike/"' in jans.context.request.get(post).text()

    assert not liked()
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
    while not liked():
        jans.wait_for_timeout(100)
    jans.goto("/")
    expect_waiting(jans, 0)
    assert unsent(jans, f"{post}unlike/")  # as it was
    jans.reload()
    expect_waiting(jans, 0)


def session_origin(context: BrowserContext) -> str:
    return re.sub(r"/service-worker\.js.*", "/", context.service_workers[0].url)


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
        page.wait_for_function("() => navigator.serviceWorker.controller !== null")
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
