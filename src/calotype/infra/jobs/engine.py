"""What a broker must do to carry calls, whichever engine it is: `pgmq`, `rabbitmq`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import kombu

from calotype.infra.jobs.types import Queue
from calotype.std.errors import CalotypeError, Unavailable

GRACE_S = 5.0
"""After its time limit a job is told to end; so much later its process is killed."""


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
