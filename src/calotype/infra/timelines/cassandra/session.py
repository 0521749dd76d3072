"""A process's session with a Cassandra cluster: prepared statements, one deadline, other nodes when one fails.

The driver is acsylla (ScyllaDB's C++ driver, which speaks to Cassandra as well). A statement that may be repeated is
sent to a second node when the first has not answered for a while, and tried again after a failure, as long as the
current deadline has time left. Once nothing has answered for several statements, callers are refused at once and
one in a while is let through to look.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

import acsylla
from acsylla import errors
from msgspec import Struct

from calotype.efficiency.meter import calling
from calotype.std.deadline import remaining_s
from calotype.std.errors import Unavailable

type Value = int | str | bool | None
type Row = tuple[Any, ...]
"""Typed by the statement, which this layer does not read."""

KEYSPACE = "calotype"
CQL_PORT = 9042

ATTEMPTS = 3
ATTEMPT_S = 2.0
"""For the answer to one sending of a statement; a second node is asked much earlier."""

PREPARE_ATTEMPTS = 4
PREPARE_S = 0.4

SECOND_NODE_AFTER_MS = 150
"""Several times the slowest answers of a node that is well, and less than anybody notices."""

CONNECT_S = 3.0
AT_ONCE = 128
"""Statements of `run_many` that are under way at the same time: more only wait in the nodes."""

FAILURES_UNTIL_REFUSED = 4
REFUSED_S = 0.5
LOOKS_FOR_S = 2.0
"""While one statement finds out whether the cluster is back."""

_AGAIN = (
    TimeoutError,
    errors.CassErrorLibRequestTimedOut,
    errors.CassErrorLibNoStreams,
    errors.CassErrorLibRequestQueueFull,
    errors.CassErrorLibWriteError,
    errors.CassErrorServerUnavailable,
    errors.CassErrorServerOverloaded,
    errors.CassErrorServerIsBootstrapping,
    errors.CassErrorServerWriteTimeout,
    errors.CassErrorServerReadTimeout,
    errors.CassErrorServerReadFailure,
    errors.CassErrorServerWriteFailure,
)
"""The same statement may succeed on another node, or a moment later."""

_made: list[acsylla.Session] = []
"""Every session that there was, for as long as the process lives, which makes one or two. When the driver frees one, a thread of
its own may still be telling it of nodes: that ends the process ("pure virtual method called")."""

log = logging.getLogger(__name__)
# It warns of each connection that the server is Cassandra and not ScyllaDB.
logging.getLogger("acsylla").addFilter(lambda record: "sharding info" not in record.getMessage())


class CassandraUnavailable(Unavailable):
    """No node answers, or too few of those that hold the data."""

    code = "cassandra_unavailable"


class Nodes(Struct, frozen=True):
    """Where a cluster is. `hosts`: some of its nodes, from which the driver learns of all."""

    hosts: tuple[str, ...]
    port: int = CQL_PORT
    user: str = ""
    password: str = ""
    keyspace: str = KEYSPACE


class Session:
    """Connected when it is first used, so that a process starts whether or not the cluster is there. For one event loop."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._connecting: asyncio.Task[acsylla.Session] | None = None
        self._session: acsylla.Session | None = None
        self._prepared: dict[str, acsylla.PreparedStatement] = {}
        self._late: set[asyncio.Task[Any]] = set()
        """What the driver still does although nobody waits for it."""
        self._failures = 0
        self._refused_until = 0.0

    async def close(self) -> None:
        if self._connecting is not None:
            with contextlib.suppress(errors.CassException):
                self._session = await self._connecting
        if self._late:  # a session is not closed under what it still does
            await asyncio.wait(self._late, timeout=ATTEMPT_S)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def run(self, cql: str, values: Sequence[Value] = (), *, idempotent: bool = True) -> list[Row]:
        """The rows of a statement, at QUORUM; lightweight transactions are not `idempotent`, and are sent once.

        Raises `CassandraUnavailable` within the deadline. A write that has failed may have happened.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._once(cql, values, idempotent)
            except _AGAIN as error:
                if not idempotent or attempt == ATTEMPTS or remaining_s() <= 0:
                    raise self._failed(error) from error
            except errors.CassException as error:
                raise self._failed(error) from error
        raise AssertionError

    async def run_many(self, cql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run a write with each row of values, in any order, many at a time. Raises as `run`; those that were not tried
        yet are given up then."""
        waiting = iter(rows)

        async def some() -> None:
            for values in waiting:
                await self.run(cql, values)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(some())

    async def healthy(self) -> bool:
        try:
            await self.run("SELECT release_version FROM system.local")
        except CassandraUnavailable as error:
            log.warning("%s", error.message)
            return False
        return True

    async def _once(self, cql: str, values: Sequence[Value], idempotent: bool) -> list[Row]:
        if self._failures >= FAILURES_UNTIL_REFUSED:
            if time.monotonic() < self._refused_until:
                raise CassandraUnavailable(f"Cassandra at {self._named()} has not answered lately")
            self._refused_until = time.monotonic() + LOOKS_FOR_S  # this one looks, the others need not
        session = self._session or await self._connect()
        prepared = self._prepared.get(cql) or await self._prepare(session, cql)
        statement = prepared.bind(values)
        statement.set_is_idempotent(idempotent)
        # Not the driver's own timer: it does not end a statement whose connections are all being lost.
        with calling("cassandra"):
            result = await self._within(min(ATTEMPT_S, remaining_s()), session.execute(statement))
        self._failures = 0
        return [row.as_tuple() for row in result.all()] if result.count() else []

    async def _prepare(self, session: acsylla.Session, cql: str) -> acsylla.PreparedStatement:
        """By one node, the next one if it does not answer: the driver asks no second node for this."""
        for _ in range(PREPARE_ATTEMPTS):
            try:
                prepared = await self._within(min(PREPARE_S, remaining_s()), session.create_prepared(cql))
            except TimeoutError as error:
                failed = error
            else:
                self._prepared[cql] = prepared
                return prepared
        raise failed

    async def _within[T](self, seconds: float, driven: Coroutine[Any, Any, T]) -> T:
        """What the driver does, waited for so long. It is never cancelled: its answer would come to what is gone by then, and
        the process would end with it."""
        attempt = asyncio.create_task(driven)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(attempt)
        finally:
            if not attempt.done():
                self._late.add(attempt)
                attempt.add_done_callback(self._has_ended)

    def _has_ended(self, attempt: asyncio.Task[Any]) -> None:
        self._late.discard(attempt)
        if not attempt.cancelled():
            attempt.exception()  # nobody waits for it any longer

    async def _connect(self) -> acsylla.Session:
        """The one attempt that all wait for. It goes on when they give up: the driver never returns from an attempt that
        is cancelled."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(connect(self._nodes))
        attempt = self._connecting
        try:
            async with asyncio.timeout(remaining_s()):
                self._session = await asyncio.shield(attempt)
        except TimeoutError:
            raise CassandraUnavailable(f"Cassandra at {self._named()} cannot be reached in time") from None
        finally:
            if attempt.done() and self._connecting is attempt:
                self._connecting = None
        return self._session

    def _failed(self, error: Exception) -> CassandraUnavailable:
        """What callers are told; and, after several of it, that it is no use to ask for a while."""
        self._failures += 1
        if self._failures >= FAILURES_UNTIL_REFUSED:
            self._refused_until = time.monotonic() + REFUSED_S
        return CassandraUnavailable(f"Cassandra at {self._named()}: {_sentence(error)}")

    def _named(self) -> str:
        return f"{', '.join(self._nodes.hosts)} port {self._nodes.port}"


async def connect(nodes: Nodes, *, keyspace: bool = True, attempt_s: float = ATTEMPT_S) -> acsylla.Session:
    """A session of the driver's own, which waits `attempt_s` for each answer; raises its `CassException` after `CONNECT_S` for each
    node. Must not be cancelled."""
    cluster = acsylla.create_cluster(
        list(nodes.hosts),
        port=nodes.port,
        username=nodes.user or None,
        password=nodes.password or None,
        connect_timeout=CONNECT_S,
        request_timeout=attempt_s,
        consistency=acsylla.Consistency.QUORUM,
        serial_consistency=acsylla.Consistency.SERIAL,
        constant_reconnect_delay_ms=500,
        heartbeat_interval_sec=2,
        idle_timeout_sec=6,
        speculative_execution_policy=acsylla.SpeculativeExecutionPolicy(SECOND_NODE_AFTER_MS, 2),
        prepare_on_all_hosts=False,
        log_level="critical",
        application_name="calotype",
    )
    session = await cluster.create_session(keyspace=nodes.keyspace if keyspace else None)
    _made.append(session)
    return session


def _sentence(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no node answers within the deadline"
    said = str(error).strip() or type(error).__name__
    return f"{type(error).__name__.removeprefix('CassError')}: {said}".splitlines()[0][:300]
