"""One memcached on a Unix socket, run from the binary that this system has.

memcached knows no passwords: the mode of its socket, and of the directory around it, is who may reach it. No TCP or
UDP port is opened. It holds nothing that must survive: whoever starts it finds it empty.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from calotype.infra.engines.sockets import make_private, socket_directory
from calotype.std.errors import CalotypeError

MEMORY_MB = 64
CONNECTIONS = 4096
"""One for each event loop of each process, and one for each command line that looks in."""

PROBE_S = 1.0


class MemcachedUnusable(CalotypeError):
    """There is no memcached, or it does not start here; the message says what to do."""

    code = "memcached_unusable"


def binary() -> str | None:
    """The program: `$CALOTYPE_MEMCACHED_BIN`, else `memcached` on PATH; None when there is none on PATH.

    Raises `MemcachedUnusable` when the variable names no program: whoever set it wants a cache.
    """
    given = os.environ.get("CALOTYPE_MEMCACHED_BIN", "")
    found = shutil.which(given or "memcached")
    if given and found is None:
        raise MemcachedUnusable(f"CALOTYPE_MEMCACHED_BIN is {given}, which is no program that can be run")
    return found


@dataclass(frozen=True)
class Memcached:
    """One server; its socket `name`.sock lies in `root`, or in a private directory if that path is too long."""

    name: str
    root: Path
    memory_mb: int = MEMORY_MB
    """For items; connections and the hash table come on top."""
    threads: int = 1

    @property
    def socket(self) -> Path:
        """Its address, as clients name it."""
        file = f"{self.name}.sock"
        return socket_directory(self.root, file) / file

    def command(self) -> list[str]:
        """The server in the foreground; SIGTERM stops it. Items may have 1 MB, memcached's own default."""
        program = binary()
        if program is None:
            raise MemcachedUnusable("memcached is not on PATH and CALOTYPE_MEMCACHED_BIN is not set")
        make_private(self.socket.parent)
        options = {
            "--unix-socket": str(self.socket),
            "--unix-mask": "0600",
            "--memory-limit": str(self.memory_mb),
            "--threads": str(self.threads),
            "--conn-limit": str(CONNECTIONS),
            "--max-item-size": "1m",
        }
        # Asked to run as root it wants to hear that this is meant.
        user = ["--user=root"] if os.geteuid() == 0 else []
        return [program, *(f"{option}={value}" for option, value in options.items()), *user]

    def ready(self) -> bool:
        """Whether it answers a meta command now."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PROBE_S)
            connection.connect(str(self.socket))
            connection.sendall(b"mn\r\n")
            return connection.recv(16) == b"MN\r\n"
        return False

    def wait_until_ready(self, process: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
        """Block until it answers; raises `MemcachedUnusable` when it has ended or takes longer."""
        until = time.monotonic() + seconds
        while not self.ready():
            if process.poll() is not None:
                raise MemcachedUnusable(
                    f"{self.name} ended with status {process.returncode} before it was ready"
                )
            if time.monotonic() > until:
                raise MemcachedUnusable(f"{self.name} is not ready after {seconds:.0f} s")
            time.sleep(0.01)


def start(server: Memcached, log: Path) -> subprocess.Popen[bytes]:
    """Start it and wait until it answers. For tests and tools; `calotype up` supervises its own."""
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603
            server.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    server.wait_until_ready(process)
    return process
