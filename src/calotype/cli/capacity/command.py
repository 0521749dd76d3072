"""`calotype capacity`: servers, cores, storage, cache and network of a site of a given size, on paper."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from calotype.cli.bars import Bar
from calotype.cli.capacity import tables
from calotype.cli.capacity.assumptions import MOST, Demand, Engine, assumed, check
from calotype.cli.capacity.costs import measured
from calotype.cli.capacity.report import Asked, encode, report
from calotype.config.site import Feed

MOST_POSTS = 1_000_000


class Number(click.ParamType[float]):
    """From 0 to `MOST`, also as 600e6."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = float("nan")
        if not 0 <= number <= MOST:
            self.fail(f"{value} is not a number from 0 to {MOST:g}.", param, ctx)
        return number


NUMBER = Number()
ASKED, DEMAND = Asked(pulled_from=Feed().pulled_from), Demand()


@click.command()
@click.option("--people", type=NUMBER, default=DEMAND.people, help="Registered. [default: 600e6]")
@click.option("--daily", type=NUMBER, default=DEMAND.daily, help="Of them, on a day. [default: 400e6]")
@click.option(
    "--uploads-per-day", type=NUMBER, default=DEMAND.uploads_per_day, help="Photographs. [default: 95e6]"
)
@click.option("--likes-per-day", type=NUMBER, default=DEMAND.likes_per_day, help="[default: 4.2e9]")
@click.option(
    "--pulled-from",
    type=NUMBER,
    default=ASKED.pulled_from,
    help="Posts of people with more followers are read by them, not pushed. [default: 10000, as `feed.pulled_from`]",
)
@click.option(
    "--timelines",
    type=click.Choice(["postgresql", "cassandra"]),
    default="postgresql",
    show_default=True,
    help="What keeps timelines. The costs of Cassandra are assumed as long as no bench measures them.",
)
@click.option(
    "--assume",
    "said",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another value for an assumption; repeatable. A run lists them all.",
)
@click.option(
    "--costs",
    "reports",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A report of `calotype bench NAME --json` from your own machine; repeatable.",
)
@click.option("--no-simulation", is_flag=True, help="The fleet only.")
@click.option(
    "--posts",
    type=click.IntRange(100, MOST_POSTS),
    default=ASKED.posts,
    show_default=True,
    help="Posts in each simulation of fan-out.",
)
@click.option("--seed", type=int, default=ASKED.seed, show_default=True, help="Of the simulations.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def capacity(
    people: float,
    daily: float,
    uploads_per_day: float,
    likes_per_day: float,
    pulled_from: float,
    timelines: Engine,
    said: tuple[str, ...],
    reports: tuple[Path, ...],
    no_simulation: bool,
    posts: int,
    seed: int,
    as_json: bool,
) -> None:
    """What a site of this size needs: servers, cores, memory, storage and network of each engine.

    Computed from what operations cost when `calotype bench` measured them, and from assumptions; both are printed. Then
    posts reach their followers in a simulation, by push, by pull and as the site does it. Starts nothing, and
    asks no site. docs/scale.md has the formulas.

    \b
    Examples:
      ./calotype capacity
      ./calotype capacity --people 50e3 --daily 10e3 --uploads-per-day 5e3 --likes-per-day 200e3
      ./calotype capacity --assume product_weight=14 --assume peak_to_mean=3
      ./calotype capacity --pulled-from 1e6 --json | jq .fan_out.simulated
      ./calotype bench feed --json > feed.json && ./calotype capacity --costs feed.json
    """
    demand = Demand(people=people, daily=daily, uploads_per_day=uploads_per_day, likes_per_day=likes_per_day)
    check(demand)
    asked = Asked(
        pulled_from=pulled_from, timelines=timelines, posts=0 if no_simulation else posts, seed=seed
    )
    assumptions, figures = assumed(said), measured(reports)
    with contextlib.redirect_stdout(sys.stderr), Bar("simulations") as bar:
        made = report(demand, assumptions, figures, asked, bar.update)
    if as_json:
        click.echo(encode(made))
    else:
        tables.show(made)
