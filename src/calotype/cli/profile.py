"""`calotype profile`: what profiled requests of a site cost, function by function; for other tools, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.efficiency.profiler import (
    Change,
    ClockName,
    Hot,
    Profile,
    Stored,
    Unit,
    difference,
    folded,
    hottest,
    pprof,
    pstats_of,
    read,
    speedscope,
    stored,
)
from calotype.std.errors import CalotypeError

EXPORTS: dict[str, Callable[[Profile], bytes]] = {
    "speedscope": speedscope,
    "pprof": pprof,
    "pstats": pstats_of,
}
SCALES: dict[Unit, tuple[float, str]] = {
    "ns": (1e3, "us"),
    "bytes": (1, "bytes"),
    "instructions": (1, "instructions"),
}


class ProfileMissing(CalotypeError):
    """Nothing that was stored fits what was asked for."""

    code = "profile_missing"
    status = 404


class ProfileOptions(CalotypeError):
    """Options that do not go together."""

    code = "profile_options"
    status = 400


@click.command()
@data_option
@click.option("--endpoint", metavar="NAME", help="Of which endpoint. Not needed where there is only one.")
@click.option("--release", metavar="REV", help="Of which release. [default: the one that was profiled last]")
@click.option(
    "--clock",
    type=click.Choice(["cpu", "wall", "memory"]),
    default="cpu",
    show_default=True,
    help="What is counted: CPU (instructions where the machine has them), time, or bytes allocated.",
)
@click.option(
    "--hottest",
    "count",
    type=click.IntRange(1, 1_000),
    default=20,
    show_default=True,
    metavar="N",
    help="How many functions to show.",
)
@click.option("--diff", metavar="REV", help="Show what changed since this release.")
@click.option(
    "--export", type=click.Choice(list(EXPORTS)), help="Write a file for another tool, with --output."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where --export writes; an existing file is replaced.",
)
@click.option("--unfolded", is_flag=True, help="With wrappers (cached_property, functools.wraps, ...).")
def profile(
    places: Places,
    endpoint: str | None,
    release: str | None,
    clock: ClockName,
    count: int,
    diff: str | None,
    export: str | None,
    output: Path | None,
    unfolded: bool,
) -> None:
    """Show where requests spend what they cost, from the requests that were profiled.

    Without a name: what there is. With --endpoint: its hottest functions, by what they do themselves and by that
    with all they call. All figures are of one request, and what profiling itself has cost is subtracted.

    \b
    Examples:
      ./calotype profile
      ./calotype profile --endpoint feed
      ./calotype profile --endpoint feed --clock memory --hottest 10
      ./calotype profile --endpoint feed --release 4f1c --diff 3b0a
      ./calotype profile --endpoint feed --export speedscope --output feed.json
    \b
    What the exports are for:
      speedscope   https://www.speedscope.app, or `npx speedscope FILE`
      pprof        `go tool pprof -http : FILE`
      pstats       `python -m pstats FILE`; knows functions and callers only
    """
    _check(endpoint, release, diff, export, output)
    everything = stored(places.profiles)
    if endpoint is None and release is None and diff is None and export is None:
        click.echo(_list(everything))
        return
    shown = _chosen(places, everything, endpoint, release, clock, unfolded)
    if export is not None and output is not None:
        output.write_bytes(EXPORTS[export](shown))
        click.echo(f"{output}: {_title(shown)}")
    elif diff is not None:
        before = _chosen(places, everything, shown.endpoint, diff, clock, unfolded)
        click.echo(_changes(before, shown, count))
    else:
        click.echo(_hottest(shown, count))


def _check(
    endpoint: str | None, release: str | None, diff: str | None, export: str | None, output: Path | None
) -> None:
    if (export is None) != (output is None):
        raise ProfileOptions("--export and --output go together: --export speedscope --output feed.json")
    if diff is not None and export is not None:
        raise ProfileOptions(
            "--diff is not exported: export both releases, with --release, and compare them in the other tool"
        )
    if diff is not None and diff == release:
        raise ProfileOptions(f"--release and --diff are both {diff}: say two that differ")


def _chosen(
    places: Places,
    everything: Sequence[Stored],
    endpoint: str | None,
    release: str | None,
    clock: ClockName,
    unfolded: bool,
) -> Profile:
    """Raises `ProfileMissing`, which says what there is."""
    of = _fitting(everything, endpoint, release, clock)
    found = read(places.profiles, of)
    if found is None:
        raise ProfileMissing(f"the profile of {of.endpoint} at {of.release} was removed meanwhile; try again")
    return found if unfolded else folded(found)


def _fitting(
    everything: Sequence[Stored], endpoint: str | None, release: str | None, clock: ClockName
) -> Stored:
    if not everything:
        raise ProfileMissing("no request of this site was profiled yet")
    of_clock = [each for each in everything if each.clock == clock]
    if not of_clock:
        raise ProfileMissing(f"nothing was profiled by {clock}; there is {_among(everything, 'clock')}")
    if endpoint is None and len({each.endpoint for each in of_clock}) > 1:
        raise ProfileMissing(f"say --endpoint, one of: {_among(of_clock, 'endpoint')}")
    of_endpoint = [each for each in of_clock if endpoint in (None, each.endpoint)]
    if not of_endpoint:
        raise ProfileMissing(
            f"no {endpoint} was profiled by {clock}; there is {_among(of_clock, 'endpoint')}"
        )
    fitting = [each for each in of_endpoint if release in (None, each.release)]
    if not fitting:
        raise ProfileMissing(
            f"{of_endpoint[0].endpoint} was not profiled at {release}; there is {_among(of_endpoint, 'release')}"
        )
    return max(fitting, key=lambda each: each.written_s)


def _among(of: Sequence[Stored], field: str) -> str:
    return ", ".join(sorted({str(getattr(each, field)) for each in of}))


# What is printed


def _list(everything: Sequence[Stored]) -> str:
    if not everything:
        return "no request of this site was profiled yet"
    width = max(len(each.endpoint) for each in everything)
    lines = [f"{'endpoint':{width}}  {'clock':6}  {'release':12}  {'requests':>8}  last"]
    lines += [
        f"{each.endpoint:{width}}  {each.clock:6}  {each.release:12}  {each.requests:8,}  {_ago(each.written_s)}"
        for each in everything
    ]
    return "\n".join(lines)


def _ago(written_s: float) -> str:
    seconds = max(0, int(time.time() - written_s))
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name} ago"
    return f"{seconds} s ago"


def _title(shown: Profile) -> str:
    scale, unit = SCALES[shown.unit]
    return (
        f"{shown.endpoint} at {shown.release}: {shown.amount / shown.requests / scale:,.0f} {unit} ({shown.clock})"
        f" a request, of {shown.requests:,}"
    )


def _hottest(shown: Profile, count: int) -> str:
    overhead = (
        f"subtracted for {shown.events / shown.requests:,.0f} events a request:"
        f" {shown.subtracted / shown.requests / SCALES[shown.unit][0]:,.0f} {SCALES[shown.unit][1]}"
    )
    parts = [_title(shown), overhead]
    for by in ("self", "total"):
        parts += ["", f"by {by}", _table(hottest(shown, by)[:count], shown)]
    return "\n".join(parts)


def _table(hot: Sequence[Hot], shown: Profile) -> str:
    scale, unit = SCALES[shown.unit]
    whole = shown.amount / shown.requests or 1
    lines = [f"{'self ' + unit:>18} {'':>6}  {'total':>12} {'':>6}  {'calls':>9}  function"]
    lines += [
        f"{each.own / scale:18,.1f} {each.own / whole:6.1%}  {each.total / scale:12,.1f} {each.total / whole:6.1%}"
        f"  {each.calls:9,.1f}  {_function(each)}"
        for each in hot
    ]
    return "\n".join(lines)


def _function(hot: Hot) -> str:
    function = hot.function
    return (
        f"{function.module}:{function.name} ({function.file}:{function.line})"
        if function.file
        else function.name
    )


def _changes(before: Profile, after: Profile, count: int) -> str:
    found = difference(before, after)
    parts = [_title(before), _title(after)]
    for what, changes in (("by function", found.functions), ("by path", found.paths)):
        parts += ["", what, _change_table(changes[:count], after.unit)]
    return "\n".join(parts)


def _change_table(changes: Sequence[Change], of: Unit) -> str:
    scale, unit = SCALES[of]
    lines = [f"{'self ' + unit:>18}  {'before':>12}  {'after':>12}"]
    lines += [
        f"{(each.own_after - each.own_before) / scale:+18,.1f}  {each.own_before / scale:12,.1f}"
        f"  {each.own_after / scale:12,.1f}  {' > '.join(each.name)}"
        for each in changes
        if each.own_before != each.own_after
    ]
    return "\n".join(lines) if len(lines) > 1 else "nothing changed"
