"""`calotype logs`: the last lines of the processes, or all that they say from now on."""

from __future__ import annotations

from pathlib import Path

import click

from calotype.cli.log_files import follow, last_lines
from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.std.errors import NotFound


@click.command()
@click.argument("name", required=False)
@data_option
@click.option("-f", "--follow", "following", is_flag=True, help="Go on showing new lines until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=50, show_default=True, help="How many lines of each."
)
def logs(name: str | None, places: Places, following: bool, lines: int) -> None:
    """Print the logs: of one process (supervisor, pg-1, pg-2, prepare, relay, worker-bulk, web, ...), or of all.

    The files are in DATA/logs; at most 3 of 10 MB a process are kept.

    \b
    Examples:
      ./calotype logs
      ./calotype logs web --follow
      ./calotype logs pg-1 --lines 500
    """
    paths = _chosen(places, name)
    for path in paths:
        for line in last_lines(path, lines):
            _show(path, line, labelled=name is None)
    if following:
        try:
            follow(paths, lambda path, line: _show(path, line, labelled=name is None))
        except KeyboardInterrupt:
            return


def _chosen(places: Places, name: str | None) -> list[Path]:
    known = sorted(places.logs.glob("*.log"))
    if not known:
        raise NotFound(f"there are no logs in {places.logs}: the site was never started")
    if name is None:
        return known
    chosen = [path for path in known if path.stem == name]
    if not chosen:
        raise NotFound(f"there is no log of {name}; there is {', '.join(path.stem for path in known)}")
    return chosen


def _show(path: Path, line: str, *, labelled: bool) -> None:
    click.echo(f"{path.stem:10} | {line}" if labelled else line)
