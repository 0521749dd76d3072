"""News to open pages: any process tells a person something has changed, each web worker wakes the pages it has open.

The bus is LISTEN and NOTIFY in the control database. It promises nothing: what is lost while a connection is away is
found when a page asks again, as it does when its stream ends. A worker holds so many streams, and each person so many of
them; whoever is refused asks now and then instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextvars import Context

import asyncpg
from django.utils.translation import gettext as _

from calotype.std.errors import TooManyRequests, Unavailable

CHANNEL = "calotype_live"

STREAMS = 1_000
"""Of one worker: each costs a socket and about 30 KB."""

STREAMS_A_PERSON = 6

LASTS_S = 600.0
"""A stream ends after this time, and the page opens another: so a session that has ended is noticed, and a release too."""

QUIET_S = 20.0
"""Without news for so long, something is sent all the same: proxies and dead connections are found so."""

ANSWER_S = 5.0
FIRST_RETRY_S = 0.2
LAST_RETRY_S = 10.0

log = logging.getLogger(__name__)


class TooManyStreams(TooManyRequests):
    """This person has as many streams open as one may."""

    code = "too_many_streams"


class NoMoreStreams(Unavailable):
    """This worker has as many streams open as it may."""

    code = "no_more_streams"
    retry_after_s = 60


class Live:
    """`dsn`: of the control database. Opens its connection when it is first needed."""

    def __init__(self, dsn: str, streams: int = STREAMS) -> None:
        self._dsn = dsn
        self._limit = streams
        self._open: dict[int, set[asyncio.Event]] = defaultdict(set)
        self._amount = 0
        self._listening: asyncio.Task[None] | None = None
        self._sender: asyncpg.Connection[asyncpg.Record] | None = None
        self._sending = asyncio.Lock()
        self._closed = False

    @property
    def streams(self) -> int:
        """Open ones of this process."""
        return self._amount

    async def tell(self, person: int) -> None:
        """Wake the pages of a person, wherever they are open. Never fails: it is lost when the database does not answer."""
        try:
            async with asyncio.timeout(ANSWER_S), self._sending:
                if self._sender is None or self._sender.is_closed():
                    self._sender = await asyncpg.connect(self._dsn, timeout=ANSWER_S)
                await self._sender.execute("select pg_notify($1, $2)", CHANNEL, str(person))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("nobody is told of news for %d: %s", person, error)

    def stream(self, person: int) -> AsyncIterator[bool]:
        """Open a stream: True at its start and whenever there is news, False after `QUIET_S` without.

        Raises `TooManyStreams`, `NoMoreStreams`. It ends after `LASTS_S`, and when this is closed.
        """
        if self._closed or self._amount >= self._limit:
            raise NoMoreStreams(
                _("This server has %(open)d pages open for news; the limit is %(limit)d.")
                % {"open": self._amount, "limit": self._limit}
            )
        if len(self._open[person]) >= STREAMS_A_PERSON:
            raise TooManyStreams(_("You have %d pages open for news; that is the limit.") % STREAMS_A_PERSON)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), context=Context())  # nobody's in particular
        # From here on and not from the first read on: what happens in between is news too.
        news = asyncio.Event()
        news.set()
        self._open[person].add(news)
        self._amount += 1
        return self._wait(person, news)

    async def _wait(self, person: int, news: asyncio.Event) -> AsyncIterator[bool]:
        until = time.monotonic() + LASTS_S
        try:
            while not self._closed and time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(QUIET_S):
                        await news.wait()
                if not self._closed:
                    told = news.is_set()
                    news.clear()
                    yield told
        finally:
            self._forget(person, news)

    def _forget(self, person: int, news: asyncio.Event) -> None:
        self._amount -= 1
        self._open[person].discard(news)
        if not self._open[person]:
            del self._open[person]

    async def close(self) -> None:
        """End all streams at once, so that a worker can stop."""
        self._closed = True
        self._wake_all()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        if self._sender is not None:
            self._sender.terminate()

    def _wake_all(self) -> None:
        for streams in self._open.values():
            for news in streams:
                news.set()

    async def _listen(self) -> None:
        """Hear of news until cancelled. After each new connection everybody looks: something may have been missed."""
        retry_s = FIRST_RETRY_S
        while True:
            try:
                connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
                    self._dsn, timeout=ANSWER_S
                )
                gone = asyncio.Event()
                connection.add_termination_listener(lambda *_, gone=gone: gone.set())
                try:
                    async with asyncio.timeout(ANSWER_S):
                        await connection.add_listener(CHANNEL, self._heard)
                    retry_s = FIRST_RETRY_S
                    self._wake_all()
                    await gone.wait()
                finally:
                    connection.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("pages are not told of news: %s", error)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, LAST_RETRY_S)

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        # Anybody with the database's password can send; what is no person wakes nobody.
        with contextlib.suppress(ValueError):
            for news in self._open.get(int(str(payload)), ()):
                news.set()
