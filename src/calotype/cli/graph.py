"""`calotype graph`: prove that the graph is whole, and mend it."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from calotype.cli.bars import Bar
from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.config.site import Site, read
from calotype.infra.shards import Shards
from calotype.infra.tao import CheckReport, Graph, check_graph

WRONG = 1


@click.group()
def graph() -> None:
    """Objects and associations: look, sweep for half edges."""


@graph.command()
@data_option
@click.option("--repair", is_flag=True, help="Mend what is wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(places: Places, repair: bool, as_json: bool) -> None:
    """Look at every edge, its inverse and every count, while the site runs.

    What is only on its way (its message still waits in an outbox) is not wrong. With --repair the present state of a
    forward edge is sent to its inverse again, and counts are counted anew; nothing that a person wrote is changed.

    Exit status: 0 nothing wrong, or all of it mended; 1 something is wrong.

    \b
    Examples:
      ./calotype graph check
      ./calotype graph check --repair --json | jq .repaired
    """
    report = asyncio.run(_check(read(places.data), repair, quiet=as_json))
    click.echo(_json(report) if as_json else _text(report, repair))
    sys.exit(WRONG if report.wrong > report.repaired else 0)


async def _check(site: Site, repair: bool, *, quiet: bool) -> CheckReport:
    import calotype.product.graph_types  # noqa: F401  declares every type, without which nothing would be looked at

    async with Shards(site.control_dsn, site.servers) as shards:
        if quiet:
            return await check_graph(Graph(shards), repair=repair)
        with Bar("logical shards") as bar:
            return await check_graph(Graph(shards), repair=repair, progress=bar.update)


def _json(report: CheckReport) -> str:
    return msgspec.json.encode(msgspec.structs.asdict(report) | {"wrong": report.wrong}).decode()


def _text(report: CheckReport, repair: bool) -> str:
    lines = [f"{report.edges:,} edges and {report.lists:,} lists looked at"]
    found = {
        "edges whose inverse is missing": report.missing_inverses,
        "inverses whose edge is missing": report.orphan_inverses,
        "inverses that say something else than their edge": report.different_inverses,
        "lists whose count is wrong": report.wrong_counts,
    }
    lines += [f"{amount:,} {what}" for what, amount in found.items() if amount]
    if report.waiting:
        lines.append(f"{report.waiting:,} edges on their way, or being written just now: not wrong")
    if repair and report.repaired:
        lines.append(f"{report.repaired:,} mended")
    elif report.wrong:
        lines.append("mend them with `calotype graph check --repair`")
    else:
        lines.append("nothing is wrong")
    return "\n".join(lines)
