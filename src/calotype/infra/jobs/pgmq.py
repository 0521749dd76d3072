"""Calls in PostgreSQL: a message queue in SQL, in the control database. What workers wait with: `pgmq_transport`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import kombu
import psycopg
from pgmq.install import get_embedded_install_sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from calotype.infra.jobs.engine import GRACE_S, BrokerUnavailable, QueueDepth
from calotype.infra.jobs.types import Queue

NOTIFY_EVERY_MS = 5
"""A queue tells its workers of new messages at most so often."""

IDLE_POLL_S = 1.0
"""How often they look without being told: for messages of workers that died."""

LOCK_KEY = 0x6A6F6273  # "jobs"


@dataclass(frozen=True)
class Pgmq:
    """A message queue in SQL: a message that was read is invisible for a while, and comes again unless it is deleted."""

    dsn: str

    def settings(self, queue: Queue) -> Mapping[str, Any]:
        return {
            "broker_url": "pgmq://localhost",
            "broker_transport": f"{__package__}.pgmq_transport:Transport",
            "broker_transport_options": {
                # As words: of a URL pgmq does not read where a socket is.
                "conn_string": make_conninfo("", **conninfo_to_dict(self.dsn)),
                "init_extension": False,
                "visibility_timeout": invisible_s(queue),
                "wait_time_seconds": 0,
                "polling_interval": IDLE_POLL_S,
                "use_notify": True,
                "notify_throttle_interval_ms": NOTIFY_EVERY_MS,
                "pool_size": 2,
                "pool_timeout": 5,
            },
        }

    def declare(self, connection: kombu.Connection, queue: Queue) -> None:
        """`install_broker` has."""

    def depths(self) -> list[QueueDepth]:
        try:
            with psycopg.connect(self.dsn, connect_timeout=5) as connection:
                if connection.execute("select to_regclass('pgmq.meta')").fetchone() == (None,):
                    return []  # a database that is not prepared yet
                return [self._depth(connection, queue) for queue in Queue]
        except psycopg.Error as error:
            raise BrokerUnavailable(f"the queues cannot be looked at: {error}") from error

    @staticmethod
    def _depth(connection: psycopg.Connection, queue: Queue) -> QueueDepth:
        row = connection.execute(
            "select queue_length, queue_visible_length, oldest_msg_age_sec, total_messages from pgmq.metrics(%s)",
            (queue.value,),
        ).fetchone()
        assert row is not None
        length, visible, oldest, total = row
        return QueueDepth(
            queue.value, visible, length - visible, None if oldest is None else float(oldest), total
        )


def invisible_s(queue: Queue) -> int:
    """How long a message that a worker took is nobody else's: the job that it waits behind and its own, killed each."""
    return int(2 * (queue.time_limit_s + GRACE_S)) + 5


def install(dsn: str) -> None:
    """Make the queues in a database, unless they are there."""
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (LOCK_KEY,))
        if connection.execute("select to_regclass('pgmq.meta')").fetchone() == (None,):
            connection.execute(get_embedded_install_sql().encode())
        for queue in Queue:
            connection.execute("select pgmq.create(%s)", (queue.value,))
