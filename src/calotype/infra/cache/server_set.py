"""A set of memcached servers among which keys are spread: sends each server its share of a batch in one write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from calotype.efficiency.meter import calling
from calotype.infra.cache.connection import Connection, Late, Reply
from calotype.infra.cache.errors import CacheUnavailable
from calotype.infra.cache.keys import Key
from calotype.infra.cache.rendezvous import Rendezvous
from calotype.infra.cache.server import Server
from calotype.std.deadline import remaining_s


class Command:
    """A command of one key without a value, e.g. `Command(b"mg", b"v")`."""

    __slots__ = ("_between", "_head", "_tail")

    def __init__(self, verb: bytes, flags: bytes) -> None:
        self._head = verb + b" "
        self._tail = b" " + flags + b"\r\n" if flags else b"\r\n"
        self._between = self._tail + self._head

    def of(self, keys: Sequence[Key]) -> bytes:
        """The command for each of the keys, as it goes over the wire."""
        return self._head + self._between.join(keys) + self._tail


type _Replies = asyncio.Future[list[Reply]]


class Answer(NamedTuple):
    """What one server said to its share of the keys, reply by reply; None of it when the server is away."""

    keys: Sequence[Key]
    replies: list[Reply] | None
    connection: Connection | None


type LateAnswer = Callable[[Answer], None]
"""What is done with an answer that nobody waits for any longer."""


class ServerSet:
    """Belongs to one event loop. Names are addresses: `host:port` or the path of a Unix socket."""

    def __init__(self, names: Sequence[str], timeout_s: float) -> None:
        self.servers = [Server(name, timeout_s) for name in names]
        self._timeout_s = timeout_s
        self._place = Rendezvous(names)

    def __bool__(self) -> bool:
        return bool(self.servers)

    def server(self, key: Key) -> Server:
        """The key's own."""
        return self.servers[self._place.place(key)]

    async def ask(
        self, keys: Sequence[Key], command: Command, late: LateAnswer | None = None
    ) -> list[Answer]:
        """Send each server the command for its keys, all before the first answer is waited for.

        `late` gets what is answered all the same when this was cancelled, its deadline has passed or a server that was
        given up comes back.
        """
        shares = self._shares(keys)
        for server, _ in shares:
            if server.live is None:
                await _first_connections([server for server, _ in shares])
                break
        sent = [
            (some, *_send(server, command.of(some), len(some), late and partial(_answer_late, late, some)))
            for server, some in shares
        ]
        try:
            with calling("memcached"):
                return [
                    Answer(some, await self._replies(future), connection) for some, connection, future in sent
                ]
        except asyncio.CancelledError:
            if late is not None:
                _hand_over(sent, late)
            raise

    def _shares(self, keys: Sequence[Key]) -> list[tuple[Server, Sequence[Key]]]:
        if len(self.servers) == 1:
            return [(self.servers[0], keys)] if keys else []
        by_server: dict[int, list[Key]] = {}
        place = self._place.place
        for key in keys:
            by_server.setdefault(place(key), []).append(key)
        return [(self.servers[at], some) for at, some in by_server.items()]

    async def one(self, key: Key, command: bytes) -> Reply:
        """The reply to one whole command about this key. Raises `CacheUnavailable`."""
        server = self.server(key)
        connection = server.live or await server.connection()
        with calling("memcached"):
            return (await self._in_time(connection.send(command, 1)))[0]

    async def each(self, command: bytes) -> list[Reply | None]:
        """The reply of each server to one whole command; None from those that are away."""
        await _first_connections(self.servers)
        sent = [_send(server, command, 1)[1] for server in self.servers]
        answers = [await self._replies(future) for future in sent]
        return [None if replies is None else replies[0] for replies in answers]

    async def _replies(self, future: _Replies | None) -> list[Reply] | None:
        if future is None:
            return None
        try:
            return await self._in_time(future)
        except CacheUnavailable:
            return None

    def _in_time(self, future: _Replies) -> Awaitable[list[Reply]]:
        """The replies, until the deadline. A connection watches its own progress, so only a deadline that may come
        sooner than its time-out needs a timer."""
        left_s = remaining_s()
        return future if left_s > self._timeout_s * 2 else _within(left_s, future)

    async def close(self) -> None:
        for server in self.servers:
            await server.close()


async def _first_connections(servers: Sequence[Server]) -> None:
    """Wait for those that there never were, all at once."""
    for server in servers:
        server.wake()
    for server in servers:
        with suppress(CacheUnavailable):
            await server.connection()


def _hand_over(
    sent: Sequence[tuple[Sequence[Key], Connection | None, _Replies | None]], late: LateAnswer
) -> None:
    """Replies that have come are late as of now, and others when they come."""
    for some, connection, future in sent:
        if connection is None or future is None or future.cancel() or future.cancelled():
            continue
        if future.exception() is None:
            late(Answer(some, future.result(), connection))


def _answer_late(late: LateAnswer, keys: Sequence[Key], connection: Connection, replies: list[Reply]) -> None:
    late(Answer(keys, replies, connection))


def _send(
    server: Server, commands: bytes, amount: int, late: Late | None = None
) -> tuple[Connection, _Replies] | tuple[None, None]:
    connection = server.live
    if connection is None:
        return None, None
    try:
        return connection, connection.send(commands, amount, late)
    except CacheUnavailable:
        return None, None


async def _within(seconds: float, future: _Replies) -> list[Reply]:
    try:
        async with asyncio.timeout(seconds):
            return await future
    except TimeoutError:
        raise CacheUnavailable("memcached had not answered when the time for it was up") from None
