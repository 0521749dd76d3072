"""A memcached server as one event loop sees it: its connection, made anew with back-off, and a circuit.

The first connection is waited for. Once a server has failed nobody waits for it again: its keys go to the gutter, or
their readers to the database, while one attempt at a time, in the background, finds out whether it is back. A frozen
server accepts connections too, so an attempt counts when a command was answered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from calotype.infra.cache.connection import Connection, connect
from calotype.infra.cache.errors import CacheUnavailable
from calotype.std.deadline import remaining_s

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0
"""After a failure: the shortest and the longest time until the next attempt to connect."""

HEALTHY_S = 5.0
"""A connection that lasted this long has earned a first, short delay again."""


@dataclass
class ServerMetrics:
    """Since the process started."""

    connects: int = 0
    failures: int = 0
    """Attempts to connect that failed, and connections that ended by themselves or by a time-out."""
    refused: int = 0
    """Calls that found the circuit open."""


class Server:
    """One a server and loop."""

    def __init__(self, name: str, timeout_s: float) -> None:
        self.name = name
        self.metrics = ServerMetrics()
        self.live: Connection | None = None
        self._timeout_s = timeout_s
        self._connecting: asyncio.Task[Connection] | None = None
        self._failed = False
        self._retry_at = 0.0
        self._retry_s = FIRST_RETRY_S
        self._connected_at = 0.0
        self._closed = False
        self._given_up: set[Connection] = set()

    def __repr__(self) -> str:
        return (
            f"<Server {self.name}: {'up' if self.live else 'down' if self._failed else 'not connected yet'}>"
        )

    async def connection(self) -> Connection:
        """The live connection, made if there never was one; waits until the deadline at most. Raises
        `CacheUnavailable`, at once after a failure."""
        if self.live is not None:
            return self.live
        self.wake()
        if self._failed or self._connecting is None:
            self.metrics.refused += 1
            raise CacheUnavailable(f"memcached {self.name} is away")
        try:
            async with asyncio.timeout(remaining_s()):
                return await asyncio.shield(self._connecting)
        except TimeoutError:
            raise CacheUnavailable(
                f"memcached {self.name} was not connected when the time for it was up"
            ) from None

    def wake(self) -> None:
        """Begin to connect, if it is not connected and the time has come."""
        if self.live is not None or self._connecting is not None or self._closed:
            return
        loop = asyncio.get_running_loop()
        if loop.time() >= self._retry_at:
            self.metrics.connects += 1
            self._connecting = loop.create_task(self._connect())
            self._connecting.add_done_callback(self._connected)

    async def _connect(self) -> Connection:
        """A task of its own: whoever asked first may be cancelled, others wait for it too."""
        connection = await connect(self.name, self._timeout_s, self._ended)
        try:
            await connection.send(b"mn\r\n", 1)
        except BaseException:
            connection.close()
            raise
        self.live, self._failed = connection, False
        self._connected_at = asyncio.get_running_loop().time()
        return connection

    def _connected(self, done: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not done.cancelled() and done.exception() is not None:
            self._open_circuit()

    def _ended(self, connection: Connection) -> None:
        """It has, or has been given up and is heard for a while."""
        if connection.heard:
            self._given_up.add(connection)
        else:
            self._given_up.discard(connection)
        if self.live is not connection:
            return
        self.live = None
        if asyncio.get_running_loop().time() - self._connected_at >= HEALTHY_S:
            self._retry_s = FIRST_RETRY_S
        if not self._closed:
            self._open_circuit()

    def _open_circuit(self) -> None:
        self._failed = True
        self.metrics.failures += 1
        self._retry_at = asyncio.get_running_loop().time() + self._retry_s
        self._retry_s = min(self._retry_s * 2, LAST_RETRY_S)

    async def close(self) -> None:
        self._closed = True
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
        for connection in (self.live, *self._given_up):
            if connection is not None:
                connection.close()
