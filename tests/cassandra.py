"""Real Cassandra for tests: a ring of three nodes, with its keyspace."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calotype.cli.places import tools
from calotype.infra.engines.cassandra import Ring, start_node
from calotype.infra.engines.cassandra import start as start_ring
from calotype.infra.timelines.cassandra import Nodes, migrate
from calotype.infra.timelines.cassandra.login import nodes_of, secure
from tests.ports import free_ports


@dataclass
class RunningRing:
    ring: Ring
    log: Path
    processes: list[subprocess.Popen[bytes]]

    @property
    def nodes(self) -> Nodes:
        return nodes_of(self.ring)

    def signal(self, at: int, number: signal.Signals) -> None:
        self.processes[at].send_signal(number)

    def kill(self, at: int) -> None:
        """As `kill -9` does."""
        self.processes[at].kill()
        self.processes[at].wait()

    def restart_dead(self) -> None:
        """Start those that were killed, and return when they answer."""
        for at, node in enumerate(self.ring.nodes):
            if self.processes[at].poll() is not None:
                self.processes[at] = start_node(node, self.log)
                node.wait_until_ready(self.processes[at])


@contextmanager
def running_ring(directory: Path, size: int = 3) -> Iterator[RunningRing]:
    """In a new directory under this one, ended with the block (20 s to start)."""
    root = Path(tempfile.mkdtemp(dir=directory))
    ring = Ring(root, tools(), size, free_ports(3)[0])
    running = RunningRing(ring, root / "output", start_ring(ring, root / "output"))
    try:
        asyncio.run(_prepare(ring))
        yield running
    finally:
        for process in running.processes:
            process.kill()
            process.wait()


async def _prepare(ring: Ring) -> None:
    await secure(ring)
    await migrate(nodes_of(ring), ring.size)
