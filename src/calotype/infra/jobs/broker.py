"""Calls on their way to workers: Celery over a broker, here pgmq in the control database (docs/jobs.md).

pgmq is a message queue in SQL: a message that was read is invisible for a while and comes again unless it is deleted,
which a worker does when the job is done or its failure is recorded. So whatever dies, the message does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import psycopg
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError
from pgmq.install import get_embedded_install_sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from calotype.infra.jobs.failures import Failures
from calotype.infra.jobs.types import Call, Queue, job_named
from calotype.std.errors import Unavailable

GRACE_S = 5.0
"""After its time limit a job is told to end; so much later its process is killed."""

NOTIFY_EVERY_MS = 5
"""A queue tells its workers of new messages at most so often."""

IDLE_POLL_S = 1.0
"""How often workers look without being told: for messages of workers that died."""

LOCK_KEY = 0x6A6F6273  # "jobs"


class BrokerUnavailable(Unavailable):
    code = "broker_unavailable"


@dataclass(frozen=True)
class QueueDepth:
    """`waiting`: nobody has them now; `running`: a worker does. `oldest_s`: how long the oldest has been there; None: none."""

    queue: str
    waiting: int
    running: int
    oldest_s: float | None
    total: int
    """Ever sent."""


def invisible_s(queue: Queue) -> int:
    """How long a message that a worker took is nobody else's: the job that it waits behind and its own, killed each."""
    return int(2 * (queue.time_limit_s + GRACE_S)) + 5


def celery_app(dsn: str, queue: Queue) -> Celery:
    """For whoever sends to this queue or works on it. The settings are those that lose nothing."""
    app = Celery("calotype", broker="pgmq://localhost", set_as_current=False)
    app.conf.update(
        broker_transport=f"{__package__}.transport:Transport",
        broker_transport_options={
            "conn_string": make_conninfo(
                "", **conninfo_to_dict(dsn)
            ),  # as words: of a URL pgmq does not read where a socket is
            "init_extension": False,
            "visibility_timeout": invisible_s(queue),
            "wait_time_seconds": 0,
            "polling_interval": IDLE_POLL_S,
            "use_notify": True,
            "notify_throttle_interval_ms": NOTIFY_EVERY_MS,
            "pool_size": 2,
            "pool_timeout": 5,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_default_queue=queue.value,
        task_ignore_result=True,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,  # a failure is recorded before
        task_time_limit=queue.time_limit_s + GRACE_S,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=True,
    )
    return app


class Broker:
    """Sends calls. Synchronous: Celery's own. Not to be shared by threads."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._apps = {queue: celery_app(dsn, queue) for queue in Queue}
        self._connections: dict[Queue, Connection] = {}

    def send(self, call: Call) -> None:
        """Durable when it returns. Raises `BrokerUnavailable`, `JobInvalid`."""
        queue = job_named(call.job).queue
        app = self._apps[queue]
        try:
            if queue not in self._connections:
                self._connections[queue] = app.connection_for_write()
            with app.amqp.Producer(self._connections[queue], auto_declare=False) as producer:
                sent = msgspec.json.encode(call).decode()
                app.send_task(call.job, args=[sent], task_id=call.id, producer=producer, retry=False)
        except (OperationalError, psycopg.Error) as error:
            self._release(queue)
            raise BrokerUnavailable(f"{call.job} cannot be sent: {error}") from error

    def depths(self) -> list[QueueDepth]:
        """Raises `BrokerUnavailable`."""
        try:
            with psycopg.connect(self._dsn, connect_timeout=5) as connection:
                return [_depth(connection, queue) for queue in Queue]
        except psycopg.Error as error:
            raise BrokerUnavailable(f"the queues cannot be looked at: {error}") from error

    def close(self) -> None:
        for queue in list(self._connections):
            self._release(queue)

    def _release(self, queue: Queue) -> None:
        """Close a connection and the pool behind it; the next call makes another."""
        if connection := self._connections.pop(queue, None):
            connection.release()


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


def install_broker(dsn: str, queues: Sequence[Queue] = tuple(Queue)) -> None:
    """What a control database needs to be a broker, and the table of failures; a second time it does nothing."""
    Failures(dsn).install()
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (LOCK_KEY,))
        if connection.execute("select to_regclass('pgmq.meta')").fetchone() == (None,):
            connection.execute(get_embedded_install_sql().encode())
        for queue in queues:
            connection.execute("select pgmq.create(%s)", (queue.value,))
