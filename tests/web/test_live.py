"""News to open pages: who hears of it, how many may listen, and how a stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from calotype.web import live as live_module
from calotype.web.handler import LeanHandler
from calotype.web.live import STREAMS_A_PERSON, Live, NoMoreStreams, TooManyStreams
from calotype.web.site import Site
from tests.web_fixtures import Someone


@pytest.fixture
async def live(control_dsn: str) -> AsyncIterator[Live]:
    opened = Live(control_dsn, streams=8)
    yield opened
    await opened.close()


async def test_a_person_is_told_wherever_their_pages_are_open_and_nobody_else(
    live: Live, control_dsn: str
) -> None:
    elsewhere = Live(control_dsn)
    here, there = live.stream(7), elsewhere.stream(7)
    async with asyncio.timeout(5):
        assert await anext(here)
        assert await anext(there)
        assert await anext(here), "everybody looks again when the bus is heard"
        assert await anext(there)
        stranger = live.stream(8)
        assert await anext(stranger)
        await elsewhere.tell(7)
        assert await anext(here)
        assert await anext(there)
    silent = asyncio.ensure_future(anext(stranger))
    await asyncio.sleep(0.1)
    assert not silent.done()
    silent.cancel()
    await elsewhere.close()


async def test_a_person_may_have_so_many_streams_and_a_worker_so_many(live: Live) -> None:
    streams = [live.stream(1) for _ in range(STREAMS_A_PERSON)]
    with pytest.raises(TooManyStreams, match="6"):
        live.stream(1)
    more = [live.stream(2) for _ in range(2)]
    with pytest.raises(NoMoreStreams, match="8"):
        live.stream(3)
    for each in (*streams, *more):
        assert await anext(each)
        await each.aclose()  # type: ignore[attr-defined]  # an async generator
    assert live.streams == 0
    assert live.stream(3) is not None


async def test_without_news_something_is_sent_all_the_same(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "QUIET_S", 0.05)
    stream = live.stream(1)
    assert await anext(stream)
    async with asyncio.timeout(2):
        while await anext(stream):
            pass


async def test_a_stream_ends_after_its_time_and_when_the_worker_stops(
    live: Live, control_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Live(control_dsn)
    stream = other.stream(1)
    assert await anext(stream)
    closing = asyncio.create_task(other.close())
    async with asyncio.timeout(2):
        assert [told async for told in stream] == []
    await closing
    monkeypatch.setattr(live_module, "LASTS_S", 0.0)
    assert [told async for told in live.stream(1)] == []
    assert live.streams == 0


async def test_a_database_that_does_not_answer_costs_the_news_and_nothing_else() -> None:
    away = Live("postgresql://nobody:x@127.0.0.1:1/none")
    await away.tell(1)
    assert await anext(away.stream(1))
    await away.close()


class Connection:
    """One request to the application, held open until `leave`."""

    def __init__(self, handler: LeanHandler, someone: Someone) -> None:
        cookies = "; ".join(f"{name}={value}" for name, value in someone.browser.cookies.items())
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/notifications/live/",
            "raw_path": b"/notifications/live/",
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"testserver"), (b"cookie", cookies.encode())],
            "client": (someone.browser.address, 1),
            "server": ("127.0.0.1", 80),
        }
        self.sent: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._left = asyncio.Event()
        self._asked = False
        self.serving = asyncio.create_task(handler(scope, self._receive, self.sent.put))

    async def _receive(self) -> Mapping[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def next_event(self) -> str:
        async with asyncio.timeout(5):
            while True:
                message = await self.sent.get()
                if b"event:" in (body := message.get("body", b"")):
                    return bytes(body).decode()

    def leave(self) -> None:
        self._left.set()


async def test_the_number_comes_at_once_and_again_when_somebody_is_told(
    ann: Someone, web_site: Site, handler: LeanHandler
) -> None:
    connection = Connection(handler, ann)
    start = await connection.sent.get()
    assert start["status"] == 200
    assert (b"Content-Type", b"text/event-stream") in start["headers"]
    assert await connection.next_event() == 'event: unread\ndata: {"unread": 0}\n\n'
    await web_site.live.tell(ann.id)
    assert "unread" in await connection.next_event()
    connection.leave()
    async with asyncio.timeout(2):
        await connection.serving


async def test_a_stream_ends_when_its_reader_leaves(
    ann: Someone, web_site: Site, handler: LeanHandler
) -> None:
    before = web_site.live.streams
    connection = Connection(handler, ann)
    await connection.next_event()
    assert web_site.live.streams == before + 1
    connection.leave()
    async with asyncio.timeout(2):
        await connection.serving
    assert web_site.live.streams == before
