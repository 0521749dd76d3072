"""`calotype bench graph`: the graph's operations beside the bare asyncpg statement, and beside Django's ORM.

Measured: CPU of the client process (`time.process_time`) for each operation, by 8 tasks at once and by one alone. Tasks
that ask in one turn of the event loop share a statement, as requests of one worker do: that is what the graph is for,
so both figures are given. The variants take turns; figures are medians.

Beside what:
- `asyncpg`: one prepared statement on a connection that each task holds, without pool, deadline, retry or types, on
  ordinary unsharded tables of the same server (benchmarks/baselines/rows). It answers a Record whose JSON is still text;
  the graph answers a decoded Struct. For `assoc_add` that statement inserts the edge, its inverse, and raises both
  counters (`insert ... on conflict do update`): all that a hand-written schema would do, in one trip and transaction.
  The graph's also checks whether the edge is there, numbers versions, leaves a message and carries it to another shard.
- `orm`: the same by Django's sync ORM on the same tables, one after the other. `orm, async`: its async methods, which
  run it in a thread.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import asyncpg
import msgspec
import uvloop

from benchmarks import mix_data, mix_measure, population, processes, requirements, site
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.site import BenchSite
from calotype.cli.bars import Bar
from calotype.infra.shards import Shards
from calotype.infra.tao import Association, Edge, Graph, association_pair, object_type

ROUNDS = 5
READS, WRITES = 2_000, 300
TASKS = 8
LISTS, LENGTH = 300, 100
PAGE = 20
OBJ_GET_TARGET = 1.5

QUICK_MIX_SCALE = 40
"""A trial of the mixes takes a fortieth of their steps: most of them fill the cache."""

PACKAGES = ("asyncpg", "uvloop", "msgspec", "django", "psycopg", "pymemcache")

OURS, BARE, ORM, ORM_ASYNC = "calotype", "asyncpg", "orm", "orm, async"


@object_type(900, partition="people")
class Thing(msgspec.Struct, frozen=True):
    """An object of about 670 bytes of JSON: TAO's mean."""

    name: str
    text: str
    numbers: list[int]
    seen: bool = False


POINTS_TO, POINTED_AT = association_pair(901, "points_to", 902, "pointed_at", partition="people")

THING = """
select id, otype, version, created, updated, data from rows_thing where id = $1
"""
RANGE = f"""
select id2, time, version, data from rows_edge where id1 = $1 and atype = 901 order by time desc, id2 desc limit {PAGE}
"""
COUNT = """
select count from rows_counter where id1 = $1 and atype = 901
"""
ADD = """
with forth as (insert into rows_edge (id1, atype, id2, time, version) values ($1, 901, $2, $3, 1)),
    back as (insert into rows_edge (id1, atype, id2, time, version) values ($2, 902, $1, $3, 1))
insert into rows_counter (id1, atype, count) values ($1, 901, 1), ($2, 902, 1)
on conflict (id1, atype) do update set count = rows_counter.count + 1
"""

Key = tuple[int, int]
"""(id1, id2); reads use the first alone."""
Operation = Callable[[int, Key], Awaitable[object]]
"""Called with the number of the task and a key."""

type Keys = Callable[[int], Sequence[Key]]
"""So many of them, by chance."""
type Prepared = asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record]


@dataclass
class Case:
    """One operation by all who can do it. `costs`: microseconds for each operation, round by round."""

    name: str
    keys: Keys
    operations: dict[str, Operation]
    orm: Callable[[Key], object]
    orm_async: Callable[[Key], Awaitable[object]]
    amount: int
    target: float | None = None
    costs: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def spent(self, who: str, tasks: int, cpu_s: float, amount: int) -> None:
        self.costs.setdefault((who, tasks), []).append(cpu_s * 1e6 / amount)


def run(options: Options) -> Report:
    """Make 300 lists of 100 edges and their objects, in the graph and in ordinary tables; measure."""
    requirements.ensure()
    scale = 10 if options.quick else 1
    with (
        mix_data.ready(options) as data,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        _set_django_up(data.bench)
        rows, version = _measure(data.bench, runner, scale)
        rows += mix_measure.measure(data, runner, QUICK_MIX_SCALE if options.quick else 1)
    memcached = processes.run(["memcached", "-V"]).split()[-1]
    return report("graph", PACKAGES, rows, {"postgresql": version, "memcached": memcached})


def _set_django_up(bench: BenchSite) -> None:
    """Django of the baseline: the graph itself needs none."""
    os.environ.update(population.baseline_environment(bench, "tuned"))
    import django

    django.setup(set_prefix=False)


def _measure(bench: BenchSite, runner: asyncio.Runner, scale: int) -> tuple[list[Row], str]:
    shards = Shards(bench.site.databases["default"], bench.site.servers)
    stack = AsyncExitStack()
    try:
        graph = Graph(runner.run(stack.enter_async_context(shards)))
        lists = runner.run(_make_lists(bench, graph, LISTS // scale))
        runner.run(site.settle(bench))
        held = [runner.run(_connection(bench, stack)) for _ in range(TASKS)]
        cases = runner.run(_cases(graph, held, lists, scale))
        with Bar("rounds") as bar:
            for number in range(ROUNDS + 1):  # the first one warms up
                for case in cases:
                    _round(runner, case)
                    if number == 0:
                        case.costs.clear()
                bar.update(number + 1, ROUNDS + 1)
        version = runner.run(held[0].fetchval("show server_version"))
    finally:
        runner.run(stack.aclose())
    return [each for case in cases for each in _rows(case)], str(version)


async def _connection(bench: BenchSite, stack: AsyncExitStack) -> asyncpg.Connection[asyncpg.Record]:
    connection = await asyncpg.connect(bench.ordinary_dsn)
    stack.push_async_callback(connection.close)
    return connection


async def _make_lists(bench: BenchSite, graph: Graph, amount: int) -> list[int]:
    """Things on all shards of the first server, each with a list of edges; copied into the ordinary tables."""
    chance = random.Random(3)
    shards = [
        shard
        for shard, server in graph.shards.placement.servers["people"].items()
        if server == next(iter(bench.site.servers))
    ]
    rows = [(shards[n % len(shards)], make_thing(n, chance)) for n in range(amount)]
    things = await graph.obj_add_many(Thing, rows)
    ids = [thing.id for thing in things]
    edges = [
        (id_, Edge(ids[(at + n + 1) % amount], 1_000_000 + n, 0))
        for at, id_ in enumerate(ids)
        for n in range(min(LENGTH, amount - 1))
    ]
    for batch in itertools.batched(edges, 2_000):
        await graph.assoc_add_many(POINTS_TO, batch)
    ordinary = await asyncpg.connect(bench.ordinary_dsn)
    try:
        await ordinary.copy_records_to_table(
            "rows_thing",
            records=[
                (thing.id, 900, msgspec.json.encode(thing.data).decode(), 1, thing.created, thing.updated)
                for thing in things
            ],
        )
        both = [(id1, 901, edge.id2, edge.time) for id1, edge in edges]
        both += [(edge.id2, 902, id1, edge.time) for id1, edge in edges]
        await ordinary.copy_records_to_table(
            "rows_edge",
            records=[(*each, 1, None) for each in both],
            columns=("id1", "atype", "id2", "time", "version", "data"),
        )
        await ordinary.execute(
            "insert into rows_counter select id1, atype, count(*) from rows_edge where atype in (901, 902) group by 1, 2"
        )
    finally:
        await ordinary.close()
    return ids


def make_thing(number: int, chance: random.Random) -> Thing:
    words = " ".join(
        chance.choice(("light", "shade", "silver", "paper", "salt", "iodine")) for _ in range(80)
    )
    return Thing(name=f"thing {number}", text=words, numbers=[chance.randrange(10**6) for _ in range(20)])


async def _cases(
    graph: Graph, held: Sequence[asyncpg.Connection[asyncpg.Record]], lists: Sequence[int], scale: int
) -> list[Case]:
    chance = random.Random(5)
    fresh = _fresh_pairs(lists)
    thing, page, count, add = [[await one.prepare(sql) for one in held] for sql in (THING, RANGE, COUNT, ADD)]

    def some(amount: int) -> list[Key]:
        return [(chance.choice(lists), 0) for _ in range(amount)]

    def unused(amount: int) -> list[Key]:
        return list(itertools.islice(fresh, amount))

    return [
        _obj_get(graph, thing, some, READS // scale),
        _assoc_range(graph, page, some, READS // scale),
        _assoc_count(graph, count, some, READS // scale),
        _assoc_add(graph, add, unused, WRITES // scale),
    ]


def _obj_get(graph: Graph, bare: Sequence[Prepared], keys: Keys, amount: int) -> Case:
    from benchmarks.baselines.rows.models import Thing as ThingRow

    operations: dict[str, Operation] = {
        OURS: lambda _, key: graph.obj_get(Thing, key[0]),
        BARE: lambda n, key: bare[n].fetchrow(key[0]),
    }
    return Case(
        "obj_get",
        keys,
        operations,
        lambda key: ThingRow.objects.get(id=key[0]),
        lambda key: ThingRow.objects.aget(id=key[0]),
        amount,
        OBJ_GET_TARGET,
    )


def _assoc_range(graph: Graph, bare: Sequence[Prepared], keys: Keys, amount: int) -> Case:
    from benchmarks.baselines.rows.models import Edge as EdgeRow

    def ranged(key: Key) -> Any:
        return EdgeRow.objects.filter(id1=key[0], atype=901).order_by("-time", "-id2")[:PAGE]

    async def orm_range(key: Key) -> object:
        return [edge async for edge in ranged(key)]

    operations: dict[str, Operation] = {
        OURS: lambda _, key: graph.assoc_range(POINTS_TO, key[0], 0, PAGE),
        BARE: lambda n, key: bare[n].fetch(key[0]),
    }
    name = f"assoc_range({PAGE})"
    return Case(name, keys, operations, lambda key: list(ranged(key)), orm_range, amount)


def _assoc_count(graph: Graph, bare: Sequence[Prepared], keys: Keys, amount: int) -> Case:
    from benchmarks.baselines.rows.models import Counter

    operations: dict[str, Operation] = {
        OURS: lambda _, key: graph.assoc_count(POINTS_TO, key[0]),
        BARE: lambda n, key: bare[n].fetchval(key[0]),
    }
    return Case(
        "assoc_count",
        keys,
        operations,
        lambda key: Counter.objects.get(id1=key[0], atype=901).count,
        lambda key: Counter.objects.aget(id1=key[0], atype=901),
        amount,
    )


def _assoc_add(graph: Graph, bare: Sequence[Prepared], keys: Keys, amount: int) -> Case:
    operations: dict[str, Operation] = {
        OURS: lambda _, key: _added(graph, POINTS_TO, key),
        BARE: lambda n, key: bare[n].fetch(*key, time.time_ns() // 1_000_000),
    }
    return Case("assoc_add", keys, operations, _orm_add, _orm_add_async, amount)


def _fresh_pairs(lists: Sequence[int]) -> Iterator[Key]:
    """Edges that nobody has yet: from one of the lists to an id of the second server or the first, none twice."""
    start = time.time_ns() // 1000 % 1_000_000_000 << 23
    for number in itertools.count():
        shard = number % 32
        yield lists[number % len(lists)], start + (number << 23) | shard << 10


async def _added(graph: Graph, association: Association, key: Key) -> None:
    written = await graph.assoc_add(association, *key)
    assert written.changed, key


def _orm_add(key: Key) -> None:
    """Edge, inverse and both counters in one transaction, as one would write it."""
    from django.db import transaction
    from django.db.models import F

    from benchmarks.baselines.rows.models import Counter, Edge

    now = time.time_ns() // 1_000_000
    id1, id2 = key
    with transaction.atomic():
        Edge.objects.create(id1=id1, atype=901, id2=id2, time=now, version=1)
        Edge.objects.create(id1=id2, atype=902, id2=id1, time=now, version=1)
        for id_, atype in ((id1, 901), (id2, 902)):
            if not Counter.objects.filter(id1=id_, atype=atype).update(count=F("count") + 1):
                Counter.objects.create(id1=id_, atype=atype, count=1)


async def _orm_add_async(key: Key) -> None:
    """Transactions have no async form: Django's documentation says to run the whole in a thread."""
    from asgiref.sync import sync_to_async

    await sync_to_async(_orm_add)(key)


def _round(runner: asyncio.Runner, case: Case) -> None:
    for tasks in (TASKS, 1):
        for who, operation in case.operations.items():
            keys = case.keys(case.amount)
            case.spent(who, tasks, runner.run(_spent(operation, keys, tasks)), len(keys))
    keys = case.keys(case.amount // 2)
    began = time.process_time()
    for key in keys:
        case.orm(key)
    case.spent(ORM, 1, time.process_time() - began, len(keys))
    keys = case.keys(case.amount // 4)
    spent = runner.run(_spent(lambda _, key: case.orm_async(key), keys, TASKS))
    case.spent(ORM_ASYNC, TASKS, spent, len(keys))


async def _spent(operation: Operation, keys: Sequence[Key], tasks: int) -> float:
    """CPU seconds of this process while `tasks` tasks share these keys."""

    async def work(number: int) -> None:
        for key in keys[number::tasks]:
            await operation(number, key)

    began = time.process_time()
    async with asyncio.TaskGroup() as group:
        for number in range(tasks):
            group.create_task(work(number))
    return time.process_time() - began


def _rows(case: Case) -> list[Row]:
    typical = {key: median(costs) for key, costs in case.costs.items()}
    ours, alone = typical[OURS, TASKS], typical[OURS, 1]
    title, single = f"{case.name}, {TASKS} tasks, client CPU", f"{case.name}, 1 task, client CPU"
    return [
        row(title, ours, "us", BARE, typical[BARE, TASKS], case.target),
        row(title, ours, "us", ORM_ASYNC, typical[ORM_ASYNC, TASKS]),
        row(single, alone, "us", BARE, typical[BARE, 1], case.target),
        row(single, alone, "us", ORM, typical[ORM, 1]),
    ]
