"""One RabbitMQ node on loopback, run from the program that this system has: for tests and benches.

Its data, its cookie, its port mapper and all its ports are its own, so that it disturbs no other node of the machine.
Whoever runs a site with RabbitMQ runs the nodes themselves.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import amqp
import kombu

from calotype.std.errors import CalotypeError

DEBIANS = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""The one that Debian has on PATH changes the user, and can be run by that user and by root alone."""

START_S = 90.0
PROBE_S = 0.1

CONFIGURATION = """\
listeners.tcp.default = 127.0.0.1:{port}
loopback_users = none
default_user = calotype
default_pass = {password}
disk_free_limit.absolute = 50MB
log.console = true
log.file = false
"""


class RabbitMQUnusable(CalotypeError):
    """There is no RabbitMQ, or it does not start here; the message says what to do."""

    code = "rabbitmq_unusable"


def binary() -> str | None:
    """The program: `$CALOTYPE_RABBITMQ_BIN`, else where Debian has it, else on PATH; None when there is none."""
    names = (os.environ.get("CALOTYPE_RABBITMQ_BIN", ""), DEBIANS, "rabbitmq-server")
    return next((found for name in names if name and (found := shutil.which(name))), None)


class RabbitMQ:
    """A node in `root`, started when it is made. `ports`: of AMQP, of its port mapper, and between nodes; three free ones."""

    def __init__(self, root: Path, ports: Sequence[int]) -> None:
        self._root = root
        self._port, self._mapper, self._between = ports
        password = secrets.token_hex(8)
        self.url = f"amqp://calotype:{password}@127.0.0.1:{self._port}//"
        (root / "rabbitmq.conf").write_text(CONFIGURATION.format(port=self._port, password=password))
        (root / "enabled_plugins").write_text("[].\n")
        self.start()

    def start(self) -> None:
        """Return when it answers; raises `RabbitMQUnusable`. Its queues may take a moment more."""
        program = binary()
        if program is None:
            raise RabbitMQUnusable("rabbitmq-server is neither on PATH nor where Debian has it")
        with (self._root / "output").open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603
                [program],
                env=os.environ | self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                said = (self._root / "output").read_text(errors="replace")[-1_000:]
                raise RabbitMQUnusable(f"RabbitMQ does not start in {self._root}; it said last: {said}")
            time.sleep(PROBE_S)

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self._root),
            "RABBITMQ_NODENAME": f"calotype{self._port}@localhost",
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

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, amqp.AMQPError), kombu.Connection(self.url) as connection:
            connection.connect()
            return True
        return False

    def kill(self) -> None:
        """As `kill -9` does; what it has confirmed is there when it is started again."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for process in Path("/proc").glob("[0-9]*"):  # its port mapper is no child of its group
            with contextlib.suppress(OSError):
                if f"ERL_EPMD_PORT={self._mapper}".encode() in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
