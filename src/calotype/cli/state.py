"""What the supervisor tells the other commands: DATA/run/lock says who it is, DATA/run/state.json what it runs."""

from __future__ import annotations

import fcntl
import os
from typing import IO, Literal

import msgspec

from calotype.cli.places import Places
from calotype.cli.process import Process, alive, ourselves

Phase = Literal["starting", "running", "stopping", "stopped"]
ChildPhase = Literal["starting", "running", "waiting", "stopped"]


class ChildState(msgspec.Struct):
    """`since` is when it entered `state`, in seconds of Unix time."""

    name: str
    state: ChildPhase
    process: Process | None
    restarts: int
    since: float
    stop_signal: int


class RegionState(msgspec.Struct):
    name: str
    url: str
    memcached: tuple[str, ...]
    """The addresses of its cache; empty: it has none."""


class State(msgspec.Struct):
    """`url` is that of the first region."""

    supervisor: Process
    url: str
    phase: Phase
    since: float
    children: list[ChildState]
    """In the order of their start; they are stopped in the reverse."""
    regions: list[RegionState] = []


def read(places: Places) -> State | None:
    """The last state written, whether or not its supervisor lives; None when there is none that can be read."""
    try:
        return msgspec.json.decode(places.state.read_bytes(), type=State)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def write(places: Places, state: State) -> None:
    """All of it or none of it. Not synced: it is about processes, and those do not outlive the machine either."""
    half_written = places.state.with_suffix(".new")
    half_written.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=1))
    half_written.replace(places.state)


def take_lock(places: Places) -> IO[bytes] | None:
    """Become the supervisor of this data directory, for as long as the file stays open; None if there is another."""
    handle = os.fdopen(os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    handle.write(msgspec.json.encode(ourselves()))
    handle.truncate()
    handle.flush()
    return handle


def supervisor(places: Places) -> Process | None:
    """The living supervisor. Reads only: probing the lock itself could make a starting supervisor fail."""
    try:
        process = msgspec.json.decode(places.lock.read_bytes(), type=Process)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
    return process if alive(process) else None
