"""Real RabbitMQ for tests: one node on loopback with ports, a directory and a port mapper of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import amqp
import kombu

from calotype.cli.engines import rabbitmq

START_S = 90
CONFIGURATION = """
listeners.tcp.default = 127.0.0.1:{port}
loopback_users = none
default_user = calotype
default_pass = {password}
disk_free_limit.absolute = 50MB
log.console = true
log.file = false
"""


class RunningRabbitMQ:
    """A node and its process, which is ours alone to end. Its queues outlive it."""

    def __init__(self, root: Path) -> None:
        self.port, self._mapper, self._between = _free_ports()
        self._password = secrets.token_hex(8)
        self._root = root
        (root / "rabbitmq.conf").write_text(CONFIGURATION.format(port=self.port, password=self._password))
        (root / "enabled_plugins").write_text("[].\n")
        self.start()

    @property
    def url(self) -> str:
        return f"amqp://calotype:{self._password}@127.0.0.1:{self.port}//"

    def start(self) -> None:
        program = rabbitmq()
        assert program is not None
        own = {
            "HOME": str(self._root),
            "RABBITMQ_NODENAME": f"calotype{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self._root / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._root / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._root / "data"),
            "RABBITMQ_LOG_BASE": str(self._root / "log"),
            "RABBITMQ_PID_FILE": str(self._root / "pid"),
            "RABBITMQ_DIST_PORT": str(self._between),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        with (self._root / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [program], env=os.environ | own, stdout=output, stderr=output, start_new_session=True
            )
        until = time.monotonic() + START_S
        while not self._answers():
            assert self.process.poll() is None, (self._root / "output").read_text()[-2000:]
            assert time.monotonic() < until, "RabbitMQ does not start"
            time.sleep(0.1)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, amqp.AMQPError), kombu.Connection(self.url) as connection:
            connection.connect()
            return True
        return False

    def kill(self) -> None:
        """As `kill -9` of the node; its port mapper, which it has started, too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if (
                    process.name.isdigit()
                    and f"ERL_EPMD_PORT={self._mapper}".encode() in (process / "environ").read_bytes()
                ):
                    os.kill(int(process.name), signal.SIGKILL)


def _free_ports() -> list[int]:
    """Below those that the system hands out itself."""
    found: list[int] = []
    for port in range(15000 + os.getpid() % 3000, 32766):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == 3:
            return found
    raise AssertionError("no three free ports below 32768")


@contextmanager
def running_rabbitmq(root: Path) -> Iterator[RunningRabbitMQ]:
    server = RunningRabbitMQ(root)
    try:
        yield server
    finally:
        server.kill()
