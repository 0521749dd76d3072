"""Processes that are forked off one that has loaded the site (`fork_server`), as the supervisor has them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from calotype.cli import log_files
from calotype.cli.fork_server import MESSAGE_BYTES, Ask, Begun, Ended, Refused, Told
from calotype.cli.process import identify, kill_group, send
from calotype.std.errors import CalotypeError

END_WITHIN_S = 5.0
"""The server, once nobody speaks to it: it has nothing to put in order."""


class LoadFailed(CalotypeError):
    """The site cannot be loaded, so nothing can be forked; the message ends with what was said last."""

    code = "load_failed"


class Forked:
    """A process that the fork server has made. Its status is known once the server has told it."""

    def __init__(self, pid: int, ended: asyncio.Future[int]) -> None:
        self.pid = pid
        self._process = identify(pid)
        self._ended = ended

    @property
    def returncode(self) -> int | None:
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    def send_signal(self, number: int, /) -> None:
        if self._process is not None:
            send(self._process, signal.Signals(number))


class ForkServer:
    """The supervisor's end. The server is started when the first process is asked for, and again should it have ended:
    what was forked off it has ended too."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path) -> None:
        """`command` is given the number of its descriptor as one more argument. `environment` is all of it."""
        self._command, self._environment, self._cwd, self._log = command, environment, cwd, log
        self._link: socket.socket | None = None
        self._listening: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._ids = itertools.count()
        self._asked: dict[int, asyncio.Future[int]] = {}
        self._ending: dict[int, asyncio.Future[int]] = {}

    async def fork(self, name: str, run: Sequence[str], output: int) -> Forked:
        """A process that runs a module with arguments and writes to the descriptor `output`, which stays the caller's.

        Raises `LoadFailed`.
        """
        async with self._starting:
            link = self._link or await self._start()
        number = next(self._ids)
        loop = asyncio.get_running_loop()
        self._asked[number], self._ending[number] = loop.create_future(), loop.create_future()
        ended = self._ending[number]
        with contextlib.suppress(OSError):  # it has gone: who listens finds that out, and says so to all
            socket.send_fds(link, [msgspec.json.encode(Ask(number, name, tuple(run)))], [output])
        return Forked(await self._asked[number], ended)

    async def close(self) -> None:
        """Returns when the server has ended."""
        if self._link is not None and self._listening is not None:
            self._link.shutdown(socket.SHUT_RDWR)
            await self._listening

    async def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs, self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._cwd,
                env=self._environment,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )
        self._link = ours
        self._listening = asyncio.create_task(self._listen(ours, process))
        return ours

    async def _listen(self, link: socket.socket, process: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        with link, contextlib.suppress(ConnectionError):
            while message := await loop.sock_recv(link, MESSAGE_BYTES):
                self._hear(msgspec.json.decode(message, type=Told))
        self._link = None
        asked, self._asked = self._asked, {}
        ending, self._ending = self._ending, {}
        try:
            async with asyncio.timeout(END_WITHIN_S):
                status = await process.wait()
        except TimeoutError:
            kill_group(process.pid)
            status = await process.wait()
        for future in asked.values():
            _fail(
                future,
                LoadFailed(
                    log_files.with_last_lines(f"loading the site ended with status {status}", self._log)
                ),
            )
        for future in ending.values():
            if not future.done():
                future.set_result(-signal.SIGTERM)

    def _hear(self, told: Told) -> None:
        match told:
            case Begun(number, pid):
                asked = self._asked.pop(number)
                if asked.cancelled():  # nobody waits for it any more
                    kill_group(pid)
                else:
                    asked.set_result(pid)
            case Ended(number, status):
                self._ending.pop(number).set_result(status)
            case Refused(number, why):
                del self._ending[number]
                _fail(self._asked.pop(number), LoadFailed(f"no process can be forked: {why}"))


def _fail(future: asyncio.Future[int], error: CalotypeError) -> None:
    if not future.done():
        future.set_exception(error)
