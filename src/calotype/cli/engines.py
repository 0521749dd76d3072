"""`calotype engines`: fleet engines on this machine, beside a site or without one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import click

from calotype.cli import state
from calotype.cli.background import in_background
from calotype.cli.bring_up import start_gateway, start_ring
from calotype.cli.down import stop
from calotype.cli.leftovers import end_leftovers
from calotype.cli.options import data_option
from calotype.cli.places import Places, tools
from calotype.cli.progress import Logged, Progress
from calotype.cli.site_setup import S3_PORT, gateway, ring
from calotype.cli.supervisor import Stopped, Supervisor
from calotype.infra.engines.cassandra import NODES, PORT, Ring, made
from calotype.std.errors import CalotypeError


class EngineRuns(CalotypeError):
    code = "engine_runs"


class Engine(NamedTuple):
    """`start` starts its processes under a supervisor; `address` says where it answers. Both are given the site's places."""

    start: Callable[[Supervisor, Places, Progress], Coroutine[Any, Any, None]]
    address: Callable[[Places], str]


@click.group()
def engines() -> None:
    """Start and stop the engines of a fleet on this machine: Cassandra for timelines, S3 for photographs.

    An engine keeps its data under engines/ of the data directory and runs in the background, whether or not the site does;
    `calotype up` with the option that wants it uses the one that runs, else starts it itself and stops it with the site.
    """


@engines.group()
def start() -> None:
    """Start one in the background, and return when it answers."""


@start.command()
@data_option
@click.option(
    "--nodes",
    type=click.IntRange(1, NODES),
    help="Nodes, on 127.0.0.1 to 127.0.0.3; each has 0.8 GB. A ring keeps the number it was made with. [default: 1]",
)
@click.option(
    "--port", type=click.IntRange(1, 65533), help=f"Of CQL; the next two are used too. [default: {PORT}]"
)
@click.option("--daemon", is_flag=True, hidden=True)
def cassandra(places: Places, nodes: int | None, port: int | None, daemon: bool) -> None:
    """Apache Cassandra, for `calotype up --timelines cassandra`. Needs Java 17 and Maven, which fetches it (66 MB).

    With three nodes each timeline has three replicas, and one node may die. A node that crashes is started again.

    \b
    Examples:
      ./calotype engines start cassandra --nodes 3
      ./calotype up --timelines cassandra
      ./calotype engines stop cassandra
    """
    place = places.engine("cassandra")
    known = made(place.data, tools()) or Ring(place.data, tools())
    Ring(place.data, tools(), nodes or known.size, port or known.port).initialise()
    if daemon:
        return _supervise("cassandra", places)
    return _start("cassandra", places)


@start.command()
@data_option
@click.option("--port", type=click.IntRange(1, 65535), help=f"Where it answers. [default: {S3_PORT}]")
@click.option("--daemon", is_flag=True, hidden=True)
def s3(places: Places, port: int | None, daemon: bool) -> None:
    """versitygw, for `calotype up --blobs s3`: the S3 API before a directory. Needs Go, which builds it (two minutes, once).

    \b
    Examples:
      ./calotype engines start s3
      ./calotype up --blobs s3
      ./calotype engines stop s3
    """
    place = places.engine("s3")
    if port is not None:
        place.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        (place.data / "port").write_text(str(port))
    if daemon:
        return _supervise("s3", places)
    return _start("s3", places)


@engines.command(name="stop")
@data_option
@click.argument("name", type=click.Choice(["cassandra", "s3"]))
def stop_engine(places: Places, name: str) -> None:
    """Stop one, and return when its processes have ended. What it holds stays."""
    stop(places.engine(name), name)


@engines.command(name="list")
@data_option
def list_engines(places: Places) -> None:
    """Which run beside the site, where, and their processes."""
    for name, engine in ENGINES.items():
        place = places.engine(name)
        known = state.read(place)
        if state.supervisor(place) is None or known is None:
            click.echo(f"{name}: not running")
            continue
        click.echo(f"{name}: {known.phase} at {engine.address(places)}")
        for child in known.children:
            click.echo(f"  {child.name} {child.state}, process {child.process.pid if child.process else '-'}")


def _start(name: str, places: Places) -> None:
    place = places.engine(name)
    place.make()
    place.lock.touch(mode=0o600)
    if state.supervisor(place) is not None:
        raise EngineRuns(f"{name} runs already at {ENGINES[name].address(places)}: `./calotype engines list`")
    how = f"`./calotype engines list`, `./calotype engines stop {name}`"
    arguments = [f"--data={places.data}"]
    sys.exit(in_background(place, f"engines start {name}", arguments, os.environ, how))


def _supervise(name: str, places: Places) -> None:
    """Be the supervisor of an engine until somebody asks to stop."""
    place = places.engine(name)
    lock = state.take_lock(place)
    if lock is None:
        raise EngineRuns(f"{name} is being started or stopped by another process")
    with lock:
        shown = Logged(place.log("supervisor"), None)
        end_leftovers(place, shown)
        asyncio.run(_run(name, places, shown))


async def _run(name: str, places: Places, shown: Progress) -> None:
    engine = ENGINES[name]
    supervisor = Supervisor(places.engine(name), engine.address(places), shown)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.ask_to_stop)
    try:
        await engine.start(supervisor, places, shown)
        supervisor.running(f"{name} answers at {engine.address(places)}")
        await supervisor.wait_until_asked_to_stop()
    except Stopped:
        pass
    finally:
        await supervisor.stop()


async def _start_cassandra(supervisor: Supervisor, places: Places, shown: Progress) -> None:
    await start_ring(supervisor, ring(places), shown)


def _address_of_cassandra(places: Places) -> str:
    known = ring(places)
    return f"{', '.join(known.addresses)} port {known.port}"


async def _start_s3(supervisor: Supervisor, places: Places, shown: Progress) -> None:
    await start_gateway(supervisor, gateway(places), shown)


ENGINES = {
    "cassandra": Engine(_start_cassandra, _address_of_cassandra),
    "s3": Engine(_start_s3, lambda places: gateway(places).endpoint),
}
