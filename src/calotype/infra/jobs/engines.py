"""The two brokers that calls may travel by, each with the settings that lose nothing and how its queues are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import amqp
import kombu
import psycopg
from kombu.exceptions import OperationalError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from calotype.infra.jobs.types import Queue
from calotype.std.errors import CalotypeError, Unavailable

GRACE_S = 5.0
"""After its time limit a job is told to end; so much later its process is killed."""

NOTIFY_EVERY_MS = 5
"""A queue of pgmq tells its workers of new messages at most so often."""

IDLE_POLL_S = 1.0
"""How often they look without being told: for messages of workers that died."""

CONFIRM_S = 5
"""RabbitMQ says that it has a message within this time, or it is not sent."""

HEARTBEAT_S = 10


class BrokerUnavailable(Unavailable):
    code = "broker_unavailable"


class BrokerUnknown(CalotypeError):
    """The address of the broker names no engine."""

    code = "broker_unknown"


@dataclass(frozen=True)
class QueueDepth:
    """`waiting`: nobody has them now; `running`: a worker has taken them. `oldest_s`: how long the oldest has been there,
    None when there is none. `total`: ever sent. RabbitMQ tells its clients of `waiting` alone; the rest is None.
    """

    queue: str
    waiting: int
    running: int | None
    oldest_s: float | None
    total: int | None


class Engine(Protocol):
    def settings(self, queue: Queue) -> Mapping[str, Any]:
        """Celery's, beside those that do not depend on the engine."""
        ...

    def declare(self, connection: kombu.Connection, queue: Queue) -> None:
        """Make the queue where it is not: a message to none is dropped without a word."""
        ...

    def depths(self) -> list[QueueDepth]:
        """Raises `BrokerUnavailable`."""
        ...


def engine(url: str) -> Engine:
    """By the scheme of its address. Raises `BrokerUnknown`."""
    match urlsplit(url).scheme:
        case "postgresql" | "postgres":
            return Pgmq(url)
        case "amqp" | "amqps":
            return RabbitMQ(url)
        case scheme:
            raise BrokerUnknown(
                f"a broker's address begins with postgresql://, amqp:// or amqps://, not {scheme}://"
            )


def invisible_s(queue: Queue) -> int:
    """How long a message that a worker took is nobody else's: the job that it waits behind and its own, killed each."""
    return int(2 * (queue.time_limit_s + GRACE_S)) + 5


@dataclass(frozen=True)
class Pgmq:
    """A message queue in SQL: a message that was read is invisible for a while, and comes again unless it is deleted."""

    dsn: str

    def settings(self, queue: Queue) -> Mapping[str, Any]:
        return {
            "broker_url": "pgmq://localhost",
            "broker_transport": f"{__package__}.transport:Transport",
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


@dataclass(frozen=True)
class RabbitMQ:
    """Quorum queues: a message is on the disks of most nodes before it counts as sent, and goes back to its queue when the
    connection of whoever took it ends."""

    url: str

    def settings(self, queue: Queue) -> Mapping[str, Any]:
        return {
            "broker_url": self.url,
            "broker_heartbeat": HEARTBEAT_S,
            "broker_connection_timeout": 5,
            "broker_transport_options": {"confirm_publish": True, "confirm_timeout": CONFIRM_S},
            "task_queues": [self.queue(queue)],
            "task_default_exchange": "calotype",
            "worker_detect_quorum_queues": True,
        }

    @staticmethod
    def queue(queue: Queue) -> kombu.Queue:
        return kombu.Queue(
            queue.value,
            kombu.Exchange("calotype", type="direct"),
            routing_key=queue.value,
            queue_arguments={"x-queue-type": "quorum"},
        )

    def declare(self, connection: kombu.Connection, queue: Queue) -> None:
        with connection.channel() as channel:
            self.queue(queue)(channel).declare()

    def depths(self) -> list[QueueDepth]:
        try:
            with kombu.Connection(self.url, connect_timeout=5) as connection:
                return [self._depth(connection, queue) for queue in Queue]
        except (OperationalError, OSError, amqp.AMQPError) as error:
            raise BrokerUnavailable(f"the queues cannot be looked at: {error}") from error

    def _depth(self, connection: kombu.Connection, queue: Queue) -> QueueDepth:
        self.declare(connection, queue)
        with connection.channel() as channel:
            found = cast(amqp.Channel, channel).queue_declare(queue.value, passive=True)
        assert found is not None
        _, waiting, _ = found
        return QueueDepth(queue.value, int(waiting), None, None, None)
