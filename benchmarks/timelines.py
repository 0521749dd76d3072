"""`calotype bench timelines`: pushes and pages of each engine beside its bare driver, and the feed's page by followees.

One Cassandra node and two PostgreSQL servers of the bench's own. A push goes to 1,000 owners, a page has 20 entries of
timelines that hold 800. The bare driver does the same statements, prepared, on a session or connections that it holds,
with as many under way at once. Then the home feed of three people who follow 50, 500 and 5,000: with each engine, beside
Django REST framework over the same posts.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import acsylla
import asyncpg

from benchmarks import followees, population, processes, requirements, site
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.rounds import Case, Cost, in_turn, typical
from benchmarks.site import BenchSite
from calotype.cli.places import tools
from calotype.infra.engines.cassandra import VERSION, Ring, fetch, start
from calotype.infra.ids import shard_of
from calotype.infra.shards import Shards
from calotype.infra.tao import START
from calotype.infra.timelines import EVERYTHING, Entry, PostgresTimelines, Timelines
from calotype.infra.timelines.cassandra import CassandraTimelines, Nodes, Session, migrate
from calotype.infra.timelines.cassandra.login import nodes_of, secure
from calotype.infra.timelines.cassandra.session import AT_ONCE, connect

ROUNDS = 5
TIMES = {"Cassandra": 3, "PostgreSQL": 30}
"""In a round: the CPU of servers is known in steps of 10 ms, so that a round of theirs should take a good part of a second."""

OWNERS = 1_000
LENGTH = 800
PAGE = 20
READ_AT_ONCE = 16
KIND = 7
"""Nothing else uses it."""

TARGET = 1 / 0.7
"""Of CPU: 70% of the bare driver's operations for each core, at least."""

_numbers = itertools.count(10_000_000)

_PUSH = "INSERT INTO timelines (owner, kind, time, id, source) VALUES (?, ?, ?, ?, ?) USING TTL ?"
_PAGE = """
SELECT built, floor_time, floor_id, time, id, source FROM timelines
WHERE owner = ? AND kind = ? AND (time, id) < (?, ?) LIMIT ?
"""
_POSTGRES_PUSH = """
insert into timelines select s, o, $3, $4, $5, $6 from unnest($1::int[], $2::bigint[]) k (s, o) on conflict do nothing
"""
_POSTGRES_PAGE = """
select time, id, source from timelines
where shard = $1 and owner = $2 and kind = $3 and (time, id) < ($4, $5) order by time desc, id desc limit $6
"""


def run(options: Options) -> Report:
    requirements.ensure()
    owners, length, rounds = (100, 100, 2) if options.quick else (OWNERS, LENGTH, ROUNDS)
    with population.populated(options) as bench, ring_running(options) as (ring, node):
        population.set_django_up()
        rows = asyncio.run(_engines(bench, nodes_of(ring), node, owners, length, rounds))
        rows += followees.rows(bench, ring, node, quick=options.quick)
    return report("timelines", ("acsylla", "asyncpg"), rows, {"cassandra": VERSION})


@contextmanager
def ring_running(options: Options) -> Iterator[tuple[Ring, int]]:
    """One node, made anew, with its keyspace; its process."""
    root = options.data.resolve() / "cassandra"
    site.remove(root)
    root.mkdir(parents=True)
    (root / site.MARKER).touch()
    fetch(tools(), root / "maven.log")
    port, _, _ = _following_ports()
    ring = Ring(root, tools(), 1, port)
    (process,) = start(ring, root / "output")
    try:
        asyncio.run(_prepare(ring))
        yield ring, process.pid
    finally:
        process.terminate()
        process.wait()


def _following_ports() -> tuple[int, int, int]:
    while True:
        first, *others = processes.free_ports(3)
        if others == [first + 1, first + 2]:
            return first, first + 1, first + 2


async def _prepare(ring: Ring) -> None:
    await secure(ring)
    await migrate(nodes_of(ring), 1)


async def _engines(
    bench: BenchSite, nodes: Nodes, node: int, owners: int, length: int, rounds: int
) -> list[Row]:
    async with AsyncExitStack() as stack:
        shards = await stack.enter_async_context(Shards(bench.site.databases["default"], bench.site.servers))
        session = Session(nodes)
        stack.push_async_callback(session.close)
        some = await shards.next_ids(shards.placement.shards("people")[0], owners)
        engines: dict[str, tuple[Timelines, dict[str, Case], Callable[[], float], str]] = {
            "Cassandra": (
                CassandraTimelines(session),
                await stack.enter_async_context(_bare_cassandra(nodes, some)),
                lambda: processes.cpu_s(node),
                "acsylla",
            ),
            "PostgreSQL": (
                PostgresTimelines(shards),
                await stack.enter_async_context(_bare_postgres(shards, some)),
                bench.postgres_cpu_s,
                "asyncpg",
            ),
        }
        rows: list[Row] = []
        for name, (timelines, bare, server_cpu_s, driver) in engines.items():
            await _fill(timelines, some, length)
            times = TIMES[name] if length == LENGTH else 1
            for what, case in (("push", _push(timelines, some)), ("page of 20", _pages(timelines, some))):
                cases = {name: case, driver: bare[what]}
                costs = await in_turn(cases, len(some), server_cpu_s, rounds, times)
                rows += _rows(name, what, driver, costs)
        return rows


async def _fill(timelines: Timelines, owners: Sequence[int], length: int) -> None:
    """Timelines as they are after a while; and a JVM that has seen some work."""
    entries = [Entry(number, number, 1) for number in range(length)]
    for owner in owners:
        build = await timelines.begin(KIND, owner)
        assert build is not None
        await timelines.push(KIND, [owner], entries, keep=length)
        await timelines.finish(KIND, owner, build, EVERYTHING)


def _push(timelines: Timelines, owners: Sequence[int]) -> Case:
    async def push() -> None:
        number = (
            next(_numbers) * 16 + 1
        )  # never one that has its timelines trimmed: the bare driver trims none
        await timelines.push(KIND, owners, [Entry(number, number, 1)], keep=LENGTH)

    return push


def _pages(timelines: Timelines, owners: Sequence[int]) -> Case:
    async def one(owner: int) -> None:
        page = await timelines.page(KIND, owner, START, PAGE)
        assert page is not None
        assert len(page.entries) == PAGE

    return _at_once(one, owners, READ_AT_ONCE)


def _at_once(one: Callable[[int], object], owners: Sequence[int], amount: int) -> Case:
    """Something with each owner, so many at the same time."""

    async def all_of_them() -> None:
        waiting = iter(random.Random(1).sample(owners, len(owners)))

        async def some() -> None:
            for owner in waiting:
                await one(owner)  # type: ignore[misc]  # `one` is a coroutine function; its result is of no interest

        async with asyncio.TaskGroup() as group:
            for _ in range(amount):
                group.create_task(some())

    return all_of_them


@asynccontextmanager
async def _bare_cassandra(nodes: Nodes, owners: Sequence[int]) -> AsyncIterator[dict[str, Case]]:
    session: acsylla.Session = await connect(nodes)
    insert, select = await session.create_prepared(_PUSH), await session.create_prepared(_PAGE)
    state = {"number": 0}

    async def push_one(owner: int) -> None:
        statement = insert.bind((owner, KIND, state["number"], state["number"], 1, 2_678_400))
        statement.set_is_idempotent(True)
        await session.execute(statement)

    async def push() -> None:
        state["number"] = next(_numbers) * 16 + 1
        await _at_once(push_one, owners, AT_ONCE)()

    async def page(owner: int) -> None:
        found = await session.execute(select.bind((owner, KIND, *START, PAGE)))
        assert len([row.as_tuple() for row in found.all()]) == PAGE

    yield {"push": push, "page of 20": _at_once(page, owners, READ_AT_ONCE)}
    await session.close()


@asynccontextmanager
async def _bare_postgres(shards: Shards, owners: Sequence[int]) -> AsyncIterator[dict[str, Case]]:
    dsn = shards.pool("people", shard_of(owners[0])).dsn
    async with AsyncExitStack() as stack:
        held: list[
            tuple[asyncpg.Connection[asyncpg.Record], asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record]]
        ] = []
        for _ in range(READ_AT_ONCE):
            connection = await asyncpg.connect(dsn)
            stack.push_async_callback(connection.close)
            held.append((connection, await connection.prepare(_POSTGRES_PAGE)))
        insert = await held[0][0].prepare(_POSTGRES_PUSH)
        free = [statement for _, statement in held]

        async def push() -> None:
            number = next(_numbers) * 16 + 1
            some = sorted(owners)
            await insert.fetch(list(map(shard_of, some)), some, KIND, number, number, 1)

        async def page(owner: int) -> None:
            statement = free.pop()
            found = await statement.fetch(shard_of(owner), owner, KIND, *START, PAGE)
            free.append(statement)
            assert len([tuple(each) for each in found]) == PAGE

        yield {"push": push, "page of 20": _at_once(page, owners, READ_AT_ONCE)}


def _rows(engine: str, what: str, driver: str, costs: dict[str, list[Cost]]) -> list[Row]:
    unit = "us/entry" if what == "push" else "us/page"
    figures: list[tuple[str, Callable[[Cost], float], float | None]] = [
        ("client and server CPU", lambda cost: cost.both_us, TARGET),
        ("client CPU", lambda cost: cost.client_us, None),
        ("server CPU", lambda cost: cost.server_us, None),
        ("wall", lambda cost: cost.wall_us, None),
    ]
    return [
        row(
            f"{engine}, {what}, {name}",
            typical(costs[engine], figure),
            unit,
            driver,
            typical(costs[driver], figure),
            target,
        )
        for name, figure, target in figures
    ]
