"""A control database of one's own that is a broker, and workers as processes."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from calotype.infra.jobs import Queue
from calotype.infra.jobs.broker import Broker, install_broker
from calotype.infra.jobs.failures import Failures
from tests.rabbitmq import running_rabbitmq
from tests.running_site import SOURCE
from tests.site import RunningCluster

_numbers = itertools.count(1)
READY_S = 30


@pytest.fixture(scope="module")
def dsn(clusters: dict[str, RunningCluster]) -> str:
    """Of a new database, with the queues and the table of failures."""
    name = f"jobs{next(_numbers)}"
    with psycopg.connect(clusters["pg-1"].cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name} strategy file_copy")
    made = clusters["pg-1"].cluster.dsn(name)
    install_broker(made)
    return made


@pytest.fixture(scope="module", params=["pgmq", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def url(request: pytest.FixtureRequest, dsn: str, short_directory: Path) -> Iterator[str]:
    """Of each broker in turn."""
    if request.param == "pgmq":
        yield dsn
        return
    with running_rabbitmq(short_directory) as server:
        yield server.url


@pytest.fixture(scope="module")
def broker(url: str) -> Iterator[Broker]:
    made = Broker(url)
    yield made
    made.close()


@pytest.fixture
def failures(dsn: str) -> Failures:
    return Failures(dsn)


class RunningWorker:
    """A worker's process with its children, ours to end. `trace` is written to by the jobs that it runs."""

    def __init__(self, url: str, dsn: str, queue: Queue, trace: Path) -> None:
        self.trace = trace
        program = str(Path(__file__).with_name("jobs_program.py"))
        command = [sys.executable, "-P", program, url, dsn, queue.value]
        paths = os.pathsep.join((str(SOURCE), str(Path(__file__).parent)))
        # Celery sets Django up where it is named.
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("CALOTYPE_", "DJANGO_"))
        }
        environment = clean | {"PYTHONPATH": paths, "JOBS_TRACE": str(trace)}
        self._log = trace.with_suffix(".log").open("ab")
        self.process = subprocess.Popen(
            command, env=environment, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def kill(self) -> None:
        """As `kill -9` of the worker and of whoever runs its jobs."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()

    @property
    def lines(self) -> list[str]:
        return self.trace.read_text().splitlines() if self.trace.exists() else []

    def did(self, what: str) -> int:
        """How often."""
        return self.lines.count(what)


def eventually(true: Callable[[], bool], seconds: float = READY_S) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not become true in time"
        time.sleep(0.02)


@contextmanager
def working(url: str, dsn: str, queue: Queue, trace: Path) -> Iterator[RunningWorker]:
    worker = RunningWorker(url, dsn, queue, trace)
    try:
        yield worker
    finally:
        worker.stop()


@pytest.fixture(scope="module")
def worker(url: str, dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    """Of the queue `interactive`, for all tests of a broker."""
    with working(url, dsn, Queue.INTERACTIVE, tmp_path_factory.mktemp("worker") / "trace") as running:
        yield running
