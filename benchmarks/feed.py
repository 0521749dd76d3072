"""`calotype bench feed`: the home feed as JSON, by us and by three ordinary Django sites, over the same data.

Measured: CPU of the server's processes (user and system, from /proc) for each page, that of all PostgreSQL processes
beside it, statements and bytes for each page. One worker each, one client that keeps its connection, viewers by chance
from a fixed seed. The stacks take turns, round after round; figures are medians over the rounds.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

import asyncpg

from benchmarks import population, requirements, site, stacks
from benchmarks.client import Unexpected
from benchmarks.processes import cpu_s
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.site import BenchSite
from benchmarks.stacks import Stack
from calotype.cli.bars import Bar

VIEWERS, QUICK_VIEWERS = 50, 10
ROUNDS = 5
PAGES = 300
SEED = 7

TARGETS = {"drf": 0.1, "tuned+memcached": 0.25}
"""Of our app CPU, warm."""

# Without what looks at the servers themselves: we, and the consumers of the commit logs. Of the baselines' database, or of all
# others: what our processes do by the clock is no statement of theirs.
CALLS = r"""
select coalesce(sum(calls), 0) from pg_stat_statements join pg_database on pg_database.oid = dbid
where query not like '%pg\_%' and (datname = $1) = $2
"""

PACKAGES = (
    "django",
    "granian",
    "uvloop",
    "asyncpg",
    "msgspec",
    "djangorestframework",
    "gunicorn",
    "psycopg",
    "orjson",
    "uwsgi",
    "pylibmc",
)


@dataclass(frozen=True)
class Turn:
    """One stack's turn, for each page."""

    app_ms: float
    postgres_ms: float
    helper_ms: float
    wall_ms: float
    size_bytes: float


def run(options: Options) -> Report:
    """Make the data if need be, start the four servers, check that they agree, measure."""
    requirements.ensure()
    rounds, pages = (2, 20) if options.quick else (ROUNDS, PAGES)
    with population.populated(options) as bench:
        population.set_django_up()
        viewers = asyncio.run(viewers_of(bench, quick=options.quick))
        with stacks.started(bench, viewers) as running:
            comments = check_same(running, viewers)
            turns = _measure(bench, running, viewers, rounds, pages)
            statements = asyncio.run(_statements(bench, running, viewers))
        version = asyncio.run(postgres_version(bench))
    rows = _rows(running, turns, statements, comments)
    memcached = subprocess.run(
        ["memcached", "-V"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    return report("feed", PACKAGES, rows, {"postgresql": version, "memcached": memcached})


async def viewers_of(bench: BenchSite, *, quick: bool) -> list[int]:
    """People by chance who follow somebody, always the same ones of the same data."""
    connection = await asyncpg.connect(bench.ordinary_dsn)
    try:
        rows = await connection.fetch("select distinct follower_id from photos_follow order by 1")
    finally:
        await connection.close()
    people = [row[0] for row in rows]
    return random.Random(SEED).sample(people, min(QUICK_VIEWERS if quick else VIEWERS, len(people)))


def check_same(running: Sequence[Stack], viewers: Sequence[int]) -> dict[str, float]:
    """Raises `Unexpected` unless all stacks answer every viewer the same; comments sent for each page, by stack.

    Compared: posts and their order, authors, texts, pictures, counts, liked or not, and the comments where both send
    them. Doing so also warms caches and connections.
    """
    comments = dict.fromkeys((stack.name for stack in running), 0)
    for viewer in viewers:
        pages = {stack.name: json.loads(stack.page(viewer)) for stack in running}
        ours = pages[stacks.OURS]
        for name, page in pages.items():
            comments[name] += sum(len(status.get("comments", ())) for status in page)
            if [_compared(status, ours) for status in page] != [_compared(status, page) for status in ours]:
                raise Unexpected(
                    f"{name} answers {viewer} another page than {stacks.OURS}: {_difference(page, ours)}"
                )
    return {name: amount / len(viewers) for name, amount in comments.items()}


def _compared(status: dict[str, Any], other: Sequence[dict[str, Any]]) -> object:
    media = [
        (each["id"], each["blurhash"], each["meta"], each["description"])
        for each in status["media_attachments"]
    ]
    both = "comments" in status and all("comments" in each for each in other)
    said = [(each["id"], each["username"], each["content"]) for each in status["comments"]] if both else None
    account = {key: status["account"][key] for key in ("id", "username", "display_name", "note")}
    counts = (status["favourites_count"], status["replies_count"], status["favourited"])
    return (
        status["id"],
        datetime.fromisoformat(status["created_at"]),
        account,
        status["content"],
        media,
        counts,
        said,
    )


def _difference(page: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]]) -> str:
    """Where two pages part, as far as they can be compared."""
    for at, (one, other) in enumerate(zip(page, ours, strict=False)):
        if (left := _compared(one, ours)) != (right := _compared(other, page)):
            return f"photo {at} is {left} there and {right} here"
    return f"{len(page)} photos there, {len(ours)} here"


def _measure(
    bench: BenchSite, running: Sequence[Stack], viewers: Sequence[int], rounds: int, pages: int
) -> dict[str, list[Turn]]:
    chance = random.Random(SEED)
    turns: dict[str, list[Turn]] = {stack.name: [] for stack in running}
    with Bar("pages") as bar:
        for number in range(rounds):
            asked = [chance.choice(viewers) for _ in range(pages)]
            for at, stack in enumerate(running):
                for viewer in asked[: pages // 10]:  # each turn starts with warm processor caches
                    stack.page(viewer)
                turns[stack.name].append(_turn(bench, stack, asked))
                bar.update((number * len(running) + at + 1) * pages, rounds * len(running) * pages)
    return turns


def _turn(bench: BenchSite, stack: Stack, asked: Sequence[int]) -> Turn:
    def helpers() -> float:
        return sum(cpu_s(pid) for pid in stack.helpers)

    before = (stack.cpu_s(), bench.postgres_cpu_s(), helpers(), time.perf_counter())
    size = sum(len(stack.page(viewer)) for viewer in asked)
    after = (stack.cpu_s(), bench.postgres_cpu_s(), helpers(), time.perf_counter())
    app, postgres, helper, wall = (
        (end - start) * 1000 / len(asked) for start, end in zip(before, after, strict=True)
    )
    return Turn(app, postgres, helper, wall, size / len(asked))


async def _statements(bench: BenchSite, running: Sequence[Stack], viewers: Sequence[int]) -> dict[str, float]:
    """Statements for each page, counted by pg_stat_statements on all clusters: in a pass that is not measured."""
    connections = [await asyncpg.connect(cluster.dsn()) for cluster in bench.clusters]
    counted = {}
    try:
        for connection in connections:
            await connection.execute("create extension if not exists pg_stat_statements")
        for stack in running:
            for connection in connections:
                await connection.execute("select pg_stat_statements_reset()")
            for viewer in viewers:
                stack.page(viewer)
            theirs = stack.name != stacks.OURS
            calls = [await connection.fetchval(CALLS, site.ORDINARY, theirs) for connection in connections]
            counted[stack.name] = float(sum(calls)) / len(viewers)
    finally:
        for connection in connections:
            await connection.close()
    return counted


async def postgres_version(bench: BenchSite) -> str:
    connection = await asyncpg.connect(bench.ordinary_dsn)
    try:
        return str(await connection.fetchval("show server_version"))
    finally:
        await connection.close()


def _rows(
    running: Sequence[Stack],
    turns: dict[str, list[Turn]],
    statements: dict[str, float],
    comments: dict[str, float],
) -> list[Row]:
    def typical(name: str, figure: Callable[[Turn], float]) -> float:
        return median(figure(turn) for turn in turns[name])

    figures: list[tuple[str, str, Callable[[str], float]]] = [
        ("home feed, app CPU", "ms/page", lambda name: typical(name, lambda turn: turn.app_ms)),
        ("home feed, PostgreSQL CPU", "ms/page", lambda name: typical(name, lambda turn: turn.postgres_ms)),
        ("home feed, memcached CPU", "ms/page", lambda name: typical(name, lambda turn: turn.helper_ms)),
        ("home feed, wall time", "ms/page", lambda name: typical(name, lambda turn: turn.wall_ms)),
        ("home feed, database queries", "queries/page", lambda name: statements[name]),
        ("home feed, size", "bytes/page", lambda name: typical(name, lambda turn: turn.size_bytes)),
        ("home feed, comments sent", "comments/page", lambda name: comments[name]),
    ]
    others = [stack.name for stack in running if stack.name != stacks.OURS]
    rows = []
    for title, unit, figure in figures:
        for name in others:
            if not figure(name) and not figure(stacks.OURS):
                continue
            target = TARGETS.get(name) if title.endswith("app CPU") else None
            rows.append(row(title, figure(stacks.OURS), unit, name, figure(name), target))
    return rows
