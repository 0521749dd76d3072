"""The home feed's page of people who follow 50, 500 and 5,000, with timelines in each engine: its cost must not grow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import median

import asyncpg

from benchmarks import processes, stacks
from benchmarks.report import Row, row
from benchmarks.site import BenchSite
from benchmarks.stacks import Stack
from calotype.config.site import Cassandra
from calotype.infra.engines.cassandra import USER, Ring
from calotype.infra.shards import Shards
from calotype.infra.tao import Edge, Graph

FOLLOWEES = (50, 500, 5_000)
ROUNDS = 5
PAGES = 100

GROWTH = 1.3
"""How much dearer a page may be for somebody who follows a hundred times as many: noise, no more."""


def rows(bench: BenchSite, ring: Ring, node: int, *, quick: bool) -> list[Row]:
    rounds, pages = (2, 10) if quick else (ROUNDS, PAGES)
    amounts = tuple(amount // 10 for amount in FOLLOWEES) if quick else FOLLOWEES
    viewers = asyncio.run(_viewers(bench, amounts))
    cassandra = Cassandra(tuple(ring.addresses), ring.port, USER, ring.password, replicas=1)
    engines = {"PostgreSQL": None, "Cassandra": cassandra}
    drf = _drf(bench, viewers, rounds, pages)
    found: list[Row] = []
    for engine, keeps in engines.items():
        costs = _ours(bench, keeps, node, viewers, rounds, pages)
        for at, amount in enumerate(amounts):
            title = f"home feed of somebody who follows {amount:,}, timelines in {engine}"
            found.append(row(f"{title}, app CPU", costs[at][0], "ms/page", "drf", drf[at]))
            found.append(row(f"{title}, {engine} CPU", costs[at][1], "ms/page"))
        title = f"the same page of one who follows {amounts[-1]:,}, timelines in {engine}, app CPU"
        found.append(row(title, costs[-1][0], "ms/page", f"who follows {amounts[0]:,}", costs[0][0], GROWTH))
    return found


async def _viewers(bench: BenchSite, amounts: Sequence[int]) -> list[int]:
    """One person for each amount, in the graph and in the baselines' tables: the first people follow each other's first."""
    from calotype.product.accounts.types import Person
    from calotype.product.follows.types import FOLLOWS

    ordinary = await asyncpg.connect(bench.ordinary_dsn)
    made: list[int] = []
    try:
        people = [
            row[0] for row in await ordinary.fetch("select distinct author_id from photos_photo order by 1")
        ]
        async with Shards(bench.site.databases["default"], bench.site.servers) as shards:
            graph = Graph(shards)
            for amount in amounts:
                name = f"follows{amount}"
                known = await ordinary.fetchval("select id from photos_person where username = $1", name)
                if known is None:
                    node = await graph.obj_add(Person(name), shard=shards.placement.shards("people")[0])
                    followees = people[:amount]
                    await graph.assoc_add_many(FOLLOWS, [(node.id, Edge(each, 0, 0)) for each in followees])
                    await _copy(ordinary, node.id, name, followees)
                    known = node.id
                made.append(known)
    finally:
        await ordinary.close()
    return made


async def _copy(
    ordinary: asyncpg.Connection[asyncpg.Record], person: int, name: str, followees: Sequence[int]
) -> None:
    """In one transaction: a person who is there has all whom they follow."""
    async with ordinary.transaction():
        await ordinary.execute(
            "insert into photos_person (id, username, name, bio, joined, password) values ($1, $2, '', '', now(), '')",
            person,
            name,
        )
        await ordinary.copy_records_to_table(
            "photos_follow",
            records=[(person, each) for each in followees],
            columns=["follower_id", "followee_id"],
        )


def _ours(
    bench: BenchSite, keeps: Cassandra | None, node: int, viewers: Sequence[int], rounds: int, pages: int
) -> list[tuple[float, float]]:
    """CPU of the app and of the engine of timelines for each page, in ms, by viewer."""
    with stacks.ours(bench, viewers, keeps) as stack:
        server_s = bench.postgres_cpu_s if keeps is None else lambda: processes.cpu_s(node)
        for viewer in viewers:
            for _ in range(5):
                stack.page(viewer)
        costs: list[list[tuple[float, float]]] = [[] for _ in viewers]
        for _ in range(rounds):
            for at, viewer in enumerate(viewers):
                before = stack.cpu_s(), server_s()
                for _ in range(pages):
                    stack.page(viewer)
                after = stack.cpu_s(), server_s()
                costs[at].append(((after[0] - before[0]) * 1e3 / pages, (after[1] - before[1]) * 1e3 / pages))
    return [(median(app for app, _ in each), median(engine for _, engine in each)) for each in costs]


def _drf(bench: BenchSite, viewers: Sequence[int], rounds: int, pages: int) -> list[float]:
    """CPU of its app for each page, in ms, by viewer."""
    with stacks.drf(bench, viewers) as stack:
        return [median(_turn(stack, viewer, max(1, pages // 5)) for _ in range(rounds)) for viewer in viewers]


def _turn(stack: Stack, viewer: int, pages: int) -> float:
    stack.page(viewer)
    before = stack.cpu_s()
    for _ in range(pages):
        stack.page(viewer)
    return (stack.cpu_s() - before) * 1e3 / pages
