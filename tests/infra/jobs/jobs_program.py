"""Jobs for tests, and the worker that runs them: `python jobs_program.py BROKER DSN QUEUE`. Importing it declares the jobs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from calotype.infra.jobs import Queue, job
from calotype.infra.jobs.failures import Failures
from calotype.infra.jobs.worker import run_worker, worker_app


class Say(msgspec.Struct, frozen=True):
    what: str


def say(what: str) -> None:
    with Path(os.environ["JOBS_TRACE"]).open("a") as trace:
        trace.write(what + "\n")


def said() -> list[str]:
    return Path(os.environ["JOBS_TRACE"]).read_text().splitlines()


@job("test.say", Say, queue=Queue.INTERACTIVE, retries=2)
async def says(context: list[str], arguments: Say) -> None:
    context.append(arguments.what)
    say(arguments.what)


@job("test.count", Say, queue=Queue.INTERACTIVE)
async def counts(context: list[str], arguments: Say) -> None:
    """How many jobs this process has run."""
    context.append(arguments.what)
    say(f"{arguments.what}: {len(context)}")


@job("test.fail", Say, queue=Queue.INTERACTIVE, retries=1)
async def fails(_: list[str], arguments: Say) -> None:
    say(arguments.what)
    raise LookupError(f"no {arguments.what} here")


@job("test.fail_once", Say, queue=Queue.INTERACTIVE, retries=2)
async def fails_once(_: list[str], arguments: Say) -> None:
    say(arguments.what)
    if said().count(arguments.what) == 1:
        raise LookupError("not yet")


@job("test.die", Say, queue=Queue.INTERACTIVE, retries=0)
async def dies(_: list[str], arguments: Say) -> None:
    say(arguments.what)
    os.kill(os.getpid(), signal.SIGKILL)


@job("test.wait", Say, queue=Queue.BULK)
async def waits(_: list[str], arguments: Say) -> None:
    say(f"{arguments.what} begins")
    await asyncio.sleep(2)
    say(f"{arguments.what} ends")


@job("test.stuck", Say, queue=Queue.INTERACTIVE, retries=0)
async def stuck(_: list[str], arguments: Say) -> None:
    """Holds the event loop, so that no cancellation is heard."""
    say(arguments.what)
    time.sleep(60)  # noqa: ASYNC251


@asynccontextmanager
async def opened() -> AsyncIterator[list[str]]:
    yield []


def main(broker: str, dsn: str, queue: Queue) -> None:
    run_worker(worker_app(broker, Failures(dsn), queue, opened), queue.value)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Queue(sys.argv[3]))
