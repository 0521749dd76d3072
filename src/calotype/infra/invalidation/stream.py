"""One session on a database's commit log: `START_REPLICATION SLOT ... LOGICAL` over psycopg's pq.

The server sends from where the slot was last acknowledged. What has not been acknowledged comes again in the next
session, so whoever applies it must not mind applying it twice. Source: PostgreSQL's manual, "Streaming Replication
Protocol".
"""

from __future__ import annotations

import asyncio
import time
from struct import Struct
from typing import Self

import msgspec
import psycopg
from psycopg import generators, pq, sql

from calotype.infra.invalidation.pgoutput import Begin, Change, Commit, Decoder, Message, Truncate
from calotype.infra.invalidation.positions import Lsn, parse_lsn
from calotype.infra.invalidation.slots import Database, publication_missing
from calotype.std.errors import Unavailable

HEARTBEAT_S = 1.0
"""How often the server hears from us, and is asked where its log ends."""

SILENCE_S = 30.0
"""A server that answers no heartbeat for so long has gone, whatever TCP believes."""
assert SILENCE_S > 10 * HEARTBEAT_S, "one lost heartbeat is no silence"

IDLE_INTERVAL_S = 0.02
"""While only other databases write, positions come as fast as they are acknowledged: no more often than this, then."""

BATCH_CHANGES = 5_000
BATCH_BYTES = 4 << 20
"""A batch ends when it holds so much, be it in the midst of a transaction."""

CONNECT_TIMEOUT_S = 5

_EPOCH_US = 946_684_800_000_000
_XLOG_DATA, _KEEPALIVE = b"wk"
_HEADER_BYTES = 25
_KEEPALIVE_BODY = Struct(">QqB")
_STATUS = Struct(">cQQQqB")


class StreamLost(Unavailable):
    """The session has ended: the server, its walsender or the way to it has gone, or it would not begin."""

    code = "log_stream_lost"


class Batch(msgspec.Struct):
    """What had arrived, in the order of the commits.

    `position`: everything committed before it is in this batch or was in an earlier one. The changes behind it are of a
    transaction whose end is still to come; it has committed, so they may be applied at once. `xids`: of the transactions
    that begin in it; `committed_ms`: when the first transaction of it was committed, 0 if there is none; `begins`: of
    each that begins in it, the place of its first change and when it was committed; `whole`: the last of them ends in it.
    """

    position: Lsn
    changes: list[Change | Truncate | Message] = []
    xids: list[int] = []
    committed_ms: int = 0
    begins: list[tuple[int, int]] = []
    whole: bool = True
    size_bytes: int = 0

    @property
    def full(self) -> bool:
        return len(self.changes) >= BATCH_CHANGES or self.size_bytes >= BATCH_BYTES


class LogStream:
    """Made by `open_stream`. Belongs to one task of one event loop."""

    def __init__(self, connection: Database, confirmed: Lsn) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._fd = self._pg.socket
        self._decoder = Decoder()
        self._position = self._reported = self._confirmed = confirmed
        self._in_transaction = False
        self._committed_ms = 0
        self._reported_at = 0.0
        self._heard_at = time.monotonic()
        self._failure: StreamLost | None = None
        self._beat = self._loop.call_later(HEARTBEAT_S, self._heartbeat)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def batch(self, timeout_s: float) -> Batch:
        """All changes that have arrived by now; waits for the first if there are none.

        Ends with no changes when the position alone has moved, or after `timeout_s`. While nobody calls this the
        server has to wait: nothing is read. Raises `StreamLost`, and `LogMalformed` for what is not pgoutput.
        """
        until = time.monotonic() + timeout_s
        batch = Batch(self._position, committed_ms=self._committed_ms)
        while True:
            self._drain(batch)
            now = time.monotonic()
            moved = batch.position > self._reported
            if batch.changes or now >= until or (moved and now >= self._reported_at + IDLE_INTERVAL_S):
                self._reported, self._reported_at = batch.position, now
                batch.whole = not self._in_transaction
                return batch
            await self._arrival(min(until, self._reported_at + IDLE_INTERVAL_S if moved else until) - now)

    def confirm(self, position: Lsn) -> None:
        """Acknowledge everything up to a batch's position: it never comes again. Raises `StreamLost`."""
        if position > self._confirmed:
            self._confirmed = position
            self._send_status()
            self._raise_failure()

    async def close(self) -> None:
        self._beat.cancel()
        self._forget_socket()
        await self._connection.close()

    # From the server

    def _drain(self, batch: Batch) -> None:
        """Take what has arrived, with one look at the socket after the last of it."""
        self._raise_failure()
        looked = False
        while not batch.full:
            try:
                size, data = self._pg.get_copy_data(1)
                if size == 0:
                    if looked:
                        return
                    self._pg.consume_input()
            except psycopg.Error as error:
                raise _lost(str(error)) from error
            looked = size == 0
            if size < 0:
                raise self._ended()
            if size > 0:
                self._take(batch, bytes(data))

    def _take(self, batch: Batch, data: bytes) -> None:
        self._heard_at = time.monotonic()
        if data[0] == _XLOG_DATA:
            batch.size_bytes += len(data)
            self._change(batch, data[_HEADER_BYTES:])
        elif data[0] == _KEEPALIVE:
            end, _, reply = _KEEPALIVE_BODY.unpack_from(data, 1)
            self._keepalive(batch, Lsn(end), bool(reply))

    def _change(self, batch: Batch, message: bytes) -> None:
        decoded = self._decoder.decode(message)
        if isinstance(decoded, (Change, Truncate, Message)):
            batch.changes.append(decoded)
        elif isinstance(decoded, Begin):
            self._in_transaction = True
            batch.xids.append(decoded.xid)
            batch.begins.append((len(batch.changes), decoded.committed_ms))
            self._committed_ms = decoded.committed_ms
            batch.committed_ms = batch.committed_ms or decoded.committed_ms
        elif isinstance(decoded, Commit):
            self._in_transaction = False
            self._committed_ms = 0
            self._reach(batch, decoded.end)

    def _keepalive(self, batch: Batch, end: Lsn, reply: bool) -> None:
        """All that committed before `end` has been sent, so the position moves on without a transaction of ours."""
        if not self._in_transaction:
            self._reach(batch, end)
        if reply:
            self._send_status()

    def _reach(self, batch: Batch, position: Lsn) -> None:
        if position > self._position:
            self._position = batch.position = position

    async def _arrival(self, timeout_s: float) -> None:
        """Return when there is something to read, or after the time-out; the socket is watched meanwhile only."""
        if time.monotonic() - self._heard_at > SILENCE_S:
            raise _lost(f"the server has been silent for {SILENCE_S:.0f} s")
        readable = asyncio.Event()
        self._loop.add_reader(self._fd, readable.set)
        timer = self._loop.call_later(max(timeout_s, 0.0), readable.set)
        try:
            await readable.wait()
        finally:
            timer.cancel()
            self._loop.remove_reader(self._fd)

    def _ended(self) -> StreamLost:
        """A stream that ends says why in the result that follows, if at all."""
        try:
            result = self._pg.get_result()
        except psycopg.Error as error:
            return _lost(str(error))
        return _lost((result and result.error_message) or self._pg.error_message)

    # To the server

    def _heartbeat(self) -> None:
        self._beat = self._loop.call_later(HEARTBEAT_S, self._heartbeat)
        self._send_status(reply=True)

    def _send_status(self, *, reply: bool = False) -> None:
        """Never raises, since a timer calls it too: the failure waits for the next call of `batch` or `confirm`."""
        now_us = time.time_ns() // 1000 - _EPOCH_US
        lsn = self._confirmed
        try:
            self._pg.put_copy_data(_STATUS.pack(b"r", lsn, lsn, lsn, now_us, reply))
        except psycopg.Error as error:
            self._fail(error)
        else:
            self._flush()

    def _flush(self) -> None:
        try:
            if self._pg.flush():
                self._loop.add_writer(self._fd, self._flush)
            else:
                self._loop.remove_writer(self._fd)
        except psycopg.Error as error:
            self._fail(error)

    def _fail(self, error: psycopg.Error) -> None:
        self._failure = _lost(str(error))
        self._beat.cancel()
        self._forget_socket()

    def _forget_socket(self) -> None:
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


async def open_stream(dsn: str, slot: str, publication: str, confirmed: Lsn) -> LogStream:
    """Begin to read from where `slot` was acknowledged, which is `confirmed` or later. Raises `StreamLost`."""
    connection = await _connect(dsn, "calotype invalidator")
    try:
        await _start(connection, slot, publication)
        return LogStream(connection, confirmed)
    except BaseException:
        await connection.close()
        raise


async def open_temporary_stream(dsn: str, slot: str, publication: str) -> LogStream:
    """Begin to read what commits from now on, by a new slot that ends with the stream. Raises `StreamLost`, and
    `PublicationMissing`."""
    connection = await _connect(dsn, "calotype watcher")
    try:
        await _require(connection, publication)
        confirmed = await _create_temporary_slot(connection, slot)
        await _start(connection, slot, publication)
        return LogStream(connection, confirmed)
    except BaseException:
        await connection.close()
        raise


async def _connect(dsn: str, application_name: str) -> Database:
    try:
        return await psycopg.AsyncConnection.connect(
            dsn,
            autocommit=True,
            replication="database",
            client_encoding="utf8",
            application_name=application_name,
            connect_timeout=CONNECT_TIMEOUT_S,
            tcp_user_timeout=10_000,
        )
    except psycopg.Error as error:
        raise _lost(str(error)) from error


async def _require(connection: Database, publication: str) -> None:
    query = sql.SQL("select from pg_publication where pubname = {}").format(sql.Literal(publication))
    if not await _rows(connection, query):
        raise publication_missing(connection, publication)


async def _create_temporary_slot(connection: Database, slot: str) -> Lsn:
    """Where it begins."""
    query = sql.SQL("select lsn::text from pg_create_logical_replication_slot({}, 'pgoutput', true)")
    ((lsn,),) = await _rows(connection, query.format(sql.Literal(slot)))
    return parse_lsn(str(lsn))


async def _rows(connection: Database, query: sql.Composed) -> list[tuple[object, ...]]:
    """Without parameters: the simple protocol is the only one on a connection for replication."""
    try:
        return await (await connection.execute(query)).fetchall()
    except psycopg.Error as error:
        raise _lost(str(error)) from error


async def _start(connection: Database, slot: str, publication: str) -> None:
    command = sql.SQL(
        "START_REPLICATION SLOT {} LOGICAL 0/0 (proto_version '1', publication_names {}, messages 'true')"
    ).format(sql.Identifier(slot), sql.Literal(f'"{publication}"'))
    try:
        connection.pgconn.send_query(command.as_bytes(connection))
        (result,) = await connection.wait(generators.execute(connection.pgconn))
    except psycopg.Error as error:
        raise _lost(str(error)) from error
    if result.status != pq.ExecStatus.COPY_BOTH:
        raise _lost(result.get_error_message())


def _lost(why: str | bytes) -> StreamLost:
    text = why.decode(errors="replace") if isinstance(why, bytes) else why
    return StreamLost(f"the stream of the commit log has ended: {text.strip() or 'no reason was given'}")
