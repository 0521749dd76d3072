"""`calotype prepare`: brings databases, static files and demo content to what this release needs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from calotype.cli.bars import Bar


@click.command()
@click.option("--demo/--no-demo", default=True, help="Whether a new site gets demo people and photographs.")
def prepare(demo: bool) -> None:
    """Migrate every database and logical shard, collect static files, make the demo. Repeating it does nothing new.

    `calotype up` runs it before the site starts. Migrations are compatible with the release before and after.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calotype.config.settings")
    import django

    django.setup(set_prefix=False)
    from django.conf import settings
    from django.core.management import call_command

    asyncio.run(_shards())
    for alias in settings.DATABASES:
        call_command("migrate", database=alias, verbosity=0, interactive=False)
    call_command("collectstatic", verbosity=0, interactive=False)
    if demo:
        asyncio.run(_demo(settings.DATA))


async def _shards() -> None:
    from django.conf import settings

    from calotype.infra.partitions import PARTITIONS
    from calotype.infra.shards.migrations import migrate
    from calotype.infra.shards.placement import place_on

    site = settings.SITE
    placement = await place_on(
        site.databases["default"], PARTITIONS, range(site.logical_shards), sorted(site.servers)
    )
    with Bar("logical shards") as bar:
        await migrate(placement, site.servers, bar.update)


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
