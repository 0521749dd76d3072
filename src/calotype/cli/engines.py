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
from calotype.cli.bring_up import start_ring
from calotype.cli.down import stop
from calotype.cli.leftovers import end_leftovers
from calotype.cli.options import data_option
from calotype.cli.places import Places, tools
from calotype.cli.progress import Logged, Progress
from calotype.cli.supervisor import Stopped, Supervisor
from calotype.infra.engines.cassandra import NODES, PORT, Ring, made
from calotype.std.errors import CalotypeError


class EngineRuns(CalotypeError):
    code = "engine_runs"


class Engine(NamedTuple):
    """`start` starts its processes under a supervisor; `address` says where it answers."""

    start: Callable[[Supervisor, Places, Progress], Coroutine[Any, Any, None]]
    address: Callable[[Places], str]


@click.group()
def engines() -> None:
    """Start and stop the engines of a fleet on this machine: Cassandra for timelines.

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
        return _supervise("cassandra", place)
    return _start("cassandra", places)


@engines.command(name="stop")
@data_option
@click.argument("name", type=click.Choice(["cassandra"]))
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
        click.echo(f"{name}: {known.phase} at {engine.address(place)}")
        for child in known.children:
            click.echo(f"  {child.name} {child.state}, process {child.process.pid if child.process else '-'}")


def _start(name: str, places: Places) -> None:
    place = places.engine(name)
    place.make()
    place.lock.touch(mode=0o600)
    if state.supervisor(place) is not None:
        raise EngineRuns(f"{name} runs already at {ENGINES[name].address(place)}: `./calotype engines list`")
    how = f"`./calotype engines list`, `./calotype engines stop {name}`"
    arguments = [f"--data={places.data}"]
    sys.exit(in_background(place, f"engines start {name}", arguments, os.environ, how))


def _supervise(name: str, place: Places) -> None:
    """Be the supervisor of an engine until somebody asks to stop."""
    lock = state.take_lock(place)
    if lock is None:
        raise EngineRuns(f"{name} is being started or stopped by another process")
    with lock:
        shown = Logged(place.log("supervisor"), None)
        end_leftovers(place, shown)
        asyncio.run(_run(ENGINES[name], place, shown))


async def _run(engine: Engine, place: Places, shown: Progress) -> None:
    supervisor = Supervisor(place, engine.address(place), shown)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.ask_to_stop)
    try:
        await engine.start(supervisor, place, shown)
        supervisor.running()
        shown.line(f"it answers at {engine.address(place)}")
        await supervisor.wait_until_asked_to_stop()
    except Stopped:
        pass
    finally:
        await supervisor.stop()


async def _start_cassandra(supervisor: Supervisor, place: Places, shown: Progress) -> None:
    await start_ring(supervisor, _ring(place), shown)


def _address_of_cassandra(place: Places) -> str:
    ring = _ring(place)
    return f"{', '.join(ring.addresses)} port {ring.port}"


def _ring(place: Places) -> Ring:
    ring = made(place.data, tools())
    assert ring is not None, place
    return ring


ENGINES = {"cassandra": Engine(_start_cassandra, _address_of_cassandra)}
