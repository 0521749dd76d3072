"""A worker: takes calls off one queue and runs them, each in a process that may be killed for it.

The process has one event loop with everything that jobs need, opened once and kept alive between them. A call that fails
is recorded before its message is acknowledged, and tried again later; one that cannot succeed, or has failed too often,
is given up with its traceback. A process that dies with its job counts as a failure, so that a call which kills whoever
runs it does not come back for ever.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, cast

import msgspec
from billiard.einfo import ExceptionInfo
from billiard.exceptions import Terminated
from celery import Celery, Task
from celery.exceptions import Ignore, Reject, Retry, TimeLimitExceeded
from celery.signals import worker_process_init, worker_process_shutdown
from celery.worker.request import Request

from calotype.infra.jobs.broker import celery_app
from calotype.infra.jobs.failures import Failures, FailuresUnavailable
from calotype.infra.jobs.types import Call, JobType, Queue, again_s, all_jobs, job_named
from calotype.std.deadline import deadline

log = logging.getLogger(__name__)

FAILURES_AGAIN_S = 1.0
"""Until a failure that could not be recorded is recorded again: the message stays ours meanwhile."""

FAILURES_TRIES = 5


class JobTimedOut(Exception):
    """It ran longer than its queue allows."""


class Loop[C]:
    """An event loop in a thread of its own, with the context that jobs run in."""

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[C]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._thread = threading.Thread(target=self._loop.run_forever, name="jobs", daemon=True)
        self._thread.start()
        self.context = self._wait(self._stack.enter_async_context(opened()))

    def run[A: msgspec.Struct](self, job: JobType[C, A], arguments: A) -> None:
        """Raises what the job raises, and `JobTimedOut`."""
        self._wait(self._limited(job, arguments))

    async def _limited[A: msgspec.Struct](self, job: JobType[C, A], arguments: A) -> None:
        limit_s = job.queue.time_limit_s
        limit = asyncio.timeout(limit_s)
        try:
            async with limit:
                with deadline(limit_s):
                    await job.run(self.context, arguments)
        except TimeoutError:
            if not limit.expired():
                raise
            raise JobTimedOut(f"{job.name} was not done within {limit_s:.0f} s") from None

    def _wait[T](self, awaitable: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result()

    def close(self) -> None:
        self._wait(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


class _Request(Request):
    """A message in the worker's own process, which outlives the one that runs it.

    Celery acknowledges before it tells of a failure; here the failure is recorded first. A message whose failure cannot
    be recorded goes back to its queue.
    """

    _recorded = False
    _already_cancelled: bool
    _already_revoked: bool

    def on_failure(
        self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False
    ) -> None:
        error = exc_info.exception
        error = cast(BaseException, getattr(error, "exc", error))  # as it was in its process
        ended_by_us = isinstance(error, Terminated | SystemExit | KeyboardInterrupt) and (
            self._already_cancelled or self._already_revoked
        )
        expected = isinstance(error, Reject | Ignore | Retry)
        if ended_by_us or expected or self._record(error):
            super().on_failure(exc_info, send_failed_event, return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        if soft or self._record(TimeLimitExceeded(timeout)):
            super().on_timeout(soft, timeout)

    def _record(self, error: BaseException) -> bool:
        """Whether it is remembered; once only, since a process that is killed for its time is also lost."""
        if self._recorded:
            return True
        call = _call(self.args[0])
        try:
            record(cast(_Run, self.task).failures, call, error, f"{type(error).__name__}: {error}\n")
        except FailuresUnavailable as unavailable:
            log.error("%s %s goes back to its queue: %s", call.job, call.id, unavailable)
            self.reject(requeue=True)
            return False
        self._recorded = True
        return True


class _Run(Task[Any, Any]):
    Request = f"{__name__}:_Request"
    failures: Failures


def worker_app[C](
    url: str, failures: Failures, queue: Queue, opened: Callable[[], AbstractAsyncContextManager[C]]
) -> Celery:
    """The Celery application of a worker process that runs this queue's jobs, sent by the broker at `url`."""
    app = celery_app(url, queue)
    loops: list[Loop[C]] = []

    def begin(**_: object) -> None:
        loops.append(Loop(opened))

    def end(exitcode: int = 0, **_: object) -> None:
        while loops:
            loops.pop().close()
        os._exit(
            exitcode
        )  # billiard would tell its parent, which sees it anyway, and then sleep for a second

    worker_process_init.connect(begin, weak=False)
    worker_process_shutdown.connect(end, weak=False)

    def run(_: _Run, sent: str) -> None:
        try:
            execute(_call(sent), loops[0], failures)
        except FailuresUnavailable as error:
            log.error("a job goes back to its queue: %s", error)
            raise Reject(str(error), requeue=True) from error

    for job in all_jobs():
        if job.queue is queue:
            app.task(name=job.name, bind=True, base=_Run, failures=failures)(run)
    return app


def run_worker(app: Celery, queue: str, processes: int = 1) -> int:
    """Work on a queue until told to end; the exit status."""
    worker = app.Worker(
        pool="prefork",
        concurrency=processes,
        queues=[queue],
        hostname=f"{queue}@calotype",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
        loglevel="WARNING",
    )
    worker.start()
    return worker.exitcode or 0


def execute[C](call: Call, loop: Loop[C], failures: Failures) -> None:
    """Run a call; when it returns its outcome is durable."""
    began = time.monotonic()
    try:
        job = job_named(call.job)
        loop.run(job, job.check(call.arguments))
    except Exception as error:
        record(failures, call, error, traceback.format_exc())
        return
    if call.again:
        failures.forget(call.id)
    log.info("%s %s took %.0f ms", call.job, call.id, (time.monotonic() - began) * 1000)


def _call(sent: str) -> Call:
    return msgspec.json.decode(sent, type=Call)


def record(failures: Failures, call: Call, error: BaseException, trace: str) -> None:
    """Remember a failure, and when it is to be tried again. Raises `FailuresUnavailable` after some patience: then the
    message is not acknowledged, and comes again by itself."""
    attempts = call.attempts + 1
    after_s = again_s(call, error)
    said = f"{type(error).__name__}: {error}"
    log.warning(
        "%s %s failed (attempt %d): %s; %s",
        call.job,
        call.id,
        attempts,
        said,
        "given up" if after_s is None else f"again in {after_s:.0f} s",
    )
    for left in reversed(range(FAILURES_TRIES)):
        try:
            failures.record(call, said, trace, after_s)
        except FailuresUnavailable:
            if not left:
                raise
            time.sleep(FAILURES_AGAIN_S)
        else:
            return
