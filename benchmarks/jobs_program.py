"""A worker for `calotype bench jobs`: `python -m benchmarks.jobs_program KIND BROKER DSN TRACE`.

KIND `calotype`: ours, with a job that notes when it ran. `celery`: Celery as its documentation starts one, with late
acknowledgement, over the same broker, with a task that does the same.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import msgspec
from celery import Celery
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from calotype.infra.jobs import Queue, job
from calotype.infra.jobs.failures import Failures
from calotype.infra.jobs.worker import run_worker, worker_app

BARE_QUEUE = "bare"


class Note(msgspec.Struct, frozen=True):
    sent: float


def note(trace: IO[str], sent: float) -> None:
    trace.write(f"{sent} {time.time()}\n")
    trace.flush()


@job("bench.note", Note, queue=Queue.INTERACTIVE)
async def notes(trace: IO[str], arguments: Note) -> None:
    note(trace, arguments.sent)


def bare_app(broker: str) -> Celery:
    """With what Celery needs to reach pgmq where it is not on its usual place; else its defaults."""
    app = Celery("bare", set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_ignore_result=True,
        task_default_queue=BARE_QUEUE,
        worker_enable_remote_control=False,
    )
    if broker.startswith("amqp"):
        app.conf.update(
            broker_url=broker,
            task_default_queue_type="quorum",
            broker_transport_options={"confirm_publish": True},
        )
        return app
    options = {
        "conn_string": make_conninfo("", **conninfo_to_dict(broker)),
        "init_extension": False,
        "wait_time_seconds": 0,
        "use_notify": True,
    }
    app.conf.update(broker_url="pgmq://localhost", broker_transport_options=options)
    return app


def bare_worker(broker: str, path: Path) -> Celery:
    app = bare_app(broker)
    trace = path.open("a")

    @app.task(name="bench.bare")
    def bare(sent: float) -> None:
        note(trace, sent)

    return app


def main(kind: str, broker: str, dsn: str, path: Path) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[IO[str]]:
        with path.open("a") as trace:
            yield trace

    ours = kind == "calotype"
    app = worker_app(broker, Failures(dsn), Queue.INTERACTIVE, opened) if ours else bare_worker(broker, path)
    run_worker(app, Queue.INTERACTIVE.value if ours else BARE_QUEUE)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
