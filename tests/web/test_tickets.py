"""Tickets: who has just written is shown it, wherever their next request lands."""

from __future__ import annotations

import dataclasses

import pytest
from django.http import HttpResponse

from calotype.infra.shards.tickets import Tickets, current
from calotype.std.errors import Unavailable
from calotype.web.middleware import TicketHolders
from calotype.web.request import SiteRequest
from calotype.web.site import Site
from calotype.web.tickets import COOKIE, HELD_S, decode, encode
from tests.web_fixtures import NewPerson, Someone, picture


def test_a_cookie_says_what_it_was_given() -> None:
    held = {"pg-1": 0, "pg-2": (1 << 63) - 1, "sessions": 4711}
    assert decode(encode(held)) == held


@pytest.mark.parametrize("cookie", ["", "pg-1=1", "pg-1=1:abc:def", "x" * 5_000, "\0", "pg-1=zz"])
def test_a_cookie_that_is_not_ours_is_none(cookie: str) -> None:
    assert decode(cookie) == {}


def test_a_changed_cookie_is_none() -> None:
    assert decode(encode({"pg-1": 7}).replace("7", "8", 1)) == {}


def test_a_ticket_is_not_good_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = encode({"pg-1": 7})
    import time

    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + HELD_S - 1)
    assert decode(cookie) == {"pg-1": 7}
    monkeypatch.setattr(time, "time", lambda: now + HELD_S + 2)
    assert decode(cookie) == {}


@pytest.mark.memcached
async def test_a_request_that_writes_answers_with_tickets_for_what_it_wrote(ann_cached: Someone) -> None:
    assert COOKIE not in ann_cached.browser.cookies
    await ann_cached.browser.get("/")
    assert COOKIE not in ann_cached.browser.cookies
    answer = await ann_cached.browser.post(
        "/new/", {"caption": "mine"}, files=[("photos", ("a.png", picture()))]
    )
    assert answer.status == 303, answer.text
    held = decode(ann_cached.browser.cookies[COOKIE])
    assert held
    assert all(position > 0 for position in held.values())


@pytest.mark.memcached
async def test_later_tickets_join_those_that_are_held(cached_web_site: Site) -> None:
    """An earlier ticket is still good: its log may be behind, whatever this request has written."""

    async def view(request: SiteRequest) -> HttpResponse:
        await request.site.sessions.pool.write("select 1")
        return HttpResponse("")

    request = SiteRequest({"type": "http", "method": "GET", "path": "/", "headers": []}, None)
    request.site = cached_web_site
    request.COOKIES = {COOKIE: encode({"pg-1": 5, "sessions": 1})}
    response = await TicketHolders(view)(request)
    held = decode(response.cookies[COOKIE].value)
    assert held["pg-1"] == 5
    assert held["sessions"] > 1


@pytest.mark.memcached
async def test_a_view_reads_as_the_holder_of_what_the_cookie_says(cached_web_site: Site) -> None:
    seen: list[Tickets | None] = []

    async def view(request: SiteRequest) -> HttpResponse:
        seen.append(current())
        return HttpResponse("")

    request = SiteRequest({"type": "http", "method": "GET", "path": "/", "headers": []}, None)
    request.site = cached_web_site
    request.COOKIES = {COOKIE: encode({"pg-1": 5})}
    response = await TicketHolders(view)(request)
    assert COOKIE not in response.cookies
    assert seen[0] is not None
    assert (seen[0].held, seen[0].fresh_only) == ({"pg-1": 5}, True)
    assert current() is None


async def test_where_nothing_may_lag_there_are_no_tickets(web_site: Site, ann: Someone) -> None:
    assert not web_site.may_lag
    await ann.post_one()
    assert COOKIE not in ann.browser.cookies
    assert dataclasses.replace(web_site, regions=("a", "b")).may_lag


@pytest.mark.memcached
async def test_a_ticket_that_no_server_can_give_does_not_undo_the_write(
    ann_cached: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: Tickets) -> dict[str, int]:
        raise Unavailable("the server has gone")

    monkeypatch.setattr(Tickets, "issue", away)
    assert await ann_cached.post_one() > 0


@pytest.mark.memcached
async def test_what_was_liked_is_liked_on_the_next_page(ann_cached: Someone, new_person: NewPerson) -> None:
    post = await (await new_person()).post_one()
    for _ in range(5):
        await ann_cached.browser.post(f"/p/{post}/like/")
        page = (await ann_cached.browser.get(f"/p/{post}/")).text
        assert f"/p/{post}/unlike/" in page
        await ann_cached.browser.post(f"/p/{post}/unlike/")
        page = (await ann_cached.browser.get(f"/p/{post}/")).text
        assert f"/p/{post}/like/" in page
