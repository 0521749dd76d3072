"""`calotype bench fanout`: a post into the timelines of 10,000 followers, beside bare asyncpg inserting the same rows.

Measured: CPU of the process that pushes, and of all PostgreSQL processes, for each entry; entries a second of the two
together on one core. `push` is given its owners; `fan-out` reads the followers too, as the job does. Bare: one prepared
statement on a held connection to each server, the same owners in the same batches, into the same table.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import AsyncExitStack

import asyncpg
import msgspec

from benchmarks import site
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.rounds import Case, Cost, in_turn, typical
from benchmarks.site import BenchSite
from calotype.infra.ids import shard_of
from calotype.infra.jobs import Call
from calotype.infra.shards import Pool, Shards
from calotype.infra.tao import START, Edge, Graph
from calotype.infra.timelines import EVERYTHING, Entry, PostgresTimelines

ROUNDS = 5
KEPT = 800
POSTS = 10
FOLLOWERS = 10_000
BATCH = 2_000

TARGET = 1 / 0.7
"""Of CPU an entry: 70% of the bare driver's entries for each core, at least."""

PUSH, FAN_OUT, BARE = "push", "fan-out", "asyncpg"

_BARE = """
insert into timelines select s, o, $3, $4, $5, $6 from unnest($1::int[], $2::bigint[]) k (s, o) on conflict do nothing
"""
_HEADS = """
insert into timeline_heads select s, o, $3, 1, 0, true, $4, $5, calotype.now_ms() from unnest($1::int[], $2::bigint[]) k (s, o)
"""


_numbers = itertools.count(1)

type Prepared = asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record]


def run(options: Options) -> Report:
    followers, rounds = (FOLLOWERS // 10, 2) if options.quick else (FOLLOWERS, ROUNDS)
    with site.clusters_running(options.data / "small", {}) as bench:
        site.prepare(bench)
        costs, version = asyncio.run(_measure(bench, followers, rounds))
    return report("fanout", ("asyncpg", "msgspec"), _rows(costs), {"postgresql": version})


async def _measure(bench: BenchSite, followers: int, rounds: int) -> tuple[dict[str, list[Cost]], str]:
    # The product's types must not be imported before the site is there.
    from calotype.product.feed.types import HOME

    async with (
        Shards(bench.site.databases["default"], bench.site.servers) as shards,
        AsyncExitStack() as stack,
    ):
        graph, timelines = Graph(shards), PostgresTimelines(shards)
        author, owners = await _author_with(graph, followers)
        prepared = []
        for pool, some in _by_pool(shards, owners).items():
            await pool.write(_HEADS, list(map(shard_of, some)), some, HOME, *EVERYTHING)
            connection = await asyncpg.connect(pool.dsn)
            stack.push_async_callback(connection.close)
            prepared.append((await connection.prepare(_BARE), some))
        cases = {
            PUSH: _push(timelines, author, owners),
            FAN_OUT: _fan_out(graph, timelines, author),
            BARE: _bare(prepared, author),
        }
        costs = await in_turn(cases, len(owners), bench.postgres_cpu_s, rounds, POSTS)
        return costs, str(await connection.fetchval("show server_version"))


async def _author_with(graph: Graph, followers: int) -> tuple[int, list[int]]:
    from calotype.product.accounts.types import Person
    from calotype.product.follows.types import FOLLOWS

    shards = graph.shards.placement.shards("people")
    rows = [(shards[n % len(shards)], Person(f"f{n}")) for n in range(followers + 1)]
    author, *owners = [node.id for node in await graph.obj_add_many(Person, rows)]
    await graph.assoc_add_many(FOLLOWS, [(one, Edge(author, 0, 0)) for one in owners])
    return author, owners


def _by_pool(shards: Shards, owners: Sequence[int]) -> dict[Pool, list[int]]:
    by_pool: dict[Pool, list[int]] = {}
    for owner in owners:
        by_pool.setdefault(shards.pool("people", shard_of(owner)), []).append(owner)
    return by_pool


def _push(timelines: PostgresTimelines, author: int, owners: Sequence[int]) -> Case:
    from calotype.product.feed.types import HOME

    async def push() -> None:
        number = next(_numbers)
        for start in range(0, len(owners), BATCH):
            await timelines.push(
                HOME, owners[start : start + BATCH], [Entry(number, number, author)], keep=KEPT
            )

    return push


def _fan_out(graph: Graph, timelines: PostgresTimelines, author: int) -> Case:
    from calotype.product.feed import actions
    from calotype.product.photos.types import Post

    never = Call("never", msgspec.Raw(b"{}"))

    async def fan_out() -> None:
        post = await graph.obj_add(Post(author=author, photos=[]), shard=shard_of(author))
        entry = Entry(next(_numbers), post.id, author)
        done = await actions.fan_out(
            graph, timelines, entry, START, pulled_from=1 << 30, when_pulled=never, kept=KEPT
        )
        assert done is None

    return fan_out


def _bare(prepared: Sequence[tuple[Prepared, Sequence[int]]], author: int) -> Case:
    from calotype.product.feed.types import HOME

    async def one(statement: Prepared, some: Sequence[int], number: int) -> None:
        for start in range(0, len(some), BATCH // 2):
            part = sorted(some[start : start + BATCH // 2])
            await statement.fetch(list(map(shard_of, part)), part, HOME, number, number, author)

    async def bare() -> None:
        number = next(_numbers)
        await asyncio.gather(*(one(statement, some, number) for statement, some in prepared))

    return bare


def _rows(costs: dict[str, list[Cost]]) -> list[Row]:
    rows = []
    for name in (PUSH, FAN_OUT):
        for what, unit, figure, target in (
            ("client and PostgreSQL CPU", "us/entry", lambda cost: cost.both_us, TARGET),
            ("client CPU", "us/entry", lambda cost: cost.client_us, None),
            ("PostgreSQL CPU", "us/entry", lambda cost: cost.server_us, None),
            ("entries", "/s and core", lambda cost: 1e6 / cost.both_us, None),
            ("wall", "us/entry", lambda cost: cost.wall_us, None),
        ):
            title = f"{name} to {FOLLOWERS:,} followers, {what}"
            rows.append(
                row(title, typical(costs[name], figure), unit, BARE, typical(costs[BARE], figure), target)
            )
    return rows
