"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path

import click

from calotype.cli.places import Places


def _resolve(context: click.Context, parameter: click.Parameter, value: Path) -> Places:
    """Absolute, and told to everything that this command imports or starts."""
    data = value.expanduser().resolve()
    os.environ["CALOTYPE_DATA"] = str(data)
    return Places(data)


data_option = click.option(
    "--data",
    "places",
    envvar="CALOTYPE_DATA",
    type=click.Path(file_okay=False, path_type=Path),
    callback=_resolve,
    default="var",
    metavar="DIR",
    help="The data directory of the site. [env: CALOTYPE_DATA; default: var beside the program]",
)
