"""A way to a server that a test can cut: what stands between its Unix socket and those who are far away from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from calotype.infra.engines.postgres import PORT, Cluster

CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class FarCluster(Cluster):
    """A cluster as it is reached through a link, whose socket lies in the directory `link`."""

    link: Path = field(kw_only=True)

    @property
    def socket_directory(self) -> Path:
        return self.link


def far_cluster(cluster: Cluster, directory: Path) -> tuple[FarCluster, Link]:
    """The same through a link that listens in a new directory."""
    directory.mkdir(mode=0o700)
    file = f".s.PGSQL.{PORT}"
    far = FarCluster(cluster.name, cluster.root, cluster.settings, link=directory)
    return far, Link(directory / file, cluster.socket_directory / file)


class Link:
    """Forwards what connects to `path` to the socket `upstream`, inside of `async with`."""

    def __init__(self, path: Path, upstream: Path) -> None:
        self.path = path
        self.late_s: Callable[[], float] | None = None
        """How much later than it was sent each piece of an answer arrives."""
        self._upstream = upstream
        self._passes = asyncio.Event()
        self._passes.set()
        self._refuses = False
        self._connections: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._accept, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        ending = list(self._connections)
        self.cut()
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def cut(self) -> None:
        """Every connection ends at once, and no new one is taken."""
        self._refuses = True
        for writers in self._connections.values():
            for writer in writers:
                writer.transport.abort()

    def silence(self) -> None:
        """Nothing passes in either direction, and nobody is told."""
        self._passes.clear()

    def heal(self) -> None:
        self._refuses = False
        self._passes.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._forward(reader, writer))
        self._connections[task] = [writer]
        task.add_done_callback(self._connections.pop)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)
        except OSError:
            writer.transport.abort()
            return
        self._connections[task].append(up_writer)
        ways = [
            asyncio.create_task(self._pump(reader, up_writer)),
            asyncio.create_task(self._pump(up_reader, writer, answers=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for each in (writer, up_writer):
                each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if answers and self.late_s is not None:
                await asyncio.sleep(self.late_s())
            await self._passes.wait()
            writer.write(data)
            await writer.drain()
        await writer.drain()
