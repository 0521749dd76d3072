"""Regions for tests that break them: primaries, memcached servers, consumers that are processes, a second region on
standbys behind a link that can be cut; and traffic over all of it that remembers what it was told."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from calotype.config.site import Region, save
from calotype.config.site import Site as Configuration
from calotype.infra.cache import Cache, HotKeys, Key
from calotype.infra.cache.hot import WINDOW_S
from calotype.infra.engines.postgres import Cluster
from calotype.infra.engines.standby import Standby
from calotype.infra.ids import shard_of
from calotype.infra.invalidation import RegionCache
from calotype.infra.shards import Shards
from calotype.infra.shards.tickets import carrying
from calotype.infra.tao import Association, Graph
from calotype.infra.tao.entries import Counts, Edges, Objects, Prefixes
from calotype.infra.tao.keys import count_key, edge_key, list_key, object_key
from calotype.infra.tao.types import type_of
from calotype.std.deadline import deadline
from calotype.std.errors import Unavailable
from calotype.web.tickets import catch_up
from tests.infra.tao.conftest import sweep_all
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, Person
from tests.memcached import RunningMemcached, running_memcached
from tests.site import NOT_DURABLE, RunningCluster, Site, create_site, running

SOURCE = Path(__file__).parents[2] / "src"
SETTLED_WITHIN_S = 60.0
"""How long anything may stay stale."""

PEOPLE = 16


class Invalidator:
    """`calotype invalidator LOG` of a region, a process of its own."""

    def __init__(self, data: Path, region: str, log: str) -> None:
        self._command = [sys.executable, "-P", "-m", "calotype.cli", "invalidator", log]
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "CALOTYPE_DATA": str(data),
            "CALOTYPE_REGION": region,
        }
        self._log = data / f"invalidator-{log}-{region}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is None:
            with self._log.open("ab") as out:
                self._process = subprocess.Popen(
                    self._command, env=self._environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
                )

    def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


class Link:
    """The way to a primary's socket, by a socket of its own: cut, nothing goes through and nobody gets in."""

    def __init__(self, directory: Path, target: Cluster) -> None:
        directory.mkdir(mode=0o700)
        self.directory = directory
        self._path = str(directory / ".s.PGSQL.5432")
        self._target = str(target.socket_directory / ".s.PGSQL.5432")
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def heal(self) -> None:
        self._server = await asyncio.start_unix_server(self._carry, self._path)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        with suppress(FileNotFoundError):
            os.unlink(self._path)  # noqa: PTH108  no pathlib on the loop
        for writer in self._open:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        await asyncio.gather(_pump(reader, back), _pump(there, writer))
        self._open -= {writer, back}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


class _Linked(Cluster):
    """The primary as its standby reaches it."""

    @property
    def socket_directory(self) -> Path:
        return self.root.parent / f"link-{self.name}"


@dataclass
class World:
    """One site; `regions` names them in order, the primaries' first."""

    site: Site
    data: Path
    regions: dict[str, Region]
    memcached: dict[str, list[RunningMemcached]]
    consumers: dict[tuple[str, str], Invalidator]
    standbys: dict[str, RunningCluster] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)

    def write_file(self) -> None:
        """Make the site's file say what `regions` says."""
        databases = {"default": self.site.control_dsn, "sessions": self.site.databases["sessions"]}
        save(self.data, Configuration("faults", self.site.servers, databases, regions=self.regions))

    @asynccontextmanager
    async def worker(self, region: str = "a", *, cached: bool = True) -> AsyncIterator[Graph]:
        """A graph as a web worker of this region has it; without a cache, its own deletes are lost."""
        here = self.regions[region]
        async with AsyncExitStack() as stack:
            shards = await stack.enter_async_context(
                Shards(self.site.control_dsn, self.site.servers, standbys=here.standbys)
            )
            if not cached:
                yield Graph(shards)
                return
            cache = RegionCache(Cache(here.memcached, here.gutter), self.site.servers)
            await stack.enter_async_context(cache)
            async with asyncio.timeout(30):
                while len(cache.progress.spaces) < len(self.site.servers):
                    await asyncio.sleep(0.05)
                    await cache.progress.refresh()
            yield Graph(shards, cache)


@asynccontextmanager
async def world(
    directory: Path,
    *,
    memcached: int = 1,
    gutter: int = 0,
    second_region: bool = False,
    settings: Mapping[str, str] = NOT_DURABLE,
) -> AsyncIterator[World]:
    root = Path(tempfile.mkdtemp(dir=directory))
    async with AsyncExitStack() as stack:
        clusters = stack.enter_context(running(root, dict(settings)))
        site = await create_site(clusters, shards=8)
        servers = stack.enter_context(running_memcached(directory, memcached + gutter))
        addresses = [one.address for one in servers]
        here = Region(tuple(addresses[:memcached]), tuple(addresses[memcached:]))
        made = World(site, root / "data", {"a": here}, {"a": servers}, {})
        made.data.mkdir()
        if second_region:
            await _add_region(made, root, stack)
        made.write_file()
        made.consumers = {
            (region, log): Invalidator(made.data, region, log)
            for region in made.regions
            for log in site.servers
        }
        for consumer in made.consumers.values():
            consumer.start()
            stack.callback(consumer.kill)
        yield made


async def _add_region(made: World, root: Path, stack: AsyncExitStack) -> None:
    for name, one in made.site.clusters.items():
        link = made.links[name] = Link(root / f"link-{name}", one.cluster)
        await link.heal()
        stack.push_async_callback(link.cut)
        linked = _Linked(name, one.cluster.root, one.cluster.settings)
        standby = Standby(f"{name}-b", root / f"{name}-b", NOT_DURABLE, primary=linked)
        running_standby = await asyncio.to_thread(RunningCluster, standby)
        stack.callback(running_standby.stop)
        made.standbys[name] = running_standby
    servers = stack.enter_context(running_memcached(root.parent, 1))
    made.memcached["b"] = servers
    *_, last = (one.cluster for one in made.standbys.values())
    dsns = {name: one.cluster.dsn("shards") for name, one in made.standbys.items()} | {
        "sessions": last.dsn("sessions")
    }
    made.regions["b"] = Region((servers[0].address,), standbys=dsns)


# --- Traffic -----------------------------------------------------------------------------------------------------------


@dataclass
class Traffic:
    """People who write and look, each piece of work as a request is: its tickets, its deadline, a worker by chance.

    Everybody writes only what is theirs, so the last acknowledged word is known: `versions` of objects, `edges`.
    """

    workers: Sequence[Graph]
    writers: Sequence[Graph]
    seed: int
    tolerated: tuple[type[Exception], ...] = ()
    """Errors that the fault itself explains; they are counted, and what they were about is not known any more."""
    deadline_s: float = 5.0
    people: list[int] = field(default_factory=list)
    versions: dict[int, int] = field(default_factory=dict)
    edges: dict[tuple[int, int], bool] = field(default_factory=dict)
    requests: int = 0
    writes: int = 0
    failures: int = 0
    missed: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Traffic:
        shards = self.writers[0].shards
        for n in range(PEOPLE):
            node = await self.writers[0].obj_add(
                Person(f"p{n}"), shard=shards.placement.shards("people")[n % 8]
            )
            self.people.append(node.id)
            self.versions[node.id] = 1
        self._tasks = [asyncio.create_task(self._person(n)) for n in range(PEOPLE // 2)]
        await asyncio.sleep(0.5)
        return self

    async def __aexit__(self, *error: object) -> None:
        if error[0] is None:
            await asyncio.sleep(0.5)
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _person(self, number: int) -> None:
        """Owns two of the people and their follows."""
        chance = random.Random(self.seed * 1_000 + number)
        own = self.people[2 * number : 2 * number + 2]
        tickets: dict[str, int] = {}
        while not self._stop.is_set():
            began = time.monotonic()
            what = chance.random()
            try:
                if what < 0.25:
                    tickets |= await self._write(chance, own)
                else:
                    await self._look(chance, tickets if what < 0.7 else {}, own)
                self.requests += 1
            except self.tolerated:
                self.failures += 1
                tickets = {}
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            await asyncio.sleep(chance.uniform(0, 0.01))

    async def _write(self, chance: random.Random, own: Sequence[int]) -> dict[str, int]:
        graph, me, other = chance.choice(self.writers), chance.choice(own), chance.choice(self.people)
        with deadline(self.deadline_s), carrying({}) as tickets:
            if chance.random() < 0.5:
                self.versions[me] = -self.versions[me]  # not known until it is acknowledged
                node = await graph.obj_update(Person, me, cats=chance.randrange(1_000))
                self.versions[me] = node.version
            else:
                present = chance.random() < 0.6
                self.edges.pop((me, other), None)
                change = graph.assoc_add if present else graph.assoc_del
                await change(FOLLOWS, me, other)
                self.edges[me, other] = present
            self.writes += 1
            return await tickets.issue()

    async def _look(self, chance: random.Random, held: Mapping[str, int], own: Sequence[int]) -> None:
        """As anybody, and as the holder of tickets: then what one wrote must be there."""
        graph = chance.choice(self.workers)
        if held and graph.cache is not None:
            await catch_up(graph.cache, held)
        known = {id_: version for id_ in own if (version := self.versions[id_]) > 1}
        edges = {edge: there for edge, there in self.edges.items() if edge[0] in own}
        with deadline(self.deadline_s), carrying(held):
            nodes = await graph.obj_get_many(Person, self.people)
            found = await graph.assoc_get_many(FOLLOWS, list(edges))
            await graph.assoc_range_many(FOLLOWS, self.people, 10)
            await graph.assoc_count_many(FOLLOWED_BY, self.people)
        if held:
            for id_, version in known.items():
                shown = nodes[id_].version if id_ in nodes else 0
                if self.versions[id_] == version and shown < version:
                    self.missed.append(f"{id_} is shown at {shown}, written was {version}")
            for edge, there in edges.items():
                if self.edges.get(edge) is there and (edge in found) is not there:
                    self.missed.append(f"{edge} is {'there' if edge in found else 'not there'}")


# --- What is left --------------------------------------------------------------------------------------------------------


async def stale_entries(graph: Graph, truth: Graph, people: Sequence[int]) -> list[str]:
    """Every entry about these people in a region's memcached that is older than the primary, or says something else."""
    assert graph.cache is not None
    wrong: list[str] = []
    kind = Objects(type_of(Person))
    nodes = await truth.obj_get_many(Person, people)
    for id_ in people:
        if (entry := await _entry(graph, object_key(_space(graph, id_), id_))) is not None:
            value, version = entry
            if kind.decode(id_, value) != nodes.get(id_):
                wrong.append(f"object {id_} at {version}, on the primary {nodes[id_].version}")
    for assoc in (FOLLOWS, FOLLOWED_BY):
        wrong += await _stale_lists(graph, truth, assoc, people)
    return wrong


async def _stale_lists(graph: Graph, truth: Graph, assoc: Association, people: Sequence[int]) -> list[str]:
    wrong: list[str] = []
    lists = await truth.assoc_range_many(assoc, people, 6_000)
    for id1, edges in lists.items():
        k, space = (id1, assoc.number), _space(graph, id1)
        count = await _entry(graph, count_key(space, *k))
        if count is not None and Counts().decode(k, count[0]).length != len(edges):
            wrong.append(f"count {assoc.name} of {id1} at {count[1]}")
        if (entry := await _entry(graph, list_key(space, *k))) is not None:
            kept = Prefixes(4, HotKeys()).decode(k, entry[0])
            newest = kept.newest(6_000)
            if newest != edges[: len(newest)] or kept.whole != (len(newest) == len(edges)):
                wrong.append(f"list {assoc.name} of {id1} at {entry[1]}")
        there = {edge.id2: edge for edge in edges}
        for id2 in people:
            edge = await _entry(graph, edge_key(space, *k, id2))
            if edge is not None and Edges().decode((*k, id2), edge[0]).edge != there.get(id2):
                wrong.append(f"edge {assoc.name} {id1} {id2} at {edge[1]}")
    return wrong


def _space(graph: Graph, id_: int) -> bytes:
    assert graph.cache is not None
    return graph.cache.progress.spaces[graph.shards.pool("people", shard_of(id_)).name]


async def _entry(graph: Graph, key: Key) -> tuple[bytes, int] | None:
    assert graph.cache is not None
    return (await graph.cache.cache.look_many([key])).get(key)


async def settled(world: World, traffic: Traffic, graphs: Sequence[Graph]) -> float:
    """Until no region holds anything stale; how long that took. Then everything acknowledged must be readable everywhere."""
    began = time.monotonic()
    async with world.worker(cached=False) as truth:
        await sweep_all(truth)  # inverses that a dead server kept waiting
        for graph in graphs:
            assert graph.cache is not None
            while True:
                try:
                    await graph.cache.progress.refresh()
                    wrong = await stale_entries(graph, truth, traffic.people)
                    if not wrong:
                        break
                except Unavailable as error:
                    wrong = [str(error)]
                assert time.monotonic() - began < SETTLED_WITHIN_S, wrong[:5]
                await asyncio.sleep(0.1)
        took_s = time.monotonic() - began
        await asyncio.sleep(WINDOW_S + 0.1)  # what a process keeps of its own is a second behind
        for graph in [truth, *graphs]:
            await _assert_acknowledged(graph, traffic)
    return took_s


async def _assert_acknowledged(graph: Graph, traffic: Traffic) -> None:
    nodes = await graph.obj_get_many(Person, traffic.people)
    for id_, version in traffic.versions.items():
        assert nodes[id_].version >= abs(version), id_
    found = await graph.assoc_get_many(FOLLOWS, list(traffic.edges))
    for edge, there in traffic.edges.items():
        assert (edge in found) is there, edge
    back = await graph.assoc_get_many(FOLLOWED_BY, [(b, a) for a, b in traffic.edges])
    for (a, b), there in traffic.edges.items():
        assert ((b, a) in back) is there, (a, b)
