"""A pool of asyncpg connections to one physical server.

Last in, first out, so that few connections stay warm and the rest can go; bounded, so that a slow server queues here
and not in PostgreSQL; every wait ends at the deadline of the work it is part of (`std.deadline`). asyncpg's own pool
costs 2.4 times the CPU a query (docs/shards.md), mostly for proxies and resets that we do not need: our statements
leave no session state behind.

A server that cannot be reached fails fast: after a failed attempt to connect, requests are refused at once until the
next attempt is due, so that one dead server costs only those who need it, and little.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg

from calotype.efficiency.meter import calling
from calotype.infra.shards.tickets import wrote
from calotype.std.deadline import expires_at
from calotype.std.errors import Unavailable

STATEMENTS_PER_CONNECTION = 64
"""Prepared statements kept by a connection. The graph has about twenty; the rest is room for commands."""

FIRST_RETRY_S = 0.1
LAST_RETRY_S = 2.0
"""After failed attempts to connect: the shortest and the longest time until the next."""

PATIENCE_S = 1.0
"""An attempt that was given less time than this and ran out of it says nothing about the server."""

ROLLBACK_S = 1.0
"""A transaction that is not undone within this is undone by closing its connection."""

BROKEN = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a server that ended told an idle connection so, and the next statement met the message
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
)
"""What a query raises when the server or the way to it has gone."""


class ServerUnavailable(Unavailable):
    """A physical server does not answer: down, restarting, or too busy to give a connection in time."""

    code = "server_unavailable"


class ConnectionLost(ServerUnavailable):
    """The server went away while a statement ran. A write may or may not have happened."""


class DeadlineExceeded(Unavailable):
    """A statement was still running when the time of its request was up. A write may or may not have happened."""

    code = "deadline_exceeded"


@dataclass
class PoolMetrics:
    """Since the process started. Everybody who asks for a connection counts in exactly one of the last six."""

    connects: int = 0
    waited: int = 0
    wait_ns: int = 0
    returned: int = 0
    discarded: int = 0
    timed_out: int = 0
    refused: int = 0
    connect_failures: int = 0
    cancelled: int = 0


Arguments = Sequence[object]
type Connection = asyncpg.Connection[asyncpg.Record]

Admit = Callable[[Connection], Awaitable[None]]
"""Looks at a new connection before it is used. Raises `ConnectionError` when its server must not be read yet."""


def _encode_jsonb(document: bytes) -> bytes:
    return b"\x01" + document


def _decode_jsonb(wire: bytes) -> bytes:
    return wire[1:]


async def connect(dsn: str, timeout_s: float) -> Connection:
    """One connection whose jsonb values are the raw bytes of their JSON text, ready for msgspec."""
    async with asyncio.timeout(timeout_s):
        connection: Connection = await asyncpg.connect(
            dsn,
            timeout=timeout_s,
            statement_cache_size=STATEMENTS_PER_CONNECTION,
            server_settings={"application_name": "calotype"},
        )
        try:
            await connection.set_type_codec(
                "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
            )
        except BaseException:
            connection.terminate()
            raise
    return connection


class Pool:
    """At most `size` connections to `dsn`. Belongs to the event loop that first uses it."""

    def __init__(self, name: str, dsn: str, size: int = 16, standby: Pool | None = None) -> None:
        self.name = name
        self.dsn = dsn
        self.size = size
        self.standby = standby
        """Of this server in this process's region: to be read by whoever may see what is a moment old."""
        self.admit: Admit | None = None
        self.metrics = PoolMetrics()
        self._idle: list[Connection] = []
        self._open = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._retry_at = 0.0
        self._retry_s = FIRST_RETRY_S
        self._down = False
        self._probing = False
        self._closed = False

    def __repr__(self) -> str:
        return f"<Pool {self.name}: {self._open - len(self._idle)} of {self.size} in use, {len(self._waiters)} waiting>"

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for the length of the block. Raises `ServerUnavailable` when there is none before the deadline."""
        connection = await self._take()
        try:
            yield connection
        except BaseException as error:
            self._give_back(
                connection, broken=isinstance(error, (*BROKEN, Unavailable, asyncio.CancelledError))
            )
            raise
        else:
            self._give_back(connection, broken=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in an open transaction, committed when the block ends and undone when it raises.

        Begin, commit and rollback keep the deadline too. One that ends while the server commits raises
        `ConnectionLost` or `DeadlineExceeded`: it may or may not have happened.
        """
        wrote(self)
        connection = await self._take()
        try:
            await self.run_on(connection, "begin")
            yield connection
            await self.run_on(connection, "commit")
        except BaseException as error:
            # To close a connection undoes its transaction as well; a dead or busy server can do no more.
            usable = isinstance(error, Exception) and not isinstance(error, (*BROKEN, Unavailable))
            self._give_back(connection, broken=not (usable and await _rolled_back(connection)))
            raise
        self._give_back(connection, broken=False)

    async def run_on(self, connection: Connection, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows of one statement on a connection that was taken before, with the deadline and the errors of the pool."""
        try:
            with calling("postgresql"):
                return await connection.fetch(
                    sql, *arguments, timeout=max(expires_at() - time.monotonic(), 0.001)
                )
        except TimeoutError:
            raise DeadlineExceeded(
                f"{self.name} was still at work when the time for it was up", server=self.name
            ) from None
        except BROKEN as error:
            raise ConnectionLost(
                f"{self.name} went away during a statement: {error}", server=self.name
            ) from error

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows of one statement that only reads: repeated once on a new connection when the old one turns out dead."""
        try:
            return await self._run(sql, arguments)
        except ConnectionLost:
            return await self._run(sql, arguments)

    async def write(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows of one statement that writes: committed when this returns.

        Repeated by itself only when PostgreSQL undid it to end a deadlock, since then nothing of it has happened.
        """
        wrote(self)
        try:
            return await self._run(sql, arguments)
        except asyncpg.DeadlockDetectedError:
            return await self._run(sql, arguments)

    async def _run(self, sql: str, arguments: Arguments) -> list[asyncpg.Record]:
        connection = await self._take()
        try:
            rows = await self.run_on(connection, sql, *arguments)
        except BaseException as error:
            self._give_back(connection, broken=isinstance(error, (Unavailable, asyncio.CancelledError)))
            raise
        self._give_back(connection, broken=False)
        return rows

    async def _take(self) -> Connection:
        if self._closed:
            raise self._refusal("is closed")
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._open -= 1
        if self._open < self.size:
            return await self._connect()
        return await self._wait()

    async def _connect(self) -> Connection:
        """Open one more. While the server is down only one attempt is under way, and everybody else is refused."""
        now = time.monotonic()
        probing = self._down
        if probing and (self._probing or now < self._retry_at):
            due_ms = max(self._retry_at - now, 0.0) * 1000
            raise self._refusal(f"cannot be reached; the next attempt is due in {due_ms:.0f} ms")
        patience_s = max(expires_at() - now, 0.001)
        self._open += 1
        self._probing = probing
        self.metrics.connects += 1
        try:
            connection = await self._opened(patience_s)
        except (*BROKEN, asyncpg.PostgresError, TimeoutError) as error:
            self.metrics.connect_failures += 1
            if not isinstance(error, TimeoutError) or patience_s >= PATIENCE_S:
                self._found_down()
            self._leave_place()
            reason = str(error) or type(error).__name__
            raise ServerUnavailable(f"{self.name} cannot be reached: {reason}", server=self.name) from error
        except BaseException:
            self.metrics.cancelled += 1
            self._leave_place()
            raise
        finally:
            if probing:
                self._probing = False
        self._down, self._retry_s = False, FIRST_RETRY_S
        return connection

    async def _opened(self, patience_s: float) -> Connection:
        connection = await connect(self.dsn, patience_s)
        if self.admit is not None:
            try:
                async with asyncio.timeout(patience_s):
                    await self.admit(connection)
            except BaseException:
                connection.terminate()
                raise
        return connection

    def _found_down(self) -> None:
        """Several attempts that fail at once are one finding: the time until the next one grows once."""
        now = time.monotonic()
        if not self._down or now >= self._retry_at:
            self._down = True
            self._retry_at = now + self._retry_s
            self._retry_s = min(self._retry_s * 2, LAST_RETRY_S)

    def _leave_place(self) -> None:
        self._open -= 1
        self._wake_one_to_connect()

    def _refusal(self, why: str) -> ServerUnavailable:
        """For the caller to raise. The next in the queue learns it at once too, and not at its deadline."""
        self.metrics.refused += 1
        self._wake_one_to_connect()
        return ServerUnavailable(f"{self.name} {why}", server=self.name)

    async def _wait(self) -> Connection:
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self.metrics.waited += 1
        began = time.monotonic_ns()
        try:
            async with asyncio.timeout_at(self._loop_time(expires_at())):
                given = await waiter
        except BaseException as error:
            self._leave(waiter)
            if not isinstance(error, TimeoutError):
                self.metrics.cancelled += 1
                raise
            self.metrics.timed_out += 1
            waited_ms = (time.monotonic_ns() - began) / 1e6
            raise ServerUnavailable(
                f"no connection to {self.name} after {waited_ms:.0f} ms; {self._open} in use, {len(self._waiters)} waiting",
                server=self.name,
            ) from None
        finally:
            self.metrics.wait_ns += time.monotonic_ns() - began
        return given if given is not None else await self._take()

    def _leave(self, waiter: asyncio.Future[Connection | None]) -> None:
        """Leave the queue; what was handed over in the moment of being cancelled goes to the next."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif waiter.done() and not waiter.cancelled():
            given = waiter.result()
            if given is None:
                self._wake_one_to_connect()
            else:
                self._pass_on(given)

    @staticmethod
    def _loop_time(monotonic: float) -> float:
        return asyncio.get_running_loop().time() + monotonic - time.monotonic()

    def _give_back(self, connection: Connection, *, broken: bool) -> None:
        if broken or self._closed or connection.is_closed():
            self.metrics.discarded += 1
            connection.terminate()
            self._leave_place()
            return
        self.metrics.returned += 1
        self._pass_on(connection)

    def _pass_on(self, connection: Connection) -> None:
        """To the first in the queue, else to those that are idle."""
        if self._closed or connection.is_closed():
            connection.terminate()
            self._leave_place()
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def _wake_one_to_connect(self) -> None:
        """A place in the pool is free: the first in the queue may open a connection of its own."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def healthy(self) -> bool:
        """Whether the server answers a statement now."""
        try:
            await self._run("select 1", ())
        except Unavailable:
            return False
        return True

    async def close(self) -> None:
        """Close the idle connections and refuse whoever waits; those in use are closed when they come back. The
        standby's too."""
        if self.standby is not None:
            await self.standby.close()
        self._closed = True
        self._wake_one_to_connect()
        while self._idle:
            self._open -= 1
            with suppress(*BROKEN, TimeoutError):
                await self._idle.pop().close(timeout=2)


async def _rolled_back(connection: Connection) -> bool:
    with suppress(Exception):
        await connection.execute("rollback", timeout=ROLLBACK_S)
        return True
    return False
