"""`calotype load`: people of the demo who use the site of a data directory for a while."""

from __future__ import annotations

import sys

import click
import msgspec

from calotype.cli import state
from calotype.cli.load.run import NAMES, Wanted, run
from calotype.cli.load.tally import KindReport, Report
from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.cli.progress import progress
from calotype.std.errors import NotFound, Unavailable

FAILED = 1
A_DAY_S = 86_400
FIRST_REGION = "a"


class SiteStopped(Unavailable):
    code = "site_stopped"


@click.command()
@data_option
@click.option(
    "--minutes", type=click.FloatRange(0, A_DAY_S / 60, min_open=True), help="How long. [default: 1]"
)
@click.option("--seconds", type=click.FloatRange(0, A_DAY_S, min_open=True), help="How long, in seconds.")
@click.option(
    "--people",
    type=click.IntRange(2, len(NAMES)),
    default=len(NAMES),
    show_default=True,
    help="How many people of the demo, each with a browser of their own.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=20.0,
    show_default=True,
    help="Requests a second at most, all together; 0: as many as are answered.",
)
@click.option(
    "--writes",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="The share of what people do that writes.",
)
@click.option(
    "--seed", type=int, default=1841, show_default=True, help="The same seed makes the same choices."
)
@click.option("--region", help="Only this region. [default: all, by chance]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def load(
    places: Places,
    minutes: float | None,
    seconds: float | None,
    people: int,
    rate: float,
    writes: float,
    seed: int,
    region: str | None,
    as_json: bool,
) -> None:
    """Use the running site of the data directory as people do, for a while, and check what they see.

    The people of the demo look at feeds, posts and profiles, like, follow and comment. After each write that was
    acknowledged its page is read, in any region: the write must be there. Nothing is sent to any other address.

    Exit status: 0; 1 when somebody did not see their own write, or for a server error (503 is none).

    \b
    Examples:
      ./calotype load
      ./calotype load --minutes 10 --rate 0
      ./calotype load --seconds 30 --json | jq .own_writes_missed
    """
    if minutes is not None and seconds is not None:
        raise click.UsageError("give --minutes or --seconds, not both")
    wanted = Wanted(seconds or (minutes or 1) * 60, people, rate, writes, seed)
    chosen = _chosen(regions(places), region)
    seen = run(chosen, wanted, _silent if as_json else progress().line)
    click.echo(msgspec.json.encode(seen).decode() if as_json else _text(seen))
    sys.exit(FAILED if seen.failed else 0)


def regions(places: Places) -> dict[str, str]:
    """Where the running site answers: name of a region -> origin. Raises `SiteStopped`.

    A state that was left by a supervisor which is gone does not count: its port may be somebody else's by now.
    """
    known = state.read(places)
    if known is None or known.phase != "running" or known.supervisor != state.supervisor(places):
        raise SiteStopped(f"the site in {places.data} is not running: `calotype up` starts it")
    return {region.name: region.url for region in known.regions} or {FIRST_REGION: known.url}


def _chosen(known: dict[str, str], region: str | None) -> dict[str, str]:
    if region is None:
        return known
    if region not in known:
        raise NotFound(f"there is no region {region}; there is {', '.join(known)}")
    return {region: known[region]}


def _silent(_: str) -> None:
    """Nothing but the object may be printed."""


def _text(seen: Report) -> str:
    lines = [
        f"{seen.requests:,} requests of {seen.people} people in {seen.seconds:.1f} s: {seen.requests_per_s:,} a second",
        f"  answered {seen.ok:,}, refused (429, 503) {seen.refused:,}, server errors {seen.server_errors:,}, "
        f"unexpected {seen.unexpected:,}, unanswered {seen.unanswered:,}",
    ]
    if len(seen.regions) > 1:
        lines.append(
            "  by region: " + ", ".join(f"{name} {number:,}" for name, number in seen.regions.items())
        )
    lines.append(f"  {'':15} {'requests':>9} {'p50 ms':>9} {'p95 ms':>9} {'p99 ms':>9}")
    lines += [_row(kind) for kind in seen.kinds]
    lines.append(
        f"own writes: {seen.own_writes_checked:,} looked for, {seen.own_writes_missed:,} missed; "
        f"{seen.own_writes_unread:,} could not be read, {seen.counts_late:,} counts came late"
    )
    lines += [f"first {what.replace('_', ' ')}: {words}" for what, words in seen.examples.items()]
    return "\n".join(lines)


def _row(kind: KindReport) -> str:
    latencies = (kind.p50_ms, kind.p95_ms, kind.p99_ms)
    shown = " ".join("        –" if ms is None else f"{ms:9.1f}" for ms in latencies)
    return f"  {kind.kind:15} {kind.requests:9,} {shown}"
