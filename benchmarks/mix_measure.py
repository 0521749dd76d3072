"""The mixes of `calotype bench graph`: the graph with its cache, beside itself without, and Django with its cache API.

Measured: CPU of the client process for each operation of one sequence, 8 at a time in the graph, each with the deadline
and context of a request of its own; one after the other in Django, whose ORM is sync. Statements are counted by
pg_stat_statements. The cache's memory holds a fifth of the data, and is warm when the measuring begins.

Hits are counted in a pass of its own behind that, by one task: a read is one if it made no statement.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median

import asyncpg

from benchmarks import mix_servers
from benchmarks.mix_data import Data
from benchmarks.mix_django import DjangoRunner
from benchmarks.mix_graph import GraphRunner, found_ratios
from benchmarks.mix_servers import Beside
from benchmarks.mixes import LINKBENCH, READS, TAO, TAO_AS_YCSB, Mix, Op, Step, Steps
from benchmarks.report import Row, row
from benchmarks.site import BenchSite
from calotype.cli.bars import Bar
from calotype.infra.cache import Cache
from calotype.infra.invalidation import RegionCache
from calotype.infra.shards import Pool, Shards
from calotype.infra.tao import Graph

TASKS = 8
ROUNDS = 5
SETTLING, MEASURED, LOOKED_AT = 5_000, 30_000, 30_000
"""Steps: behind those of the warm-up (`Mix.warm_up`), whose reads alone are made, many at a time; of what is measured; and of
the pass that counts hits."""

HELD = 0.2
"""Share of the data that the cache's memory holds."""

HIT_RATE = 96.4
"""Percent: TAO's, as published. The target for its mix."""

OURS, UNCACHED, ORM = "calotype", "calotype without a cache", "orm+memcached"

CALLS = """
select coalesce(sum(calls), 0) from pg_stat_statements where query not like '%pg\\_%' and query not like '%REPLICATION%'
"""
"""Of what an operation asks for; not what the consumers and the bench itself ask for."""


@dataclass(frozen=True)
class Plan:
    """One mix's steps."""

    mix: Mix
    warm_up: Sequence[Step]
    settling: Sequence[Step]
    rounds: Sequence[Sequence[Step]]
    looked_at: Sequence[Step]


@dataclass(frozen=True)
class Turn:
    """What one stack's turn has used, in microseconds an operation, and its statements for each 1,000."""

    client: float
    postgres: float
    memcached: float
    consumers: float
    statements: float


@dataclass
class Hits:
    """In percent, of reads. `memcached`: of the keys that memcached was asked for."""

    all: float = 0.0
    memcached: float = 0.0
    by_operation: dict[Op, float] = field(default_factory=dict)
    found: dict[Op, float] = field(default_factory=dict)


@dataclass
class Result:
    plan: Plan
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    hits: Hits = field(default_factory=Hits)
    orm_hits: float = 0.0

    def typical(self, who: str, figure: Callable[[Turn], float]) -> float:
        return median(figure(turn) for turn in self.turns[who])


class Meter:
    """Reads the clocks and counters before and after a turn."""

    def __init__(self, bench: BenchSite, runner: asyncio.Runner) -> None:
        self._bench = bench
        self._runner = runner
        self._connections = [runner.run(asyncpg.connect(cluster.dsn())) for cluster in bench.clusters]
        for connection in self._connections:
            runner.run(connection.execute("create extension if not exists pg_stat_statements"))

    def close(self) -> None:
        for connection in self._connections:
            self._runner.run(connection.close())

    def turn(
        self, take: Callable[[Sequence[Step]], None], steps: Sequence[Step], beside: Beside | None = None
    ) -> Turn:
        amount = len(steps)
        for connection in self._connections:
            self._runner.run(connection.execute("select pg_stat_statements_reset()"))
        before = self._read(beside)
        take(steps)
        used = [(end - start) * 1e6 / amount for start, end in zip(before, self._read(beside), strict=True)]
        calls = sum(int(self._runner.run(one.fetchval(CALLS))) for one in self._connections)
        return Turn(used[0], used[1], used[2], used[3], calls * 1000 / amount)

    def _read(self, beside: Beside | None) -> tuple[float, ...]:
        return (
            time.process_time(),
            self._bench.postgres_cpu_s(),
            beside.memcached_cpu_s() if beside else 0.0,
            beside.consumers_cpu_s() if beside else 0.0,
        )


def plan(data: Data, mix: Mix, scale: int) -> Plan:
    steps = Steps(mix, data.world)
    warm_up = steps.take(mix.warm_up // scale)
    settling = steps.take(SETTLING // scale)
    rounds = [steps.take(MEASURED // scale // ROUNDS) for _ in range(ROUNDS)]
    return Plan(mix, warm_up, settling, rounds, steps.take(LOOKED_AT // scale))


def memory_mb(data: Data) -> int:
    """Of the cache, in memcached's whole megabytes; it wants 2 to take items of one."""
    return max(round(data.made.cached_bytes * HELD / (1 << 20)), 2)


def measure(data: Data, runner: asyncio.Runner, scale: int) -> list[Row]:
    """All mixes, one after the other. Django must have been set up."""
    rows: list[Row] = []
    meter = Meter(data.bench, runner)
    try:
        for mix in (TAO, LINKBENCH):
            rows += _rows(_measure(data, runner, meter, plan(data, mix, scale)))
    finally:
        meter.close()
    hits = _hits_alone(data, runner, plan(data, TAO_AS_YCSB, scale))
    return [*rows, _hit_rate(TAO_AS_YCSB, hits)]


def _hits_alone(data: Data, runner: asyncio.Runner, plan: Plan) -> Hits:
    with (
        mix_servers.followed(data.bench, "ours", memory_mb(data)) as beside,
        _graph(data, runner, beside) as graph,
    ):
        ours = GraphRunner(graph, data)
        runner.run(ours.warm_up(plan.warm_up))
        runner.run(ours.take(plan.settling, TASKS))
        return runner.run(_look(graph, ours, plan))


def _measure(data: Data, runner: asyncio.Runner, meter: Meter, plan: Plan) -> Result:
    result = Result(plan)
    with Bar(plan.mix.name) as bar:
        with _graph(data, runner, None) as graph:
            result.turns[UNCACHED] = _uncached(runner, meter, GraphRunner(graph, data), plan)
        bar.update(1, 3)
        memory = memory_mb(data)
        with (
            mix_servers.followed(data.bench, "ours", memory) as beside,
            mix_servers.memcached(data.bench, mix_servers.DJANGO, memory) as others,
            _graph(data, runner, beside) as graph,
        ):
            _cached(data, runner, meter, result, graph, beside, others, bar)
    return result


@contextmanager
def _graph(data: Data, runner: asyncio.Runner, beside: Beside | None) -> Iterator[Graph]:
    opened = _open_graph(data, beside)
    graph = runner.run(opened.__aenter__())
    try:
        yield graph
    finally:
        runner.run(opened.__aexit__(None, None, None))


@asynccontextmanager
async def _open_graph(data: Data, beside: Beside | None) -> AsyncIterator[Graph]:
    site = data.bench.site
    async with Shards(site.databases["default"], site.servers) as shards:
        if beside is None:
            yield Graph(shards)
            return
        async with RegionCache(Cache([str(beside.server.socket)]), site.servers) as region:
            yield Graph(shards, region)


def _uncached(runner: asyncio.Runner, meter: Meter, ours: GraphRunner, plan: Plan) -> list[Turn]:
    runner.run(ours.take(plan.settling, TASKS))
    return [meter.turn(partial(_take, runner, ours), some) for some in plan.rounds]


def _take(runner: asyncio.Runner, ours: GraphRunner, steps: Sequence[Step]) -> None:
    runner.run(ours.take(steps, TASKS))


def _cached(
    data: Data,
    runner: asyncio.Runner,
    meter: Meter,
    result: Result,
    graph: Graph,
    beside: Beside,
    others: Beside,
    bar: Bar,
) -> None:
    """The two with a cache take turns."""
    plan = result.plan
    ours, django = GraphRunner(graph, data), DjangoRunner(data)
    runner.run(ours.warm_up(plan.warm_up))
    runner.run(ours.take(plan.settling, TASKS))
    django.warm_up(plan.warm_up)
    django.take(plan.settling)
    bar.update(2, 3)
    result.turns |= {OURS: [], ORM: []}
    django.counted.reads = django.counted.misses = 0
    for some in plan.rounds:
        result.turns[OURS].append(meter.turn(partial(_take, runner, ours), some, beside))
        result.turns[ORM].append(meter.turn(django.take, some, others))
    django.close()
    result.orm_hits = 100 - django.counted.misses * 100 / max(django.counted.reads, 1)
    result.hits = runner.run(_look(graph, ours, plan))
    bar.update(3, 3)


async def _look(graph: Graph, ours: GraphRunner, plan: Plan) -> Hits:
    """One task alone, so that each statement belongs to the step that is being taken."""
    pools = {graph.shards.pool("people", shard) for shard in graph.shards.placement.servers["people"]}
    asked: Counter[Op] = Counter()
    missed: Counter[Op] = Counter()
    answers = []
    assert graph.cache is not None
    cache = graph.cache.cache.metrics
    before = (cache.hits, cache.won + cache.waiting)
    for step in plan.looked_at:
        taken = _taken(pools)
        answer = await ours.one(step)
        if step.op in READS:
            asked[step.op] += 1
            missed[step.op] += _taken(pools) > taken
            answers.append((step.op, bool(answer)))
    hits, misses = cache.hits - before[0], cache.won + cache.waiting - before[1]
    return Hits(
        100 - missed.total() * 100 / max(asked.total(), 1),
        hits * 100 / max(hits + misses, 1),
        {op: 100 - missed[op] * 100 / asked[op] for op in asked},
        found_ratios(answers),
    )


def _taken(pools: set[Pool]) -> int:
    """How often one of these has given a connection."""
    return sum(pool.metrics.returned for pool in pools)


def _rows(result: Result) -> list[Row]:
    """Hits of TAO's mix are its claim, told as misses: a target is the highest ratio at which one holds."""
    name, hits = result.plan.mix.name, result.hits
    made = [
        *_costs(result),
        _hit_rate(result.plan.mix, hits),
        row(f"{name}, hit rate", hits.all, "% of reads", ORM, result.orm_hits),
    ]
    if result.plan.mix is TAO:
        missed = f"{name}, reads that reach PostgreSQL"
        made.append(
            row(missed, 100 - hits.all, "% of reads", "TAO, published", 100 - HIT_RATE, limit=100 - HIT_RATE)
        )
    for op in READS:
        if op in hits.by_operation:
            made.append(row(f"{name}, hit rate, {op}", hits.by_operation[op], "% of reads"))
            wanted = result.plan.mix.found.get(op)
            published = ("TAO, published", wanted * 100) if wanted else (None, None)
            made.append(row(f"{name}, found, {op}", hits.found[op] * 100, "% of reads", *published))
    return made


def _hit_rate(mix: Mix, hits: Hits) -> Row:
    return row(f"{mix.name}, hit rate", hits.all, "% of reads", "memcached's own", hits.memcached)


def _costs(result: Result) -> list[Row]:
    name = result.plan.mix.name
    figures: list[tuple[str, str, Callable[[Turn], float]]] = [
        ("client CPU", "us/operation", lambda turn: turn.client),
        ("operations", "/s and core", lambda turn: 1e6 / turn.client),
        ("statements", "/1,000 operations", lambda turn: turn.statements),
        ("PostgreSQL CPU", "us/operation", lambda turn: turn.postgres),
        ("memcached CPU", "us/operation", lambda turn: turn.memcached),
        ("consumers' CPU", "us/operation", lambda turn: turn.consumers),
    ]
    return [
        row(f"{name}, {title}", result.typical(OURS, figure), unit, other, result.typical(other, figure))
        for title, unit, figure in figures
        for other in (UNCACHED, ORM)
        if result.typical(other, figure) or (title == "consumers' CPU" and other == UNCACHED)
    ]
