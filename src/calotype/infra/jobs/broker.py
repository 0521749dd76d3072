"""Calls on their way to workers: Celery over a broker, which is one of two engines."""

from __future__ import annotations

from urllib.parse import urlsplit

import amqp
import msgspec
import psycopg
from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import OperationalError

from calotype.infra.jobs import pgmq
from calotype.infra.jobs.engine import GRACE_S, BrokerUnavailable, BrokerUnknown, Engine, QueueDepth
from calotype.infra.jobs.failures import Failures
from calotype.infra.jobs.periodic import Timetable
from calotype.infra.jobs.rabbitmq import RabbitMQ
from calotype.infra.jobs.types import Call, Queue, job_named


def celery_app(url: str, queue: Queue) -> Celery:
    """For whoever sends to this queue or works on it. The settings are those that lose nothing."""
    app = Celery("calotype", set_as_current=False)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_default_queue=queue.value,
        task_default_routing_key=queue.value,
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
        **engine_of(url).settings(queue),
    )
    return app


class Broker:
    """Sends calls. `url`: `postgresql://` of the control database (pgmq), or `amqp://` of RabbitMQ. Synchronous, as Celery
    is. Not to be shared by threads."""

    def __init__(self, url: str) -> None:
        self._engine = engine_of(url)
        self._apps = {queue: celery_app(url, queue) for queue in Queue}
        self._connections: dict[Queue, Connection] = {}
        self._producers: dict[Queue, Producer] = {}

    def send(self, call: Call) -> None:
        """Durable when it returns. Raises `BrokerUnavailable`, `JobInvalid`."""
        queue = job_named(call.job).queue
        sent = msgspec.json.encode(call).decode()
        try:
            producer = self._producers.get(queue) or self._connected(queue)
            self._apps[queue].send_task(
                call.job, args=[sent], task_id=call.id, producer=producer, retry=False
            )
        except (OperationalError, psycopg.Error, amqp.AMQPError, OSError) as error:
            self._release(queue)
            raise BrokerUnavailable(f"{call.job} cannot be sent: {error}") from error

    def _connected(self, queue: Queue) -> Producer:
        app = self._apps[queue]
        connection = self._connections[queue] = app.connection_for_write()
        self._engine.declare(connection, queue)
        producer: Producer = app.amqp.Producer(connection, auto_declare=False)
        self._producers[queue] = producer
        return producer

    def depths(self) -> list[QueueDepth]:
        """Raises `BrokerUnavailable`."""
        return self._engine.depths()

    def close(self) -> None:
        for queue in list(self._connections):
            self._release(queue)

    def _release(self, queue: Queue) -> None:
        """Close a connection and the pool behind it; the next call makes another."""
        self._producers.pop(queue, None)
        if connection := self._connections.pop(queue, None):
            connection.release()


def engine_of(url: str) -> Engine:
    """By the scheme of its address. Raises `BrokerUnknown`."""
    match urlsplit(url).scheme:
        case "postgresql" | "postgres":
            return pgmq.Pgmq(url)
        case "amqp" | "amqps":
            return RabbitMQ(url)
        case scheme:
            raise BrokerUnknown(
                f"a broker's address begins with postgresql://, amqp:// or amqps://, not {scheme}://"
            )


def install_broker(dsn: str) -> None:
    """What a control database needs to be a broker, and the tables of failures and of what is periodic; a second time it
    does nothing."""
    Failures(dsn).install()
    Timetable(dsn, ()).install()
    pgmq.install(dsn)
