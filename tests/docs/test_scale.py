"""docs/scale.md against what `calotype capacity` prints now."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from calotype.cli.capacity.command import capacity

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
TITLES = ("600,000,000 people", "Servers: ", "Fan-out, simulated", "The threshold", "Measured by", "Assumed")
WHAT_IF = re.findall(
    r"^\| `(-[^`]*)` \| ([\d.,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", PAGE, re.MULTILINE
)


@cache
def printed() -> list[str]:
    """The tables of the command line without an option."""
    said = CliRunner().invoke(capacity, ())
    assert said.exit_code == 0, said.output
    return re.split(r"\n\s*\n", said.stdout.strip("\n"))


@pytest.mark.parametrize("title", TITLES)
def test_the_page_has_the_table_that_is_printed(title: str) -> None:
    (table,) = [each for each in printed() if each.startswith(title)]
    wanted = "\n".join(f"    {line.rstrip()}" for line in table.splitlines())
    assert wanted in PAGE, wanted


def test_every_table_that_is_printed_is_on_the_page() -> None:
    assert [each.startswith(title) for each, title in zip(printed(), TITLES, strict=True)] == [True] * 6


@pytest.mark.parametrize(("said", "web", "likes", "blobs", "servers"), WHAT_IF)
def test_another_assumption_does_what_the_page_says(
    said: str, web: str, likes: str, blobs: str, servers: str
) -> None:
    made = json.loads(CliRunner().invoke(capacity, [*shlex.split(said), "--no-simulation", "--json"]).stdout)
    engines = {one["engine"]: one for one in made["engines"]}
    cores = engines["web workers"]["cores"]
    assert web == (f"{cores:,.0f}" if cores >= 1 else f"{cores:.1f}")
    assert (likes, blobs) == tuple(f"{engines[name]['servers']:,}" for name in ("PostgreSQL likes", "blobs"))
    assert servers == f"{made['servers']:,}"


def test_the_page_says_what_other_assumptions_do() -> None:
    assert len(WHAT_IF) >= 10


def test_every_option_is_on_the_page() -> None:
    options = {option for parameter in capacity.params for option in parameter.opts}
    assert {option for option in options if f"`{option}" not in PAGE} == set()
