"""Sessions: the asyncpg half and Django's ORM half read each other's rows."""

from __future__ import annotations

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.http import HttpResponse

from calotype.web.middleware import Sessions
from calotype.web.orm import in_thread
from calotype.web.request import SiteRequest
from calotype.web.sessions import SessionStore
from calotype.web.site import Site


async def test_what_one_side_writes_the_other_reads(web_site: Site) -> None:
    ours = SessionStore(None, web_site.sessions)
    ours["color"] = "sepia"
    await ours.asave()
    theirs = SessionStore(ours.session_key)
    assert await in_thread(lambda: theirs["color"]) == "sepia"

    def change() -> None:
        theirs["color"] = "silver"
        theirs.save()

    await in_thread(change)
    again = SessionStore(ours.session_key, web_site.sessions)
    await again.aload_now()
    assert again["color"] == "silver"


async def test_an_unknown_key_is_an_empty_session_and_not_that_key(web_site: Site) -> None:
    session = SessionStore("f" * 32, web_site.sessions)
    await session.aload_now()
    assert session.session_key is None
    assert session.is_empty()


@pytest.mark.parametrize("key", ["", "x", "'; drop table web_session; --", "a" * 400, "\0" * 32, "é" * 32])
async def test_a_key_that_cannot_be_one_is_not_looked_up(key: str, web_site: Site) -> None:
    session = SessionStore(key, web_site.sessions)
    await session.aload_now()
    assert session.session_key is None


async def test_an_expired_session_is_gone(web_site: Site) -> None:
    session = SessionStore(None, web_site.sessions)
    session["color"] = "sepia"
    session.set_expiry(-1)
    await session.asave()
    again = SessionStore(session.session_key, web_site.sessions)
    await again.aload_now()
    assert again.is_empty()


async def test_a_session_that_was_ended_meanwhile_is_not_brought_back(web_site: Site) -> None:
    session = SessionStore(None, web_site.sessions)
    session["_auth_user_id"] = "77"
    await session.asave()
    assert await web_site.sessions.end_all(77) == 1
    session["late"] = True
    with pytest.raises(UpdateError):
        await session.asave()


async def test_a_request_whose_session_is_ended_meanwhile_is_answered_and_loses_its_cookie(
    web_site: Site,
) -> None:
    session = SessionStore(None, web_site.sessions)
    session["_auth_user_id"] = "78"
    await session.asave()

    async def view(request: SiteRequest) -> HttpResponse:
        await web_site.sessions.end_all(78)
        request.session["late"] = True
        return HttpResponse("done")

    headers = [(b"cookie", f"session={session.session_key}".encode())]
    request = SiteRequest({"type": "http", "method": "GET", "path": "/", "headers": headers}, None)
    request.site = web_site
    answer = await Sessions(view)(request)
    assert answer.status_code == 200
    assert answer.cookies["session"].value == ""
