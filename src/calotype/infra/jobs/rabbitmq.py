"""Calls in RabbitMQ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import amqp
import kombu
from kombu.exceptions import OperationalError

from calotype.infra.jobs.engine import BrokerUnavailable, QueueDepth
from calotype.infra.jobs.types import Queue

CONFIRM_S = 5
"""RabbitMQ says that it has a message within this time, or it is not sent."""

HEARTBEAT_S = 10


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
