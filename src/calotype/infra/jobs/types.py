"""Jobs as the program declares them, and calls of them as they travel.

    class FanOut(msgspec.Struct, frozen=True):
        post: int

    @job("feed.fan_out", FanOut, queue=Queue.BULK)
    async def fan_out(site: Site, arguments: FanOut) -> None: ...

    await write.post("media", shard, JOB, fan_out(FanOut(post)), 0)      # in the transaction that makes the post

Every job may be run twice (at least once is what is promised), so each must be idempotent.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from calotype.std.errors import CalotypeError, Unavailable

JOB = "job"
"""The kind of outbox rows that are calls."""

RETRIES = 8
FIRST_RETRY_S = 2.0
LAST_RETRY_S = 600.0
AWAY_ATTEMPTS = 3
"""For an engine that is away one waits no longer than after so many failures: 8 to 12 s."""


class JobInvalid(CalotypeError):
    """A job that nobody has declared, or arguments that are not of its type: running it again would not help."""

    code = "job_invalid"


class Queue(StrEnum):
    """Each has workers of its own, so that no amount of bulk holds up what somebody waits for."""

    INTERACTIVE = "interactive"
    BULK = "bulk"

    @property
    def time_limit_s(self) -> float:
        """For one run. What has more to do splits itself."""
        return {Queue.INTERACTIVE: 10.0, Queue.BULK: 60.0}[self]


class Call(msgspec.Struct, frozen=True):
    """A call of a job on its way. `attempts` that failed before this one. `again`: it is among the failures."""

    job: str
    arguments: msgspec.Raw
    id: str = msgspec.field(default_factory=lambda: secrets.token_hex(12))
    attempts: int = 0
    again: bool = False


@dataclass(frozen=True)
class JobType[C, A: msgspec.Struct]:
    """C: what the process that runs it was opened with."""

    name: str
    arguments: type[A]
    run: Callable[[C, A], Awaitable[None]]
    queue: Queue
    retries: int

    def __call__(self, arguments: A) -> Call:
        """Raises `JobInvalid` for arguments of another type."""
        if not isinstance(arguments, self.arguments):
            raise JobInvalid(f"{self.name} takes {self.arguments.__name__}, not {type(arguments).__name__}")
        return Call(self.name, msgspec.Raw(msgspec.json.encode(arguments)))

    def check(self, arguments: bytes | msgspec.Raw) -> A:
        """Raises `JobInvalid`."""
        try:
            return msgspec.json.decode(arguments, type=self.arguments)
        except msgspec.DecodeError as error:
            raise JobInvalid(
                f"{self.name} cannot be called with {bytes(arguments)[:200]!r}: {error}"
            ) from None


_declared: dict[str, JobType[Any, Any]] = {}


def job[C, A: msgspec.Struct](
    name: str, arguments: type[A], *, queue: Queue, retries: int = RETRIES
) -> Callable[[Callable[[C, A], Awaitable[None]]], JobType[C, A]]:
    """Declare the decorated function as a job. Raises `TypeError` for a name that is taken."""

    def declare(run: Callable[[C, A], Awaitable[None]]) -> JobType[C, A]:
        if name in _declared:
            raise TypeError(f"there is a job {name} already")
        declared = JobType(name, arguments, run, queue, retries)
        _declared[name] = declared
        return declared

    return declare


def all_jobs() -> list[JobType[Any, Any]]:
    return list(_declared.values())


def job_named(name: str) -> JobType[Any, Any]:
    """Raises `JobInvalid`."""
    try:
        return _declared[name]
    except KeyError:
        raise JobInvalid(f"there is no job {name!r} in this release") from None


def again_s(call: Call, error: BaseException) -> float | None:
    """When to try a call again that has failed once more, in seconds; None: it is given up.

    An engine that is away is nobody's failure: such a call is tried again until the engine is back, and soon then.
    """
    if isinstance(error, JobInvalid):
        return None
    attempts = call.attempts + 1
    if isinstance(error, Unavailable):
        return min(retry_s(attempts), retry_s(AWAY_ATTEMPTS))
    return None if attempts > job_named(call.job).retries else retry_s(attempts)


def retry_s(attempts: int) -> float:
    """How long to wait after so many failures: doubling, and up to half as long again, so that they do not all come at once."""
    after_s: float = min(FIRST_RETRY_S * 2 ** (attempts - 1), LAST_RETRY_S)
    return after_s * (1 + secrets.randbelow(500) / 1000)
