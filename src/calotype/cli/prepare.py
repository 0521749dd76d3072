"""`calotype prepare`: brings databases, static files and demo content to what this release needs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calotype.cli.bars import Bar
from calotype.cli.places import tools

if TYPE_CHECKING:
    from calotype.config.site import Cassandra


@click.command()
@click.option("--demo/--no-demo", default=True, help="Whether a new site gets demo people and photographs.")
def prepare(demo: bool) -> None:
    """Migrate every database and logical shard, make a missing bucket, collect static files, make the demo. Repeating it does nothing new.

    `calotype up` runs it before the site starts. Migrations are compatible with the release before and after.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calotype.config.settings")
    import django

    django.setup(set_prefix=False)
    from django.conf import settings

    from calotype.infra.jobs.broker import install_broker

    asyncio.run(_shards())
    install_broker(settings.SITE.control_dsn)
    if settings.SITE.cassandra is not None:
        asyncio.run(_timelines(settings.SITE.cassandra))
    asyncio.run(_bucket())
    for alias in settings.DATABASES:
        _migrate(alias)
    _collect_static(settings.DATA)
    if demo:
        asyncio.run(_demo(settings.DATA))


def _migrate(alias: str) -> None:
    """Run Django's migrations of one database, if there are any to run: to find that out takes a tenth of the time."""
    from django.core.management import call_command
    from django.db import connections
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connections[alias])
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        print(f"migrating the database {alias}", flush=True)
        call_command("migrate", database=alias, verbosity=0, interactive=False)


def _collect_static(data: Path) -> None:
    """Collect static files, if any of them changed since the last time."""
    from django.contrib.staticfiles.finders import get_finders
    from django.core.management import call_command

    from calotype.web.precompression import compress
    from calotype.web.static_files import collected

    files = [
        (path, Path(storage.path(path)).stat())
        for finder in get_finders()
        for path, storage in finder.list([])
    ]
    listing = "".join(
        f"{path} {stat.st_size} {stat.st_mtime_ns}\n" for path, stat in sorted(files, key=lambda row: row[0])
    )
    stamp = data / "run" / "static"
    if stamp.exists() and stamp.read_text() == listing:
        return
    call_command("collectstatic", verbosity=0, interactive=False)
    with Bar("compressed static files") as bar:
        compress(collected().hashed(), bar.update, tools() / "static")
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(listing)


async def _shards() -> None:
    from django.conf import settings

    from calotype.infra.partitions import PARTITIONS
    from calotype.infra.shards.migrations import migrate
    from calotype.infra.shards.placement import place_on

    site = settings.SITE
    placement = await place_on(site.control_dsn, PARTITIONS, range(site.logical_shards), sorted(site.servers))
    with Bar("logical shards") as bar:
        await migrate(placement, site.servers, bar.update)


async def _timelines(cassandra: Cassandra) -> None:
    from calotype.config.wiring import nodes
    from calotype.infra.timelines.cassandra import migrate

    for name in await migrate(nodes(cassandra), cassandra.replicas):
        print(f"migrated the timelines in Cassandra to {name}", flush=True)


async def _bucket() -> None:
    """Make the bucket of blobs, if the site has one and it is missing."""
    from django.conf import settings

    from calotype.config.wiring import bucket_of
    from calotype.infra.blobs import ensure_bucket

    if settings.SITE.s3 is not None:
        await ensure_bucket(bucket_of(settings.SITE.s3))


async def _demo(data: Path) -> None:
    """Once: a site whose demo was removed does not get it again."""
    from django.conf import settings

    from calotype.config.wiring import open_site
    from calotype.product.demo.actions import make_demo

    done = data / "run" / "demo"
    if done.exists():
        return
    async with open_site(settings.SITE, settings.DATA) as site:
        with Bar("demo people and photos") as bar:
            await make_demo(site, bar.update)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()
