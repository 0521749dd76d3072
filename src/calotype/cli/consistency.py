"""`calotype consistency`: whether the caches of all regions hold what the primaries hold."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import click
import msgspec

from calotype.cli.bars import Bar
from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.config.site import Site, read
from calotype.infra.tao.consistency import SAMPLE, Inconsistency, Report, Scale, check_consistency

STALE = 1
SCALES_S = (1.0, 60.0, 300.0, 600.0)
A_DAY_MIN = 24 * 60
NO_CACHE = (
    "no region of this site has memcached: everything is read from PostgreSQL, and nothing can be stale"
)
SHOWN = 50
"""Inconsistencies that are printed as text; --json has up to a thousand."""


@click.command()
@data_option
@click.option(
    "--minutes",
    type=click.FloatRange(0, A_DAY_MIN, min_open=True),
    default=2.0,
    show_default=True,
    help="How long. Entries are compared 1 s, 1, 5 and 10 minutes after the write, as far as that is within it.",
)
@click.option(
    "--sample",
    type=click.IntRange(1, 5_000),
    default=SAMPLE,
    show_default=True,
    help="Keys a second, of all that are written; a quarter as many are chosen at random besides.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def consistency(places: Places, minutes: float, sample: int, as_json: bool) -> None:
    """Compare what every region's memcached holds with the primaries, while the site runs.

    Follows the commit logs, samples keys that are written and others at random, and looks at each after 1 s, 1, 5 and
    10 minutes: an entry that may still be read then and is older than its row was so long ago is stale, and so is one
    that says something else than the row of its version. Entries that are marked stale count as absent.

    The nines of a scale are -log10(stale / compared). With none stale at least log10(compared), which is what is
    printed; null when nothing was compared.

    Exit status: 1 when something is stale at the longest scale of a minute or more that was compared (at any scale, if
    there is none), else 0.

    \b
    Examples:
      ./calotype consistency
      ./calotype consistency --minutes 11 --json | jq .inconsistencies
    """
    site = read(places.data)
    if not any(region.memcached for region in site.regions.values()):
        click.echo(NO_CACHE, err=as_json)
        report = Report([])
    else:
        report = asyncio.run(_check(site, minutes * 60, sample, quiet=as_json))
        if not as_json:
            click.echo(_text(report))
    if as_json:
        click.echo(msgspec.json.encode(report.summary()).decode())
    sys.exit(STALE if report.lasting() else 0)


async def _check(site: Site, duration_s: float, sample: int, *, quiet: bool) -> Report:
    from calotype.config.consistency import PUBLICATION, region_caches, watched_logs

    scales_s = [after_s for after_s in SCALES_S if after_s < duration_s] or [duration_s / 2]
    with Bar("seconds") as bar:
        async with watched_logs(site) as logs, region_caches(site) as caches:
            return await check_consistency(
                logs,
                caches,
                PUBLICATION,
                scales_s=scales_s,
                duration_s=duration_s,
                sample=sample,
                tell=lambda done_s, _: None if quiet else bar.update(int(done_s), int(duration_s)),
            )


def _text(report: Report) -> str:
    lines = [f"{'after':>8} {'compared':>10} {'stale':>8}  nines"]
    lines += [_row(scale) for scale in report.scales.values()]
    lines.append(f"{report.absent:,} looks found no entry, or one that is marked stale: nothing to compare")
    if report.impossible:
        lines.append(f"{report.impossible:,} looks were in vain, since a primary did not answer")
    lines += [
        f"region {region} does not follow the log of {log}: nothing of it is read from its cache"
        for region, log in report.unfollowed
    ]
    lines += [_words(one) for one in report.inconsistencies[:SHOWN]]
    if report.stale > SHOWN:
        lines.append(f"and {report.stale - SHOWN:,} more")
    return "\n".join(lines)


def _row(scale: Scale) -> str:
    nines = "–" if scale.nines is None else f"{'' if scale.stale else '≥ '}{scale.nines:.1f}"
    return f"{_length(scale.after_s):>8} {scale.checked:10,} {scale.stale:8,}  {nines}"


def _length(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 60 else f"{seconds / 60:g} min"


def _words(one: Inconsistency) -> str:
    versions = ", ".join(
        f"{version} {where}"
        for version, where in (
            (one.cached_version, "in the cache"),
            (one.primary_version, "on the primary"),
            (one.written_version, "known before"),
        )
        if version is not None
    )
    written = "" if one.committed_ms is None else f"committed {_time(one.committed_ms)}, "
    return (
        f"region {one.region}, {one.log}: {one.what} ({one.key}): {one.problem}"
        f"{f' (versions: {versions})' if versions else ''}; {written}seen {_time(one.seen_ms)}, {one.age_s:.1f} s later"
    )


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%H:%M:%S.%f}"[:-3] + " UTC"
