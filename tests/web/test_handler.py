"""The lean handler: what it keeps of Django's promises, and what it does without."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from django.core import signals
from django.core.exceptions import ImproperlyConfigured

from calotype.config.asgi import Application
from calotype.product.feed import queries
from calotype.web import middleware
from calotype.web.handler import Disconnected, LeanHandler, read_body
from calotype.web.site import Site
from tests.client import Client
from tests.web_fixtures import Someone, picture


async def test_a_page_starts_no_thread(ann: Someone, bob: Someone, monkeypatch: pytest.MonkeyPatch) -> None:
    await bob.post_one()
    await ann.browser.post(f"/@{bob.username}/follow/")
    await ann.browser.get("/")
    started: list[str] = []
    original = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        started.append(thread.name)
        original(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    for path in ("/", f"/@{bob.username}/", "/api/v1/timelines/home", "/people/", "/nothing/here/"):
        await ann.browser.get(path)
    monkeypatch.undo()
    assert started == []


async def test_every_answer_has_the_security_headers(browser: Client, ann: Someone) -> None:
    for answer in (
        await browser.get("/"),
        await ann.browser.get("/"),
        await browser.get("/nothing/"),
        await browser.get("/healthz"),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["content-length"] == str(len(answer.body))


async def test_pages_have_no_inline_style_or_script(browser: Client, ann: Someone) -> None:
    post_id = await ann.post_one("x")
    for path in ("/", f"/p/{post_id}/", f"/@{ann.username}/", "/new/", "/people/", "/settings/profile/"):
        page = (await ann.browser.get(path)).text
        assert " style=" not in page
        assert "<script>" not in page
        assert " onclick=" not in page


async def test_a_request_keeps_the_id_that_a_proxy_gave_it(browser: Client) -> None:
    assert (await browser.get("/healthz", {"x-request-id": "abc-123"})).headers["x-request-id"] == "abc-123"
    odd = (await browser.get("/healthz", {"x-request-id": "a\tb<script>"})).headers["x-request-id"]
    assert odd.isalnum()


async def test_the_access_log_has_a_json_line_a_request_without_personal_data(
    ann: Someone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(middleware.AccessLog, "out", sys.stdout)
    await ann.browser.get(f"/@{ann.username}/?before=1-1", {"x-request-id": "line1"})
    line = msgspec.json.decode(capsys.readouterr().out.splitlines()[-1])
    assert (line["id"], line["method"], line["route"], line["status"]) == (
        "line1",
        "GET",
        "@<str:username>/",
        200,
    )
    assert ann.username not in str(line)


async def test_request_signals_are_sent(browser: Client) -> None:
    seen: list[str] = []

    def started(**_: object) -> None:
        seen.append("started")

    async def finished(**_: object) -> None:
        seen.append("finished")

    signals.request_started.connect(started)
    signals.request_finished.connect(finished)
    try:
        await browser.get("/healthz")
        await browser.get("/nothing/")
    finally:
        signals.request_started.disconnect(started)
        signals.request_finished.disconnect(finished)
    assert seen == ["started", "finished"] * 2


async def test_a_body_over_the_limit_is_refused_while_it_is_read(browser: Client) -> None:
    declared = await browser.request(
        "POST", "/log-in/", body=b"x" * 2_000_000, headers={"accept": "application/json"}
    )
    assert (declared.status, declared.error_code) == (413, "too_large")
    assert "1.0 MB" in declared.json()["error"]["message"]
    silent = await browser.request(
        "POST",
        "/log-in/",
        body=b"x" * 2_000_000,
        headers={"accept": "application/json", "content-length": ""},
    )
    assert silent.status == 413


async def test_a_refused_body_is_answered_and_logged_like_anything_else(browser: Client) -> None:
    answer = await browser.request(
        "POST", "/log-in/", body=b"x" * 2_000_000, headers={"x-request-id": "big1"}
    )
    assert answer.status == 413
    assert answer.headers["x-request-id"] == "big1"
    assert "content-security-policy" in answer.headers
    assert answer.headers["connection"] == "close"


async def test_only_who_is_signed_in_may_send_an_upload(browser: Client, ann: Someone) -> None:
    large = b"x" * 2_000_000
    for method, path in (("POST", "/new/"), ("GET", "/new/"), ("POST", "/new/nothing/")):
        assert (await browser.request(method, path, body=large)).status == 413
    assert (await ann.browser.request("POST", "/new/nothing/", body=large)).status == 413
    assert (await ann.browser.request("POST", "/new/", body=large)).status == 403


async def test_a_body_that_does_not_arrive_is_given_up(handler: LeanHandler, settings_seconds: None) -> None:
    sent: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", b"testserver"), (b"content-length", b"10"), (b"accept", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/log-in/", "query_string": b"", "headers": headers}
    await handler(scope, receive, send)
    assert sent[0]["status"] == 408
    assert b"body_too_slow" in sent[1]["body"]


async def test_an_address_without_its_last_slash_leads_on(browser: Client, ann: Someone) -> None:
    for path in ("/people", f"/@{ann.username}", "/log-in", "/new"):
        answer = await browser.get(path)
        assert (answer.status, answer.location) == (301, f"{path}/")
    assert (await browser.get("/nothing/at/all")).status == 404


async def test_a_client_that_leaves_while_sending_costs_nothing() -> None:
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    with pytest.raises(Disconnected):
        await read_body(receive, 1000, "")


async def test_twenty_thousand_fields_are_refused(browser: Client) -> None:
    body = "&".join(f"f{n}=1" for n in range(20_000)).encode()
    answer = await browser.request(
        "POST",
        "/log-in/",
        body=body,
        headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
    )
    assert answer.status in (400, 403)
    token = await browser.token()
    body += f"&csrfmiddlewaretoken={token}".encode()
    answer = await browser.request(
        "POST",
        "/log-in/",
        body=body,
        headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
    )
    assert (answer.status, answer.error_code) == (400, "bad_request")


async def test_a_multipart_form_with_thousands_of_parts_is_refused(ann: Someone) -> None:
    files = [("photos", (f"{n}.png", b"x")) for n in range(3000)]
    answer = await ann.browser.post("/new/", files=files, headers={"accept": "application/json"})
    assert answer.status == 400


@pytest.mark.parametrize(
    "body", [b"", b"--", b"--b\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\nx", b"\xff" * 1000]
)
async def test_broken_multipart_is_a_bad_request_at_most(body: bytes, ann: Someone) -> None:
    for kind in (
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        "multipart/form-data; boundary=" + "x" * 500,
    ):
        answer = await ann.browser.request(
            "POST", "/new/", body=body, headers={"content-type": kind, "accept": "application/json"}
        )
        assert answer.status in (400, 403)


async def test_a_fault_of_ours_gives_nothing_away(ann: Someone, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> object:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(queries, "home", broken)
    for accept in ("text/html", "application/json"):
        answer = await ann.browser.get("/", {"accept": accept, "x-request-id": "fault1"})
        assert answer.status == 500
        assert "42" not in answer.text
        assert "fault1" in answer.text


async def test_an_answer_that_takes_too_long_is_a_503(
    ann: Someone, monkeypatch: pytest.MonkeyPatch, settings_seconds: None
) -> None:
    async def slow(graph: Any, *_: object, **__: object) -> object:
        pool = next(iter(graph.shards.pools.values()))
        return await pool.fetch("select pg_sleep(20)")

    monkeypatch.setattr(queries, "home", slow)
    answer = await ann.browser.get("/", {"accept": "application/json"})
    assert (answer.status, answer.error_code) == (503, "deadline_exceeded")
    assert answer.headers["retry-after"] == "2"


@pytest.fixture
def settings_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    monkeypatch.setattr(settings, "REQUEST_SECONDS", 0.3)


async def test_middleware_that_would_cost_a_thread_is_refused(
    web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.conf import settings

    class Plain:
        def __init__(self, get_response: object) -> None: ...

        def __call__(self, request: object) -> None: ...

    monkeypatch.setattr("calotype.web.middleware.Plain", Plain, raising=False)
    monkeypatch.setattr(settings, "LEAN_MIDDLEWARE", ["calotype.web.middleware.Plain"])
    with pytest.raises(ImproperlyConfigured, match="not natively async"):
        LeanHandler(web_site)


async def test_unknown_hosts_are_refused(browser: Client) -> None:
    answer = await browser.get("/log-in/", {"host": "evil.example", "accept": "application/json"})
    assert answer.status == 400


async def test_errors_are_json_for_the_api_and_pages_for_people(browser: Client) -> None:
    api = await browser.get("/api/v1/nothing")
    assert (api.status, api.error_code) == (404, "not_found")
    page = await browser.get("/nothing/here/")
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_health_names_each_engine(browser: Client) -> None:
    health = (await browser.get("/healthz")).json()
    assert health == {
        "status": "ok",
        "engines": {
            "pg-1": "up",
            "pg-2": "up",
            "sessions": "up",
            "blobs": "up",
            "timelines": "up",
            "memcached": "absent",
        },
    }


async def test_metrics_are_for_this_machine_alone(browser: Client) -> None:
    local = replace(browser, address="127.0.0.1")
    here = await local.get("/metrics", {"accept": "application/openmetrics-text"})
    assert here.status == 200
    assert here.headers["content-type"].startswith("application/openmetrics-text")
    assert "# TYPE dynostats_requests counter" in here.text
    assert (await local.get("/metrics", {"x-forwarded-for": "192.0.2.1"})).status == 403
    assert (await browser.get("/metrics")).status == 403


async def test_the_application_opens_and_closes_the_site_and_serves_the_admin(web_site: Site) -> None:
    application = Application()
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outgoing: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
    life = asyncio.create_task(application({"type": "lifespan"}, incoming.get, outgoing.put))
    await incoming.put({"type": "lifespan.startup"})
    assert (await outgoing.get())["type"] == "lifespan.startup.complete"
    admin = await Client(application).get("/admin/login/?next=/admin/")  # type: ignore[arg-type]  # any ASGI application will do
    assert (admin.status, admin.location) == (302, "/log-in/?next=/admin/")
    assert (await Client(application).get("/healthz")).status == 200  # type: ignore[arg-type]
    await incoming.put({"type": "lifespan.shutdown"})
    assert (await outgoing.get())["type"] == "lifespan.shutdown.complete"
    await life


async def test_a_large_upload_is_spooled_and_parsed_in_a_thread(ann: Someone) -> None:
    noise = picture(1200, 900, format="BMP")
    answer = await ann.browser.post(
        "/new/", files=[("photos", ("big.bmp", noise))], headers={"accept": "application/json"}
    )
    assert answer.status == 422


async def test_a_page_that_failed_offers_what_may_help(browser: Client) -> None:
    gone = (await browser.get("/nothing/here/")).text
    assert "#image-off" in gone
    assert "Go home" in gone and "Try again" not in gone
    shut = (await browser.get("/notifications/")).text
    assert "#lock" in shut
    assert "/log-in/?next=/notifications/" in shut
    assert 'href="//' not in (await browser.get("//evil.example/")).text
