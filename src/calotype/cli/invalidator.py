"""`calotype invalidator`: follows a server's commit log and outdates a region's cache by it. `calotype up` runs them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import click
import msgspec

from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.config.site import ConfigInvalid, Site, load, region, region_name

TELL_EVERY_S = 1.0


@click.command()
@data_option
@click.argument("log")
def invalidator(places: Places, log: str) -> None:
    """Follow the commit log of LOG (a server of calotype.toml, or `sessions`) for the region of CALOTYPE_REGION.

    Every committed row outdates what this region's memcached keeps of it; only then it is acknowledged, so this may be
    killed at any moment and started again. One for each log and region; a second one waits until the first has gone.
    Says once a second in DATA/run how far it is (`calotype status` shows it).

    \b
    Examples:
      ./calotype invalidator pg-1
      CALOTYPE_REGION=b ./calotype invalidator sessions
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    site = load(places.data)
    if log not in site.logs:
        raise ConfigInvalid(f"there is no log {log}: the site has {', '.join(site.logs)}")
    if not region(site).memcached:
        raise ConfigInvalid(f"region {region_name(site)} has no memcached: there is nothing to outdate")
    asyncio.run(_run(places, site, log))


async def _run(places: Places, site: Site, log: str) -> None:
    from calotype.config.caches import consumer

    following = consumer(site, region_name(site), region(site), log)
    tasks = [
        asyncio.create_task(following.run()),
        asyncio.create_task(_tell(places.invalidator(region_name(site), log), following.metrics)),
    ]
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, tasks[0].cancel)
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _tell(path: Path, metrics: object) -> None:
    """Write the metrics for `status`, whole or not at all. Not synced: they are of this process."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    half_written = path.with_suffix(f".{os.getpid()}")
    while True:
        half_written.write_bytes(msgspec.json.encode(metrics))
        half_written.replace(path)
        await asyncio.sleep(TELL_EVERY_S)


assert sys.platform != "win32", "signals of asyncio's loop are those of Unix"
