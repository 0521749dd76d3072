"""A supervisor in a session of its own, started by a command that shows what it says until it is up."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping, Sequence

import click

from calotype.cli import site_processes, state
from calotype.cli.log_files import Follower, size
from calotype.cli.places import Places


def in_background(
    places: Places, command: str, arguments: Sequence[str], environment: Mapping[str, str], how_to_see: str
) -> int:
    """Run `command --daemon` as the supervisor of `places`; the exit status, once it is up or has given up."""
    path = places.log("supervisor")
    said = Follower(path, size(path))
    with path.open("ab") as log:
        daemon = subprocess.Popen(
            [*site_processes.OURSELVES, *command.split(), "--daemon", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=places.data,
            env=environment,
            start_new_session=True,
        )
    try:
        return _watch(places, daemon, said, how_to_see)
    except KeyboardInterrupt:
        click.echo("stopping")
        daemon.terminate()
        daemon.wait()
        return 130


def _watch(places: Places, daemon: subprocess.Popen[bytes], said: Follower, how_to_see: str) -> int:
    while True:
        ended = daemon.poll()  # asked first: what it said last is then there to be read
        known = state.read(places)
        for line in said.new_lines():
            click.echo(re.sub(r"^\d{4}-\d\d-\d\dT[\d:]+Z ", "", line))
        if ended is not None:
            if ended != 0:
                click.echo(f"calotype: it did not start; its log is {places.log('supervisor')}", err=True)
            return 1 if ended else 0
        if known is not None and known.supervisor.pid == daemon.pid and known.phase == "running":
            click.echo(f"It runs in the background: {how_to_see}.")
            return 0
        time.sleep(0.05)
