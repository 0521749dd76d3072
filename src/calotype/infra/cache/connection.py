"""One connection to one memcached server, shared by everything that runs on its event loop.

Commands of memcached's meta protocol (https://github.com/memcached/memcached/blob/1.6.18/doc/protocol.txt) are
pipelined: those of one turn of the loop go out in one write, and the answers come back in their order. Answers carry no
name, so a command that is no longer waited for keeps its place in the queue.

Progress is watched by one timer a connection and not by one a command: a server that answers nothing for `timeout_s`
while something is asked of it is given up, with everything behind it. That costs nothing while all is well. A frozen
server does what it was asked when it is thawed, though nobody waits any longer; so its connection is heard for a while,
and what has won something may give it back (`Late`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from calotype.infra.cache.errors import CacheMisused, CacheUnavailable
from calotype.std.errors import CalotypeError

QUEUE_LIMIT = 20_000
"""Commands under way: a server that is slower than what is asked of it is treated as away, not queued for."""

LINE_LIMIT = 2_048
"""Bytes of an answer's first line. The protocol's are far shorter; what is longer is no answer."""

ANSWER_LIMIT = 64 << 20
"""Bytes of a value that is announced, far over what any memcached is set to hold."""

GRACE_S = 0.02
"""After the time is up: long enough to read what arrived while the loop was busy."""

LATE_S = 10.0
"""How long a connection that was given up is still heard. What a lease is for has gone by then: see `STALE_S`."""

_V = ord("V")
_SHORT = frozenset((b"HD", b"EN", b"NS", b"EX", b"NF", b"MN", b"OK"))
_ERRORS = frozenset((b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"))


type Reply = tuple[bytes, list[bytes], bytes | None]
"""The answer to one command: status (VA, HD, EN, NS, EX, NF, MN, OK), flags as they came, the value of VA alone. A bare
tuple, since a page's worth of them is made at once."""

type Late = Callable[[Connection, list[Reply]], None]
"""What is done with replies that nobody waits for any longer."""


class _Waiting:
    __slots__ = ("amount", "fault", "future", "late", "replies")

    def __init__(self, future: asyncio.Future[list[Reply]] | None, amount: int, late: Late | None) -> None:
        self.future = future
        self.amount = amount
        self.late = late
        self.replies: list[Reply] = []
        self.fault: CalotypeError | None = None


class Connection(asyncio.Protocol):
    """Made by `connect`. `alive`: can be asked. `heard`: still there, though it may have been given up. `lost` is called
    when it is no longer the one, and again when it is no longer the other."""

    def __init__(self, name: str, timeout_s: float, lost: Callable[[Connection], None]) -> None:
        self.name = name
        self.alive = False
        self.heard = False
        self._timeout_s = timeout_s
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[_Waiting] = deque()
        self._under_way = 0
        self._out: list[bytes] = []
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = 0
        self._progress_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._suspected = False

    # Commands

    def send(self, commands: bytes, amount: int, late: Late | None = None) -> asyncio.Future[list[Reply]]:
        """Send `amount` whole commands; a future of their replies, in order. Raises `CacheUnavailable` at once when
        the connection is gone or too much is under way; the future fails with it when that happens later. `late` gets
        the replies if they come when the future has been cancelled or the server given up."""
        if not self.alive or self._under_way > QUEUE_LIMIT:
            raise CacheUnavailable(
                f"{self.name}: {self._under_way} commands under way, connected: {self.alive}"
            )
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        self._queue(commands, _Waiting(future, amount, late))
        return future

    def tell(self, commands: bytes, amount: int) -> bool:
        """Send `amount` whole commands whose replies change nothing, even to a server that was given up. Whether they were
        sent: not when the connection is gone or too much is under way."""
        if not self.heard or self._under_way > QUEUE_LIMIT:
            return False
        self._queue(commands, _Waiting(None, amount, None))
        return True

    def _queue(self, commands: bytes, waiting: _Waiting) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        if not self._waiting:
            self._progress_at = self._loop.time()
        self._waiting.append(waiting)
        self._under_way += waiting.amount
        self._out.append(commands)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is None or not self.heard:
            return
        self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._look)

    def close(self, why: str = "closed") -> None:
        """End it now; whatever is under way fails."""
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    # Answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.alive = self.heard = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else "the server closed the connection")

    def data_received(self, data: bytes) -> None:
        self._progress_at = self._loop.time()
        self._suspected = False
        if self._chunks:
            self._chunks.append(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data = b"".join(self._chunks)
            self._chunks.clear()
        self._need = 0
        try:
            used = self._read(data)
        except (ValueError, IndexError) as error:
            self.close(f"sent what is no answer: {error}")
            return
        if used < len(data):
            self._chunks.append(data[used:] if used else data)
            self._have = len(data) - used

    def _read(self, data: bytes) -> int:
        """Take all whole answers from the data; how many bytes they were. Sets `_need` when a value's end is known."""
        position, size = 0, len(data)
        find, waiting = data.find, self._waiting
        while position < size:
            current = waiting[0]
            replies, missing = current.replies, current.amount - len(current.replies)
            while missing and position < size:
                end = find(b"\r\n", position)
                if end < 0:
                    return self._wait_for_line(position, size)
                if data[position] == _V:  # of VA: nothing else begins with it
                    flags = data[position + 3 : end].split(b" ")
                    start = end + 2
                    stop = start + int(flags.pop(0))
                    if stop + 2 > size or stop < start:
                        return self._wait_for_value(position, start, stop)
                    replies.append((b"VA", flags, data[start:stop]))
                    position = stop + 2
                else:
                    replies.append(_short(data[position:end], current))
                    position = end + 2
                missing -= 1
            if not missing:
                self._finish(waiting.popleft())
        return position

    def _wait_for_line(self, position: int, size: int) -> int:
        if size - position > LINE_LIMIT:
            raise ValueError(f"{size - position} bytes without a line's end")
        return position

    def _wait_for_value(self, position: int, start: int, stop: int) -> int:
        if not 0 <= stop - start <= ANSWER_LIMIT:
            raise ValueError(f"a value of {stop - start} bytes")
        self._need = stop + 2 - position
        return position

    def _finish(self, done: _Waiting) -> None:
        self._under_way -= done.amount
        if done.future is None or done.future.done():
            if done.late is not None and done.fault is None:
                done.late(self, done.replies)
        elif done.fault is None:
            done.future.set_result(done.replies)
        else:
            done.future.set_exception(done.fault)

    # The end

    def _look(self) -> None:
        """Whether the server still answers; asked again as long as something is under way."""
        self._watch = None
        if not self._waiting or not self.alive:
            return
        left = self._progress_at + self._timeout_s - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        elif not self._suspected:
            self._suspected = True  # the loop itself may have been late: read once more before judging
            self._watch = self._loop.call_later(GRACE_S, self._look)
        else:
            self._give_up(f"no answer within {self._timeout_s * 1000:.0f} ms")

    def _give_up(self, why: str) -> None:
        self.alive = False
        self._watch = self._loop.call_later(LATE_S, self.close, why)
        self._fail(why)
        self._lost(self)

    def _end(self, why: str) -> None:
        if not self.heard:
            return
        self.alive = self.heard = False
        if self._watch is not None:
            self._watch.cancel()
        self._fail(why)
        self._waiting.clear()
        self._lost(self)

    def _fail(self, why: str) -> None:
        error = CacheUnavailable(f"{self.name}: {why}")
        for each in self._waiting:
            if each.future is not None and not each.future.done():
                each.future.set_exception(error)


def _short(line: bytes, current: _Waiting) -> Reply:
    """A reply without a value: `HD f77 s3`, `EN`, `SERVER_ERROR out of memory`. Raises `ValueError` for anything else."""
    status, *flags = line.split(b" ")
    if status in _ERRORS:
        fault = CacheMisused if status == b"CLIENT_ERROR" else CacheUnavailable
        current.fault = fault(f"memcached said: {line[:200].decode(errors='replace')}")
    elif status not in _SHORT:
        raise ValueError(repr(line[:40]))
    return status, flags, None


async def connect(name: str, timeout_s: float, lost: Callable[[Connection], None]) -> Connection:
    """Connect to `host:port` or to a Unix socket's path. Raises `CacheUnavailable`."""
    loop = asyncio.get_running_loop()

    def make() -> Connection:
        return Connection(name, timeout_s, lost)

    try:
        async with asyncio.timeout(timeout_s):
            if name.startswith("/"):
                return (await loop.create_unix_connection(make, name))[1]
            host, _, port = name.rpartition(":")
            return (await loop.create_connection(make, host.strip("[]"), int(port)))[1]
    except (OSError, TimeoutError) as error:
        raise CacheUnavailable(f"memcached {name} cannot be reached: {str(error) or 'no answer'}") from None
