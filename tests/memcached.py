"""Real memcached for tests: servers on Unix sockets that are killed, frozen and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from calotype.infra.engines.memcached import Memcached, start


class RunningMemcached:
    """A server and its process, which is ours alone to end. Its address never changes."""

    def __init__(self, server: Memcached) -> None:
        self.server = server
        self.address = str(server.socket)
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return start(self.server, self.server.root / f"{self.server.name}.log")

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def start(self) -> None:
        """Start it again: empty, and with CAS numbers that begin anew."""
        if not self.running:
            self.process = self._started()

    def kill(self) -> None:
        """As `kill -9` does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As an orderly shutdown does; a frozen one is thawed first."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        """It keeps its connections, takes new ones, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # until it has stopped

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self.running:
            self.process.send_signal(how)
            self.process.send_signal(signal.SIGCONT)
        self.process.wait()


@contextmanager
def running_memcached(
    directory: Path, amount: int = 1, *, memory_mb: int = 64
) -> Iterator[list[RunningMemcached]]:
    """New servers on sockets in a directory of their own under this short one, ended with the block."""
    root = Path(tempfile.mkdtemp(dir=directory))
    with ExitStack() as ends:
        started: list[RunningMemcached] = []
        for number in range(1, amount + 1):
            started.append(RunningMemcached(Memcached(f"mc-{number}", root, memory_mb)))
            ends.callback(started[-1].kill)  # an orderly stop takes it a second
        yield started


class Raw:
    """A bare connection of the test's own, to look at a server and to play another client's part."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, command: bytes) -> bytes:
        """Send one command without its line end; the answer's line and, of VA, the value after a space."""
        self._writer.write(command + b"\r\n")
        line = (await self._reader.readuntil(b"\r\n"))[:-2]
        if not line.startswith(b"VA "):
            return line
        value = await self._reader.readexactly(int(line.split()[1]) + 2)
        return line + b" " + value[:-2]

    async def stats(self) -> dict[str, int]:
        """The server's own counters, those that are whole numbers."""
        self._writer.write(b"stats\r\n")
        lines = (await self._reader.readuntil(b"END\r\n")).decode().split("\r\n")[:-2]
        words = [line.split() for line in lines]
        return {name: int(value) for _, name, value in words if value.isdigit()}


@asynccontextmanager
async def raw(server: RunningMemcached) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_unix_connection(server.address)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
