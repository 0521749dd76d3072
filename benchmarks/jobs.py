"""`calotype bench jobs`: what it costs to send and to run a job, on each broker, beside bare Celery on the same broker.

Measured: CPU of the sender for each call that is durable when it returns; jobs a second of one worker with one process,
from a full queue; milliseconds from sending to running when nothing else waits; memory of the worker. Ours checks arguments, and
records what fails before it acknowledges; the bare tasks do the same work and nothing else. RabbitMQ is measured where
it is installed.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import psycopg

from benchmarks import processes, site
from benchmarks.jobs_program import BARE_QUEUE, Note, bare_app, notes
from benchmarks.report import Options, Report, Row, report, row
from calotype.cli.bars import Bar
from calotype.cli.places import checkout
from calotype.infra.engines.rabbitmq import RabbitMQ, binary
from calotype.infra.jobs.broker import Broker, install_broker

JOBS = 1_000
SINGLES = 100
PATIENCE_S = 120

OURS, BARE = "calotype", "celery"


@dataclass(frozen=True)
class Figures:
    """One sender and worker on one broker."""

    send_us: float
    send_wall_us: float
    rate: float
    latency_ms: list[float]
    memory_mb: float


def run(options: Options) -> Report:
    jobs, singles = (50, 5) if options.quick else (JOBS, SINGLES)
    rows: list[Row] = []
    with ExitStack() as stack, Bar("brokers") as bar:
        bench = stack.enter_context(site.clusters_running(options.data / "small", {}))
        site.prepare(bench)
        dsn = bench.site.databases["default"]
        install_broker(dsn)
        with psycopg.connect(dsn) as connection:
            connection.execute("select pgmq.create(%s)", (BARE_QUEUE,))
        brokers = {"pgmq": dsn}
        if binary() is not None:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calotype-bench-")))
            server = RabbitMQ(root, processes.free_ports(3))
            stack.callback(server.kill)
            brokers["RabbitMQ"] = server.url
        for at, (name, url) in enumerate(brokers.items()):
            ours, bare = (_figures(kind, url, dsn, jobs, singles) for kind in (OURS, BARE))
            rows += _rows(name, ours, bare)
            bar.update(at + 1, len(brokers))
    return report("jobs", ("celery", "kombu", "pgmq", "psycopg", "amqp"), rows, {})


def _figures(kind: str, url: str, dsn: str, jobs: int, singles: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="calotype-bench-") as directory, _sender(kind, url) as send:
        trace = Path(directory) / "trace"
        send(0)  # connects
        before = (time.process_time(), time.perf_counter())
        for _ in range(jobs - 1):
            send(time.time())
        after = (time.process_time(), time.perf_counter())
        cpu_us, wall_us = ((end - start) * 1e6 / (jobs - 1) for start, end in zip(before, after, strict=True))
        with _worker(kind, url, dsn, trace) as pid:
            _wait(trace, jobs)
            ran = [at for _, at in _lines(trace)]
            for number in range(singles):
                send(time.time())
                _wait(trace, jobs + number + 1)
                time.sleep(0.02)
            latency = [(at - sent) * 1000 for sent, at in _lines(trace)[jobs:]]
            return Figures(cpu_us, wall_us, (jobs - 1) / (ran[-1] - ran[0]), latency, processes.pss_mb(pid))


@contextmanager
def _sender(kind: str, url: str) -> Iterator[Callable[[float], None]]:
    if kind == OURS:
        broker = Broker(url)
        yield lambda sent: broker.send(notes(Note(sent)))
        broker.close()
        return
    app = bare_app(url)
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:

        def send(sent: float) -> None:
            app.send_task("bench.bare", args=[sent], producer=producer)

        yield send


@contextmanager
def _worker(kind: str, url: str, dsn: str, trace: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.jobs_program", kind, url, dsn, str(trace)]
    paths = os.pathsep.join((str(checkout()), str(checkout() / "src")))
    environment = {
        "PYTHONPATH": paths,
        "DJANGO_SETTINGS_MODULE": "",
    }  # Celery sets Django up where it is named
    # Its work is done and counted: it need not wait until its processes have said goodbye.
    stop = signal.SIGQUIT
    with processes.running(command, trace.with_suffix(".log"), trace.exists, environment, stop) as pid:
        yield pid


def _lines(trace: Path) -> list[tuple[float, float]]:
    return [(float(sent), float(at)) for sent, at in map(str.split, trace.read_text().splitlines())]


def _wait(trace: Path, amount: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while len(trace.read_bytes().splitlines()) < amount:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(_lines(trace))} of {amount} jobs ran within {PATIENCE_S} s")
        time.sleep(0.001)


def _rows(broker: str, ours: Figures, bare: Figures) -> list[Row]:
    def p99(figures: Sequence[float]) -> float:
        return quantiles(figures, n=100)[-1]

    return [
        row(f"{broker}, send, CPU", ours.send_us, "us/call", BARE, bare.send_us),
        row(f"{broker}, send, wall", ours.send_wall_us, "us/call", BARE, bare.send_wall_us),
        row(f"{broker}, one process", ours.rate, "jobs/s", BARE, bare.rate),
        row(f"{broker}, sent to run, p50", median(ours.latency_ms), "ms", BARE, median(bare.latency_ms)),
        row(f"{broker}, sent to run, p99", p99(ours.latency_ms), "ms", BARE, p99(bare.latency_ms)),
        row(f"{broker}, memory of a worker", ours.memory_mb, "MB", BARE, bare.memory_mb),
    ]
