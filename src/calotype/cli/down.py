"""`calotype down`: ask the supervisor to stop everything, and wait until it has."""

from __future__ import annotations

import re
import signal
import time

import click

from calotype.cli import state
from calotype.cli.leftovers import end_leftovers
from calotype.cli.log_files import Follower, size
from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.cli.process import Process, alive, send
from calotype.cli.progress import Plain
from calotype.std.errors import CalotypeError

PATIENCE_S = 120.0
"""More than the supervisor's own patience with all of its children, after which it kills them."""


class StopFailed(CalotypeError):
    code = "stop_failed"


@click.command()
@data_option
def down(places: Places) -> None:
    """Stop the site: the web server first, PostgreSQL last.

    Returns when all of it has ended. If nothing runs, it says so, ends what a killed supervisor may have left
    behind, and succeeds.
    """
    stop(places, "Calotype")


def stop(places: Places, name: str) -> None:
    """Stop what a supervisor runs, or end what one left; say so."""
    process = state.supervisor(places)
    if process is not None:
        _stop(places, process)
    elif places.run.is_dir():
        _clean_up(places, name)
    else:
        click.echo(f"{name} is not running (data {places.data}).")


def _stop(places: Places, process: Process) -> None:
    said = Follower(places.log("supervisor"), size(places.log("supervisor")))
    until = time.monotonic() + PATIENCE_S
    send(process, signal.SIGTERM)
    while alive(process):
        _show(said)
        if time.monotonic() > until:
            raise StopFailed(f"the supervisor (process {process.pid}) has not ended after {PATIENCE_S:.0f} s")
        time.sleep(0.05)
    _show(said)
    click.echo("stopped")


def _show(said: Follower) -> None:
    for line in said.new_lines():
        click.echo(re.sub(r"^\d{4}-\d\d-\d\dT[\d:]+Z ", "", line))


def _clean_up(places: Places, name: str) -> None:
    lock = state.take_lock(places)
    if lock is None:  # somebody is just starting it; that is theirs to stop
        click.echo(f"{name} is being started or stopped by another process; nothing was done.")
        return
    with lock:
        ended = end_leftovers(places, Plain())
    click.echo(
        f"ended {ended} processes that were left behind"
        if ended
        else f"{name} is not running (data {places.data})."
    )
