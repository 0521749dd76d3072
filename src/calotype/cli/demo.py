"""`calotype demo`: people and photographs to try a site with."""

from __future__ import annotations

import asyncio
import os

import click

from calotype.cli.bars import Bar
from calotype.cli.options import data_option
from calotype.cli.places import Places


@click.command()
@data_option
@click.option("--people", type=click.IntRange(2, 1_000_000), required=True, help="How many people.")
@click.option("--photos-per-person", type=click.FloatRange(0, 1000), default=2.0, show_default=True)
@click.option("--follows-per-person", type=click.FloatRange(0, 5000), default=20.0, show_default=True)
@click.option("--likes-per-photo", type=click.FloatRange(0, 1000), default=10.0, show_default=True)
@click.option("--comments-per-photo", type=click.FloatRange(0, 100), default=2.0, show_default=True)
@click.option("--seed", type=int, default=1841, show_default=True, help="The same seed makes the same graph.")
def demo(
    places: Places,
    people: int,
    photos_per_person: float,
    follows_per_person: float,
    likes_per_photo: float,
    comments_per_photo: float,
    seed: int,
) -> None:
    """Add a population to a running site: 50,000 people with a million follows take a few minutes.

    \b
    calotype demo --people 1000
    calotype demo --people 50000 --photos-per-person 0.2

    Everybody's password is that of the demo. The dozen people of a new site are made by `calotype up` itself.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calotype.config.settings")
    import django

    django.setup(set_prefix=False)
    from calotype.product.demo.population import Size

    size = Size(people, photos_per_person, follows_per_person, likes_per_photo, comments_per_photo, seed)
    made = asyncio.run(_demo(size))
    print(f"{len(made):,} people are there; the newest are on /people/")


async def _demo(size: object) -> list[int]:
    from django.conf import settings

    from calotype.config.wiring import open_site
    from calotype.product.demo.population import Size, make_population

    assert isinstance(size, Size)
    bars: dict[str, Bar] = {}

    def progress(what: str, done: int, total: int) -> None:
        bar = bars.setdefault(what, Bar(what))
        bar.update(done, total)
        if done >= total:
            bar.__exit__(None)

    async with open_site(settings.SITE, settings.DATA) as site:
        return await make_population(site, size, progress)
