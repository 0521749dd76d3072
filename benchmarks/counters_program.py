"""A process full of people for `calotype bench counters`: `python -m benchmarks.counters_program SETUP`.

Reads a `Round` a line and answers each with a `Counted`, until its input ends.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Literal

import asyncpg
import msgspec
import uvloop

from calotype.infra.shards import Shards
from calotype.infra.shards.tickets import carrying
from calotype.infra.tao import Graph
from calotype.product.likes.types import LIKES
from calotype.std.deadline import deadline

REQUEST_S = 10.0
"""The time that a like has, as on a site."""

BARE_LIKE = """
with liked as (insert into bench_likes values ($1, $2, $3)) update bench_counters set count = count + 1 where photo = $1
"""

Kind = Literal["one photo", "spread", "row update"]

type Like = Callable[[int], Awaitable[object]]
"""By the task with this number."""


class Setup(msgspec.Struct, frozen=True):
    control_dsn: str
    servers: dict[str, str]
    bare_dsn: str
    photos: list[int]
    """The crowd is on the first, the bare one too; the spread likes are on the others."""
    likers: list[int]
    """Shards of the people."""
    first_liker: int
    """They are numbered from here: nobody likes twice, in no process."""
    tasks: int
    """At most."""


class Round(msgspec.Struct, frozen=True):
    kind: Kind
    tasks: int
    seconds: float


class Counted(msgspec.Struct, frozen=True):
    seconds: float
    cpu_s: float
    latencies_ms: list[float]
    statements: dict[str, int]
    """Of the graph's pools, by server: each is a transaction."""


async def serve(setup: Setup) -> None:
    async with AsyncExitStack() as stack:
        graph = Graph(await stack.enter_async_context(Shards(setup.control_dsn, setup.servers)))
        likes = _likes(setup, graph, await _prepared(setup, stack))
        lines = sys.stdin
        while line := await asyncio.to_thread(lines.readline):
            counted = await _round(graph, msgspec.json.decode(line, type=Round), likes)
            print(msgspec.json.encode(counted).decode(), flush=True)


async def _prepared(setup: Setup, stack: AsyncExitStack) -> list[asyncpg.prepared_stmt.PreparedStatement]:
    prepared = []
    for _ in range(setup.tasks):
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(setup.bare_dsn)
        stack.push_async_callback(connection.close)
        prepared.append(await connection.prepare(BARE_LIKE))
    return prepared


def _likes(
    setup: Setup, graph: Graph, prepared: Sequence[asyncpg.prepared_stmt.PreparedStatement]
) -> dict[Kind, Like]:
    first, *others = setup.photos
    likers, photos = _likers(setup), itertools.cycle(others)

    async def like(photo: int) -> None:
        with carrying({}), deadline(REQUEST_S):
            written = await graph.assoc_add(LIKES, next(likers), photo)
        assert written.changed

    return {
        "one photo": lambda _: like(first),
        "spread": lambda _: like(next(photos)),
        "row update": lambda task: prepared[task].fetch(first, next(likers), time.time_ns() // 1_000_000),
    }


def _likers(setup: Setup) -> Iterator[int]:
    for number in itertools.count():
        shard = setup.likers[number % len(setup.likers)]
        yield (setup.first_liker + number) << 23 | shard << 10


async def _round(graph: Graph, asked: Round, likes: dict[Kind, Like]) -> Counted:
    like = likes[asked.kind]
    latencies_ms: list[float] = []
    before = {name: pool.metrics.returned for name, pool in graph.shards.pools.items()}
    began, cpu_s = time.perf_counter(), time.process_time()
    until = began + asked.seconds

    async def person(number: int) -> None:
        while (at := time.perf_counter()) < until:
            await like(number)
            latencies_ms.append((time.perf_counter() - at) * 1000)

    async with asyncio.TaskGroup() as group:
        for number in range(asked.tasks):
            group.create_task(person(number))
    return Counted(
        time.perf_counter() - began,
        time.process_time() - cpu_s,
        latencies_ms,
        {name: pool.metrics.returned - before[name] for name, pool in graph.shards.pools.items()},
    )


if __name__ == "__main__":
    uvloop.run(serve(msgspec.json.decode(sys.argv[1], type=Setup)))
