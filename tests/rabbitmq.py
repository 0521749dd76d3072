"""Real RabbitMQ for tests: a node of one's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calotype.infra.engines.rabbitmq import RabbitMQ
from tests.ports import free_ports


@contextmanager
def running_rabbitmq(directory: Path) -> Iterator[RabbitMQ]:
    """In a new directory under this one, ended with the block."""
    server = RabbitMQ(Path(tempfile.mkdtemp(dir=directory)), free_ports(3))
    try:
        yield server
    finally:
        server.kill()
