"""The data of the mixes of `calotype bench graph`: objects and edges in the graph, and the same in ordinary tables.

Made once, as that of the feed is. A run works on a copy, since the mixes write: each begins with the same data.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from tempfile import TemporaryFile

import asyncpg
import msgspec
import uvloop

from benchmarks import mix_servers, population, processes, site
from benchmarks.mix_world import SEED, World, make_world
from benchmarks.report import Options
from benchmarks.site import BenchSite
from calotype.cli.bars import Bar
from calotype.cli.places import checkout
from calotype.infra.cache import Cache
from calotype.infra.engines.memcached import Memcached
from calotype.infra.invalidation import Lsn, Position, RegionCache, encode_position, position_key
from calotype.infra.shards import Shards
from calotype.infra.tao import Edge, Graph, association_pair, object_type

OBJECTS, QUICK_OBJECTS = 100_000, 3_000
BATCH = 1_000

NEWEST_MS = 1_790_000_000_000
"""Time of the newest edge of every list; those before it are a minute older each."""
STEP_MS = 60_000

MEAN_TEXT, LONGEST_TEXT = 560, 5_000
"""Bytes; with the other fields this makes objects of 673 bytes of JSON on average."""
MEAN_NOTE = 85
"""Of the edges that have data; with its field 97.8 bytes of JSON on average."""
WITHOUT_NOTE = 0.395

SETTINGS = {**site.COUNTING, "synchronous_commit": "off"}
"""Of a run. Nobody waits for the disk: what is measured is the client."""

COPIES = {
    "rows_thing": (
        ("id", "otype", "data", "version", "created", "updated"),
        "select id, otype, data, version, created, updated from objects where otype = 910",
    ),
    "rows_edge": (
        ("id1", "atype", "id2", "time", "version", "data"),
        "select id1, atype, id2, time, version, data from associations where atype in (911, 912) and not deleted",
    ),
    "rows_counter": (
        ("id1", "atype", "count"),
        "select id1, atype, count from association_counts where atype in (911, 912)",
    ),
}
"""Table of the baseline -> its columns, and the statement that reads them from a server of shards."""


@object_type(910, partition="people")
class Item(msgspec.Struct, frozen=True):
    """An object of 673 bytes of JSON on average, as TAO's."""

    name: str
    text: str
    numbers: list[int]


class Note(msgspec.Struct, frozen=True):
    """The data of an edge."""

    text: str


LINKS, LINKED_BY = association_pair(911, "mix_links", 912, "mix_linked_by", partition="people")
OTHER, OTHER_BY = association_pair(913, "mix_other", 914, "mix_other_by", partition="people")


class Stamp(msgspec.Struct, frozen=True):
    objects: int
    sources: str = ""
    """Of what makes the data."""


class Made(msgspec.Struct, frozen=True):
    """What was made. `cached_bytes`: memory of memcached's items when all of it is in the cache."""

    stamp: Stamp
    ids: list[int]
    cached_bytes: int
    object_bytes: float
    note_bytes: float


@dataclass(frozen=True)
class Data:
    """A site with the data of the mixes."""

    bench: BenchSite
    world: World
    made: Made


class Texts:
    """Made-up JSON of the sizes that TAO's paper gives, by a seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        words = ("light", "shade", "silver", "paper", "salt", "iodine")
        self._pool = " ".join(self._chance.choice(words) for _ in range(20_000))

    def item(self, number: int) -> Item:
        numbers = [self._chance.randrange(10**6) for _ in range(8)]
        return Item(f"item {number}", self._text(MEAN_TEXT), numbers)

    def note(self) -> Note | None:
        return None if self._chance.random() < WITHOUT_NOTE else Note(self._text(MEAN_NOTE))

    def _text(self, mean: int) -> str:
        length = min(int(self._chance.expovariate(1 / mean)) + 1, LONGEST_TEXT)
        start = self._chance.randrange(len(self._pool) - length)
        return self._pool[start : start + length]


@contextmanager
def ready(options: Options) -> Iterator[Data]:
    """A site that runs on a copy of the data, which is made if it is not there yet."""
    kept = options.data / ("mixes-quick" if options.quick else "mixes")
    stamp = Stamp(QUICK_OBJECTS if options.quick else OBJECTS, _sources())
    path = kept / "mixes.json"
    if not path.exists() or msgspec.json.decode(path.read_bytes(), type=Made).stamp != stamp:
        site.remove(kept)
        path.write_bytes(msgspec.json.encode(_make(kept, stamp)))
    run = options.data / "mixes-run"
    site.remove(run)
    processes.run(["cp", "-a", str(kept), str(run)])  # with owners: PostgreSQL's files are not root's
    try:
        with site.clusters_running(run, SETTINGS) as bench:
            made = msgspec.json.decode(path.read_bytes(), type=Made)
            yield Data(bench, make_world(made.stamp.objects), made)
    finally:
        site.remove(run)


def _sources() -> str:
    """A digest of the code that decides what the data looks like."""
    sql = checkout() / "src" / "calotype" / "infra" / "shards" / "sql"
    entries = checkout() / "src" / "calotype" / "infra" / "tao" / "entries.py"
    files = [*sorted(sql.iterdir()), entries, Path(__file__), Path(__file__).with_name("mix_world.py")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _make(kept: Path, stamp: Stamp) -> Made:
    with (
        site.clusters_running(kept, site.NOT_DURABLE) as bench,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        site.prepare(bench)
        runner.run(site.create_ordinary(bench))
        population.migrate_ordinary(bench)
        made = runner.run(_fill(bench, stamp))
        runner.run(_copy(bench))
        runner.run(site.settle(bench))
        return made


async def _fill(bench: BenchSite, stamp: Stamp) -> Made:
    world, texts = make_world(stamp.objects), Texts(SEED)
    async with Shards(bench.site.databases["default"], bench.site.servers) as shards:
        graph = Graph(shards)
        ids = await _add_objects(graph, stamp.objects, texts)
        sizes = await _add_edges(graph, ids, world, texts)
        object_bytes = await _mean_object(bench)
        cached = await _measure_cached(bench, shards, ids, world)
    return Made(stamp, ids, cached, object_bytes, sum(sizes) / len(sizes))


async def _add_objects(graph: Graph, amount: int, texts: Texts) -> list[int]:
    """On all shards in turn."""
    places = sorted(graph.shards.placement.servers["people"])
    ids: list[int] = []
    with Bar("objects") as bar:
        for numbers in batched(range(amount), BATCH):
            rows = [(places[number % len(places)], texts.item(number)) for number in numbers]
            ids += [node.id for node in await graph.obj_add_many(Item, rows)]
            bar.update(len(ids), amount)
    return ids


async def _add_edges(graph: Graph, ids: list[int], world: World, texts: Texts) -> list[int]:
    """The bytes of the data of those that have data."""
    edges: list[tuple[int, Edge]] = []
    for first, ends in enumerate(world.edges):
        for number, second in enumerate(ends):
            note = texts.note()
            data = None if note is None else msgspec.json.encode(note)
            edges.append((ids[first], Edge(ids[second], NEWEST_MS - number * STEP_MS, 0, data)))
    with Bar("edges") as bar:
        for done, batch in enumerate(batched(edges, BATCH)):
            await graph.assoc_add_many(LINKS, batch)
            bar.update(min((done + 1) * BATCH, len(edges)), len(edges))
    return [len(edge.data) for _, edge in edges if edge.data is not None]


async def _mean_object(bench: BenchSite) -> float:
    connection = await asyncpg.connect(next(iter(bench.site.servers.values())))
    try:
        return float(
            await connection.fetchval("select avg(length(data::text)) from objects where otype = 910")
        )
    finally:
        await connection.close()


async def _measure_cached(bench: BenchSite, shards: Shards, ids: list[int], world: World) -> int:
    """Read everything through a cache that is large enough for it; the bytes of its items then."""
    server = Memcached("fill", bench.places.run, memory_mb=2_048)
    with processes.running(server.command(), bench.places.log("memcached-fill"), server.ready):
        cache = Cache([str(server.socket)])
        for log in bench.site.servers:  # nobody writes meanwhile, so nobody needs to follow the log
            await cache.set(position_key(log), encode_position(Position("1", Lsn(0), 0)))
        async with RegionCache(cache, bench.site.servers) as region:
            await _read_all(Graph(shards, region), ids, world)
            return mix_servers.statistics(server)["bytes"]


async def _read_all(graph: Graph, ids: list[int], world: World) -> None:
    with Bar("cache entries") as bar:
        for places in batched(range(len(ids)), BATCH):
            some = [ids[place] for place in places]
            pairs = [(ids[place], ids[end]) for place in places for end in world.edges[place]]
            await graph.obj_get_many(Item, some)
            await graph.assoc_count_many(LINKS, some)
            await graph.assoc_range_many(LINKS, some, 20)
            await graph.assoc_get_many(LINKS, pairs)
            bar.update(places[-1] + 1, len(ids))


async def _copy(bench: BenchSite) -> None:
    """Fill the baseline's tables from the graph."""
    async with _connected(bench.ordinary_dsn) as ordinary:
        for server in bench.site.servers.values():
            async with _connected(server) as shards:
                for table, (columns, query) in COPIES.items():
                    with TemporaryFile() as rows:
                        await shards.copy_from_query(query, output=rows, format="binary")
                        rows.seek(0)
                        await ordinary.copy_to_table(table, source=rows, columns=columns, format="binary")


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
