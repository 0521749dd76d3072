"""The data of `calotype bench feed`: a population in the graph, and the same edges in ordinary tables.

Made once. A stamp in the directory says what it holds; another size, or other code that makes it, makes it anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import asyncpg
import msgspec

from benchmarks import processes, site
from benchmarks.report import Options
from benchmarks.site import BenchSite
from calotype.cli.bars import Bar
from calotype.cli.places import checkout
from calotype.infra.ids import EPOCH_MS

SEED = 1841


class Stamp(msgspec.Struct, frozen=True):
    people: int
    photos_per_person: float = 10
    follows_per_person: float = 50
    likes_per_photo: float = 10
    comments_per_photo: float = 2
    seed: int = SEED
    sources: str = ""
    """Of what makes the data."""


FULL, QUICK = (
    Stamp(people=5_000),
    Stamp(people=500, photos_per_person=2, follows_per_person=20, likes_per_photo=5),
)

COPIES = {
    "photos_person": (
        ("id", "username", "name", "bio", "joined", "password"),
        "select id, data->>'username', coalesce(data->>'name', ''), coalesce(data->>'bio', ''),"
        f" timestamptz 'epoch' + ((id >> 23) + {EPOCH_MS}) * interval '1 ms', '' from objects where otype = 1",
    ),
    "photos_photo": (
        (
            "id",
            "author_id",
            "picture",
            "width",
            "height",
            "widths",
            "blurhash",
            "alt",
            "caption",
            "created",
            "like_count",
            "comment_count",
        ),
        "select id, (data->>'author')::bigint, (p->>'id')::bigint, (p->>'width')::int, (p->>'height')::int,"
        " array(select jsonb_array_elements_text(p->'widths')::int), p->>'blurhash', coalesce(p->>'alt', ''),"
        " coalesce(data->>'caption', ''), timestamptz 'epoch' + (data->>'at')::bigint * interval '1 ms',"
        " coalesce((select count::int from association_counts c where (c.shard, c.id1, c.atype) = (o.shard, o.id, 6)), 0),"
        " coalesce((select count::int from association_counts c where (c.shard, c.id1, c.atype) = (o.shard, o.id, 7)), 0)"
        " from objects o, lateral (select data->'photos'->0 as p) first where otype = 2",
    ),
    "photos_follow": (
        ("follower_id", "followee_id"),
        "select id1, id2 from associations where atype = 1 and not deleted",
    ),
    "photos_like": (
        ("person_id", "photo_id"),
        "select id1, id2 from associations where atype = 5 and not deleted",
    ),
    "photos_comment": (
        ("id", "photo_id", "author_id", "text", "created"),
        "select o.id, a.id1, (o.data->>'author')::bigint, o.data->>'text', timestamptz 'epoch' + a.time * interval '1 ms'"
        " from associations a join objects o on (o.shard, o.id) = (a.shard, a.id2) where a.atype = 7 and not a.deleted",
    ),
}
"""Table of the baselines -> its columns, and the statement that reads them from a server of shards."""


@contextmanager
def populated(options: Options) -> Iterator[BenchSite]:
    """The site with its population, made if it is not there yet."""
    directory = options.data / ("feed-quick" if options.quick else "feed")
    stamp = msgspec.structs.replace(QUICK if options.quick else FULL, sources=_sources())
    path = directory / "population.json"
    if not path.exists() or msgspec.json.decode(path.read_bytes(), type=Stamp) != stamp:
        site.remove(directory)
        with site.clusters_running(directory, site.NOT_DURABLE) as bench:
            site.prepare(bench)
            asyncio.run(_populate(bench, stamp))
            asyncio.run(_copy(bench))
            asyncio.run(site.settle(bench))
        path.write_bytes(msgspec.json.encode(stamp))
    with site.clusters_running(directory, site.COUNTING) as bench:
        site.prepare(bench)
        yield bench


def _sources() -> str:
    """A digest of the code that decides what the data looks like: the population's, the shards' tables, and ours."""
    source = checkout() / "src" / "calotype"
    files = [
        *sorted((source / "infra" / "shards" / "sql").iterdir()),
        source / "product" / "demo" / "population.py",
        *sorted((source / "product").glob("*/types.py")),
        Path(__file__),
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


async def _populate(bench: BenchSite, stamp: Stamp) -> None:
    set_django_up()
    from calotype.config.wiring import open_site
    from calotype.product.demo.population import Size, make_population

    bars: dict[str, Bar] = {}

    def progress(what: str, done: int, total: int) -> None:
        bar = bars.setdefault(what, Bar(what))
        bar.update(done, total)
        if done >= total:
            bar.__exit__(None)

    size = Size(
        stamp.people,
        stamp.photos_per_person,
        stamp.follows_per_person,
        stamp.likes_per_photo,
        stamp.comments_per_photo,
        stamp.seed,
    )
    async with open_site(bench.site, bench.places.data) as opened:
        await make_population(opened, size, progress)


def set_django_up() -> None:
    """Django with the settings of the site whose clusters run; once a process."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "calotype.config.settings"
    import django

    django.setup(set_prefix=False)


async def _copy(bench: BenchSite) -> None:
    """Fill the tables of the baselines from the graph."""
    await site.create_ordinary(bench)
    migrate_ordinary(bench)
    ordinary = await asyncpg.connect(bench.ordinary_dsn)
    try:
        await ordinary.execute(
            "set session_replication_role = replica"
        )  # foreign keys hold: checked in the graph
        for server in bench.site.servers.values():
            shards = await asyncpg.connect(server)
            try:
                await _copy_server(shards, ordinary)
            finally:
                await shards.close()
    finally:
        await ordinary.close()


async def _copy_server(
    shards: asyncpg.Connection[asyncpg.Record], ordinary: asyncpg.Connection[asyncpg.Record]
) -> None:
    await shards.execute("set enable_seqscan = on; set enable_hashjoin = on")
    with Bar("ordinary tables") as bar:
        for done, (table, (columns, query)) in enumerate(COPIES.items()):
            with TemporaryFile() as rows:
                await shards.copy_from_query(query, output=rows, format="binary")
                rows.seek(0)
                await ordinary.copy_to_table(table, source=rows, columns=columns, format="binary")
            bar.update(done + 1, len(COPIES))


def migrate_ordinary(bench: BenchSite) -> None:
    """Make the tables of the baselines, by Django as always; without what only serving them needs."""
    processes.run(
        [sys.executable, "-P", "-m", "django", "migrate", "--run-syncdb", "--skip-checks", "--verbosity=0"],
        baseline_environment(bench, "tuned"),
    )


def baseline_environment(bench: BenchSite, project: str) -> dict[str, str]:
    """What the processes of a baseline are told."""
    root = checkout()
    return {
        "DJANGO_SETTINGS_MODULE": f"benchmarks.baselines.{project}.settings",
        "BENCH_ORDINARY_DSN": bench.ordinary_dsn,
        "BENCH_MEMCACHED": str(bench.places.run / "memcached.sock"),
        "PYTHONPATH": f"{root}:{root / 'src'}",
    }
