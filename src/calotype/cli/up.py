"""`calotype up`: everything a site needs, started in order and kept running."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Literal

import click

from calotype.cli import site_processes, site_regions, site_setup, state
from calotype.cli.background import in_background
from calotype.cli.bring_up import provide_databases, serve
from calotype.cli.leftovers import end_leftovers
from calotype.cli.log_files import append
from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.cli.port import require_free
from calotype.cli.process import wait_until
from calotype.cli.progress import Logged, Progress, progress
from calotype.cli.site_regions import RegionHere
from calotype.cli.site_setup import Wanted
from calotype.cli.supervisor import Stopped, Supervisor
from calotype.config.site import Site, Web
from calotype.std.errors import CalotypeError

HOW_TO_SEE = "`./calotype status`, `./calotype logs`, `./calotype down`"

DEMO_LOGIN = ("jan", "contemplative")


class DataUnusable(CalotypeError):
    code = "data_unusable"


@click.command()
@data_option
@click.option(
    "--host", envvar="CALOTYPE_HOST", help="Address to bind to. [env: CALOTYPE_HOST; default: 127.0.0.1]"
)
@click.option(
    "--port",
    envvar="CALOTYPE_PORT",
    type=click.IntRange(1, 65535),
    help="Port of the web server. [env: CALOTYPE_PORT; default: 8000]",
)
@click.option(
    "--workers",
    envvar="CALOTYPE_WORKERS",
    type=click.IntRange(1, 256),
    help="Web processes. [env: CALOTYPE_WORKERS; default: one fewer than the cores, 1 on two cores or one]",
)
@click.option(
    "--postgres",
    envvar="CALOTYPE_POSTGRES",
    multiple=True,
    metavar="DSN",
    help="An existing PostgreSQL (16 or newer) to use instead of the embedded ones; may be repeated, and is for the"
    " first start. [env: CALOTYPE_POSTGRES, separated by spaces]",
)
@click.option(
    "--regions",
    envvar="CALOTYPE_REGIONS",
    type=click.IntRange(1, 2),
    help="How many regions this machine plays: each has its own web server, cache, and copies of the databases. The"
    " second answers on the next port. Kept for later starts. [env: CALOTYPE_REGIONS; default: 1]",
)
@click.option(
    "--broker",
    envvar="CALOTYPE_BROKER",
    metavar="URL",
    help="amqp:// of a RabbitMQ that carries background jobs; `embedded`: they lie in PostgreSQL. Kept for later starts."
    " [env: CALOTYPE_BROKER; default: embedded]",
)
@click.option(
    "--timelines",
    envvar="CALOTYPE_TIMELINES",
    type=click.Choice(["postgres", "cassandra"]),
    help="What keeps the feeds: the servers of their owners, or a Cassandra that is fetched and started here (0.8 GB a"
    " node). Kept for later starts. [env: CALOTYPE_TIMELINES; default: postgres]",
)
@click.option(
    "--blobs",
    envvar="CALOTYPE_BLOBS",
    type=click.Choice(["local", "s3"]),
    help="Where photographs are stored: a directory, or an S3 server that is built with Go and started here. For the first"
    " start. [env: CALOTYPE_BLOBS; default: local]",
)
@click.option("--demo/--no-demo", default=True, help="Whether the first start loads demo people and photos.")
@click.option("--detach", is_flag=True, help="Return when the site is healthy, and leave it running.")
@click.option("--daemon", is_flag=True, hidden=True)
def up(
    places: Places,
    host: str | None,
    port: int | None,
    workers: int | None,
    postgres: tuple[str, ...],
    regions: int | None,
    broker: str | None,
    timelines: Literal["postgres", "cassandra"] | None,
    blobs: Literal["local", "s3"] | None,
    demo: bool,
    detach: bool,
    daemon: bool,
) -> None:
    """Start the site and keep it running until Ctrl-C.

    The first start makes the data directory: two PostgreSQL clusters, the file calotype.toml, demo people. Later
    starts find it. --host, --port and --workers given later hold for that run; to keep them, change calotype.toml.
    --regions, --broker and --timelines are kept; with 1 region again, what the second had is removed. A process that crashes is started again. If the site already runs, this says where.

    \b
    Examples:
      ./calotype up
      ./calotype up --detach --port 9000
      ./calotype up --data /srv/photos --host 0.0.0.0 --no-demo
      ./calotype up --regions 2
      ./calotype up --timelines cassandra --blobs s3
      ./calotype up --broker amqp://calotype:secret@queue1/
      ./calotype up --postgres postgresql://calotype:secret@db1/ --postgres postgresql://calotype:secret@db2/
    """
    wanted = Wanted(host, port, workers, postgres, regions, broker, timelines, blobs)
    _make(places)
    if state.supervisor(places) is not None:
        _say_running(places)
    elif detach:
        sys.exit(
            in_background(
                places, "up", _arguments(places, wanted, demo=demo), _with_servers(wanted), HOW_TO_SEE
            )
        )
    else:
        _run(places, wanted, demo=demo, shown=None if daemon else progress())


def _make(places: Places) -> None:
    """Raises `DataUnusable` for a directory that cannot be made, or that is another user's: even root leaves it alone."""
    try:
        if places.data.exists() and (owner := places.data.stat().st_uid) != os.geteuid():
            raise DataUnusable(
                f"{places.data} belongs to user {owner}, not to us ({os.geteuid()}): run as that user"
            )
        places.make()
        places.lock.touch(mode=0o600)
    except OSError as error:
        raise DataUnusable(
            f"cannot use {places.data} as the data directory: {error}; choose another with --data"
        ) from None


def _run(places: Places, wanted: Wanted, *, demo: bool, shown: Progress | None) -> None:
    """Be the supervisor until somebody asks to stop."""
    lock = state.take_lock(places)
    if lock is None:
        wait_until(lambda: state.supervisor(places) is not None, 2)
        return _say_running(places)
    with lock:
        logged = Logged(places.log("supervisor"), shown)
        end_leftovers(places, logged)
        site = site_setup.existing(places)
        first = site_setup.with_wanted(site.web, wanted) if site else site_setup.first_web(wanted)
        webs = site_regions.webs(site, wanted, first)
        for place, (name, web) in enumerate(webs.items()):
            require_free(web.host, web.port, region=name if place else "")
        try:
            asyncio.run(_supervise(places, site, wanted, logged, webs, demo=demo))
        except CalotypeError as error:
            if shown is not None:  # a daemon's standard error is the log already
                append(places.log("supervisor"), error.message)
            raise
    return None


async def _supervise(
    places: Places, site: Site | None, wanted: Wanted, shown: Progress, webs: Mapping[str, Web], *, demo: bool
) -> None:
    supervisor = Supervisor(places, site_processes.url_of(next(iter(webs.values()))), shown)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.ask_to_stop)
    try:
        site = await provide_databases(supervisor, places, site, wanted, shown)
        regions = site_regions.here(places, site, webs)
        await serve(supervisor, places, regions, shown, demo=demo)
        supervisor.running(*_announcement(places, regions))
        await supervisor.wait_until_asked_to_stop()
    except Stopped:
        pass
    finally:
        await supervisor.stop()


def _say_running(places: Places) -> None:
    """Another supervisor has this data directory: where, and what it runs."""
    process = state.supervisor(places)
    known = state.read(places)
    if process is None or known is None or known.supervisor != process:
        click.echo(f"Calotype is being started or stopped by another process; data: {places.data}")
        return
    click.echo(
        f"Calotype is already {known.phase} at {known.url} (supervisor {process.pid}, data {places.data})"
    )
    for region in known.regions[1:]:
        click.echo(f"  region {region.name} at {region.url}")
    width = max((len(child.name) for child in known.children), default=0)
    for child in known.children:
        click.echo(f"  {child.name:{width}} {child.state}")
    click.echo("`./calotype status` says more, `./calotype down` stops it.")


def _announcement(places: Places, regions: Sequence[RegionHere]) -> list[str]:
    first, *others = [region.state() for region in regions]
    lines = [f"Calotype is at {first.url}", *(f"  region {other.name} is at {other.url}" for other in others)]
    if places.demo.exists():
        user, password = DEMO_LOGIN
        lines.append(f"  sign in as {user}, password {password}")
    return lines


# --- Detached ----------------------------------------------------------------------------------------------------------


def _arguments(places: Places, wanted: Wanted, *, demo: bool) -> Sequence[str]:
    said = {
        "--host": wanted.host,
        "--port": wanted.port,
        "--workers": wanted.workers,
        "--regions": wanted.regions,
        "--timelines": wanted.timelines,
        "--blobs": wanted.blobs,
    }
    arguments = [f"--data={places.data}", "--demo" if demo else "--no-demo"]
    return arguments + [f"{option}={value}" for option, value in said.items() if value is not None]


def _with_servers(wanted: Wanted) -> dict[str, str]:
    """DSNs hold passwords: they go by the environment, which only we can read, not by the command line."""
    said = {"CALOTYPE_POSTGRES": " ".join(wanted.postgres), "CALOTYPE_BROKER": wanted.broker}
    return {**os.environ, **{name: value for name, value in said.items() if value}}
