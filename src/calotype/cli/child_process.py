"""What a process of a site is to be, and how it is started: by its command, or forked off one that has loaded the site."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from calotype.cli.places import Places
from calotype.cli.process import MARKER

STOP_WITHIN_S = 15.0


class Running(Protocol):
    """What is known of a process that runs; `asyncio.subprocess.Process` is one."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    def send_signal(self, number: int, /) -> None: ...


type Fork = Callable[[str, int], Awaitable[Running]]
"""Start the process of this name, its standard output and error being a descriptor."""


@dataclass(frozen=True)
class ChildSpec:
    """One process to keep running. `ready` is asked again and again until it says yes; without one, started is ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to ours."""
    forked: Fork | None = None
    """Makes it instead of the command, and as the command would."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = STOP_WITHIN_S
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_within_s: float = 60.0
    before: Callable[[], Awaitable[None]] | None = None
    """Done before each start; a `CalotypeError` of it is a failed start."""
    sound: Callable[[], Awaitable[bool]] | None = None
    """Asked now and then of a child that is ready; one that is not sound is stopped, and started again."""


async def spawn(spec: ChildSpec, places: Places) -> Running:
    """Start it in a session of its own (Ctrl-C in the terminal reaches only us), appending to its log."""
    with places.log(spec.name).open("ab") as log:
        return await _spawn(spec, places, log.fileno())


async def spawn_piped(spec: ChildSpec, places: Places) -> tuple[Running, asyncio.StreamReader]:
    """The same, with what it says to be read."""
    ours, theirs = os.pipe()
    output = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output), os.fdopen(ours, "rb")
    )
    try:
        return await _spawn(spec, places, theirs), output
    finally:
        os.close(theirs)


async def _spawn(spec: ChildSpec, places: Places, output: int) -> Running:
    if spec.forked is not None:
        return await spec.forked(spec.name, output)
    return await asyncio.create_subprocess_exec(
        *spec.command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=places.data,
        env=child_environment(places, spec.environment),
        start_new_session=True,
    )


def child_environment(places: Places, told: Mapping[str, str]) -> Mapping[str, str]:
    """All that a child of the supervisor has in its environment."""
    return {**os.environ, **told, MARKER: str(places.data)}
