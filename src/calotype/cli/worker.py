"""`calotype worker`: runs jobs of one queue. `calotype up` runs one of each; any number may run."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING

import click

from calotype.infra.jobs.types import Queue

if TYPE_CHECKING:
    from celery import Celery


@click.command()
@click.argument("queue", type=click.Choice([queue.value for queue in Queue]))
@click.option("--processes", default=1, show_default=True, help="Jobs that run at the same time.")
def worker(queue: str, processes: int) -> None:
    """Run the jobs of QUEUE until told to end: those that somebody waits for, or bulk.

    Each job runs in a process that is killed when it takes too long. What fails is tried again later, and given up after
    its retries (`calotype jobs list`). Every job may run twice and none is lost, so this may be killed at any moment.

    \b
    Examples:
      ./calotype worker interactive
      ./calotype worker bulk --processes 4
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calotype.config.settings")
    # Celery warns of running as root since pickle could be sent to it; it accepts JSON alone.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    import django

    django.setup(set_prefix=False)
    logging.getLogger("celery").setLevel(logging.WARNING)
    from calotype.infra.jobs.worker import run_worker

    status = run_worker(_app(Queue(queue)), queue, processes)
    sys.stdout.flush()
    sys.stderr.flush()
    # All that it had is acknowledged and its processes are gone. Python would wait for billiard's thread that looks for time
    # limits, which sleeps for a second.
    os._exit(status)


def _app(queue: Queue) -> Celery:
    from django.conf import settings

    from calotype.config.jobs import broker_url, failures
    from calotype.config.wiring import open_site
    from calotype.infra.jobs.worker import worker_app

    site, data = settings.SITE, settings.DATA
    return worker_app(broker_url(site), failures(site), queue, lambda: open_site(site, data))
