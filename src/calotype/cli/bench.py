"""`calotype bench`: every claim on cost, measured beside its baseline. The measuring is in `benchmarks/` of the checkout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from calotype.cli.places import checkout
from calotype.std.errors import CalotypeError


class BenchmarksMissing(CalotypeError):
    """The package `benchmarks` is part of the checkout and not of an installed Calotype."""

    code = "benchmarks_missing"


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What every bench takes."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="The report as JSON on standard output."),
        click.option(
            "--data",
            envvar="CALOTYPE_BENCH_DATA",
            type=click.Path(file_okay=False, path_type=Path),
            default=None,
            metavar="DIR",
            help="Where data is kept between runs. [env: CALOTYPE_BENCH_DATA; default: var-bench beside the program]",
        ),
        click.option(
            "--quick", is_flag=True, help="A tenth of the data and repetitions, or less: a trial, no figures."
        ),
    ):
        command = option(command)
    return command


@click.group()
def bench() -> None:
    """Measure every claim of the README, beside its baseline, in one run.

    Each bench prints its figures with the baseline's from the same run, their ratio, and whether the stated target is
    met. Servers are its own, on this machine only, and end with it; data is kept in var-bench for the next run.
    """


@bench.command()
@_options
def ids(as_json: bool, data: Path | None, quick: bool) -> None:
    """Ids made in PostgreSQL, beside a plain sequence."""
    _run("ids", as_json, data, quick)


@bench.command()
@_options
def graph(as_json: bool, data: Path | None, quick: bool) -> None:
    """Reads and writes of the graph, beside bare asyncpg statements and Django's ORM; the mixes of TAO and LinkBench.

    The first run makes 100,000 objects with their edges: a minute or two.
    """
    _run("graph", as_json, data, quick)


@bench.command()
@_options
def cache(as_json: bool, data: Path | None, quick: bool) -> None:
    """Our memcached client beside pylibmc, emcache, aiomcache and pymemcache; the graph's hits beside the bare client."""
    _run("cache", as_json, data, quick)


@bench.command()
@_options
def invalidation(as_json: bool, data: Path | None, quick: bool) -> None:
    """From a commit to the deleted entry in the other region, at 100 to 5,000 commits a second; a consumer's rows/s.

    Makes a primary, a standby of it, a memcached and a consumer. About a minute and a half.
    """
    _run("invalidation", as_json, data, quick)


@bench.command()
@_options
def feed(as_json: bool, data: Path | None, quick: bool) -> None:
    """The home feed as JSON, beside the same page in ordinary Django, three times.

    The first run makes 5,000 people with 50,000 photos: some minutes. What the baselines need is installed from
    requirements-bench.lock.
    """
    _run("feed", as_json, data, quick)


@bench.command()
@_options
def site(as_json: bool, data: Path | None, quick: bool) -> None:
    """The page mix of Instagram's published Django workload, as JSON, on the data of `bench feed`."""
    _run("site_mix", as_json, data, quick)


@bench.command()
@_options
def patches(as_json: bool, data: Path | None, quick: bool) -> None:
    """What each patch of Django saves of the home feed, and the memory of web workers, on the data of `bench feed`."""
    _run("patches", as_json, data, quick)


@bench.command("2011")
@_options
def september_2011(as_json: bool, data: Path | None, quick: bool) -> None:
    """The load that Instagram published for September 2011, on a site that `calotype up` runs: how many times it holds.

    Looks for the largest rate that is sustained, then holds it for five minutes. About twelve minutes.
    """
    _run("september_2011", as_json, data, quick)


@bench.command()
@_options
def fanout(as_json: bool, data: Path | None, quick: bool) -> None:
    """A post into the timelines of 10,000 followers, beside bare asyncpg inserting the same rows."""
    _run("fanout", as_json, data, quick)


@bench.command()
@_options
def timelines(as_json: bool, data: Path | None, quick: bool) -> None:
    """Pushes and pages of timelines in Cassandra and PostgreSQL beside their bare drivers; the feed by followees."""
    _run("timelines", as_json, data, quick)


@bench.command()
@_options
def counters(as_json: bool, data: Path | None, quick: bool) -> None:
    """A crowd that likes one photo, beside the same crowd on 10,000 photos, and beside bare asyncpg counting in one row.

    About three minutes.
    """
    _run("counters", as_json, data, quick)


@bench.command()
@_options
def jobs(as_json: bool, data: Path | None, quick: bool) -> None:
    """Background jobs sent and run over pgmq and RabbitMQ, beside bare Celery on the same broker.

    RabbitMQ is measured where it is installed.
    """
    _run("jobs", as_json, data, quick)


@bench.command()
@_options
def meter(as_json: bool, data: Path | None, quick: bool) -> None:
    """What metering each request costs, and how exactly it charges, beside a delta of the process and yappi.

    On the data of `bench feed`. About three minutes.
    """
    _run("meter", as_json, data, quick)


@bench.command()
@_options
def dynostats(as_json: bool, data: Path | None, quick: bool) -> None:
    """Recording 1 request in 1, 10 and 100, beside silk, OpenTelemetry, Sentry and Prometheus; the smallest change it tells.

    On the data of `bench feed`. About ten minutes.
    """
    _run("dynostats", as_json, data, quick)


@bench.command()
@_options
def profiler(as_json: bool, data: Path | None, quick: bool) -> None:
    """What profiling a request costs and how near it comes, beside cProfile, yappi, pyinstrument and other mechanisms."""
    _run("profiler", as_json, data, quick)


@bench.command()
@_options
def upload(as_json: bool, data: Path | None, quick: bool) -> None:
    """A 12-megapixel JPEG, beside bare Pillow making the same variants."""
    _run("upload", as_json, data, quick)


@bench.command()
@_options
def pages(as_json: bool, data: Path | None, quick: bool) -> None:
    """The feed in Chromium as on a slow phone: loading, a like, scrolling, beside the page without its modules.

    Needs Chromium, and Playwright of requirements-dev.lock. About ten minutes.
    """
    _run("page_budgets", as_json, data, quick)


def _run(name: str, as_json: bool, data: Path | None, quick: bool) -> None:
    """Progress goes to standard error when the report is JSON."""
    report = benchmark_module("report")
    measure = benchmark_module(name)
    options = report.Options(data=(data or checkout() / "var-bench").resolve(), quick=quick)
    with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
        made = measure.run(options)
    if as_json:
        click.echo(report.encode(made))
    else:
        report.show(made)


def benchmark_module(name: str) -> Any:
    """A module of `benchmarks`, which lies beside the source in a checkout. Raises `BenchmarksMissing`."""
    root = checkout()
    if not (root / "benchmarks" / "report.py").exists():
        raise BenchmarksMissing(
            f"{root} holds no benchmarks: `calotype bench` needs a checkout, since an installed package has none"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return import_module(f"benchmarks.{name}")
