"""A post reaches every follower's timeline exactly once, whatever dies or stays away on its way there."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
import pytest

from calotype.cli.process import alive
from calotype.config.site import Site, read
from calotype.infra.ids import shard_of
from calotype.infra.shards import Shards
from calotype.infra.tao import START, Edge, Graph
from calotype.infra.timelines import EVERYTHING, PostgresTimelines
from calotype.product.accounts.types import AccountId, Person
from calotype.product.feed.queries import home
from calotype.product.feed.types import HOME
from calotype.product.follows.actions import block, unfollow
from calotype.product.follows.types import FOLLOWS
from calotype.product.photos.types import POSTED, PUBLISHED, Photo, Post, PostPublished
from tests.running_site import RunningSite, kill, running_site
from tests.site import root

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

PICTURE = Photo(id=1, width=40, height=30, blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj", widths=[320])
PATIENCE_S = 90


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site(root() / "fan-out", "--no-demo") as running:
        yield running


@dataclass
class Author:
    """Somebody with followers, all of whom have timelines. What is asked for is what the servers hold."""

    site: Site
    graph: Graph
    timelines: PostgresTimelines
    id: int
    followers: list[int]

    async def post(self) -> int:
        shard = shard_of(self.id)
        async with self.graph.transaction("media", shard) as write:
            made = await write.obj_add(Post(author=self.id, photos=[PICTURE], borrowed=True), shard, None)
            await write.edge(POSTED, self.id, made.id, time=None, data=None, present=True)
            edge = await write.edge_get(POSTED, self.id, made.id)
            assert edge is not None
            await write.post("media", shard, PUBLISHED, PostPublished(made.id, self.id, edge.time), 0)
        return made.id

    async def reached(self) -> Counter[int]:
        """Post -> in how many timelines it is."""
        found: Counter[int] = Counter()
        for pool in self.graph.shards.pools.values():
            rows = await pool.fetch(
                "select id, count(*), count(distinct owner) from timelines where source = $1 group by id",
                self.id,
            )
            for id_, entries, owners in rows:
                assert entries == owners, "somebody has it twice"
                found[id_] += owners
        return found

    async def reaches_everybody(self, posts: list[int], seconds: float = PATIENCE_S) -> None:
        wanted = Counter(dict.fromkeys(posts, len(self.followers)))
        await eventually(lambda: self._is(wanted), seconds)

    async def _is(self, wanted: Counter[int]) -> bool:
        return await self.reached() == wanted


async def eventually(true: Callable[[], Awaitable[bool]], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < until, "it did not become true in time"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def author_with(running: RunningSite, amount: int) -> AsyncIterator[Author]:
    site = read(running.data)
    async with Shards(site.databases["default"], site.servers) as shards:
        graph, timelines = Graph(shards), PostgresTimelines(shards)
        rows = [(n % site.logical_shards, Person(f"f{n}")) for n in range(amount)]
        author, *followers = [
            node.id for node in await graph.obj_add_many(Person, [(3, Person("author")), *rows])
        ]
        await graph.assoc_add_many(FOLLOWS, [(one, Edge(author, 0, 0)) for one in followers])
        for pool in shards.pools.values():  # as `begin` and `finish` do for each of them
            some = [one for one in followers if shards.pool("people", shard_of(one)) is pool]
            await pool.write(
                "insert into timeline_heads select s, o, $3, 1, 0, true, $4, $5, now_ms() from unnest($1::int[], $2::bigint[]) k (s, o)",
                [shard_of(one) for one in some], some, HOME, *EVERYTHING,
            )  # fmt: skip
        yield Author(site, graph, timelines, author, followers)


@pytest.mark.clock
async def test_a_post_is_visible_to_a_thousand_followers_within_two_seconds(site: RunningSite) -> None:
    async with author_with(site, 1_000) as author:
        posts = [await author.post()]
        await author.reaches_everybody(posts)  # a worker may still be starting
        for _ in range(10):
            posts += [await author.post()]
            began = time.monotonic()
            await author.reaches_everybody(posts, 5)
            assert time.monotonic() - began < 2


async def test_killed_workers_leave_nobody_out_and_nobody_has_it_twice(site: RunningSite) -> None:
    async with author_with(site, 9_000) as author:
        posts = [await author.post() for _ in range(6)]  # 54,000 entries
        for killed in range(4):
            await eventually(partial(_more_have_it, author, killed * 3_000), PATIENCE_S)
            await eventually(lambda: _runs(site, "worker-bulk"), PATIENCE_S)
            kill(site.pid("worker-bulk"))
            await asyncio.sleep(0.5)
            come_again(author.site)
        await author.reaches_everybody(posts)
        page = await author.timelines.page(HOME, author.followers[0], START, 10)
        assert page is not None
        assert [entry.id for entry in page.entries] == posts[::-1]


async def _runs(site: RunningSite, child: str) -> bool:
    process = site.children()[child].process
    return process is not None and alive(process)


async def _more_have_it(author: Author, than: int) -> bool:
    return (await author.reached()).total() > than


def come_again(site: Site) -> None:
    """As if the time had passed for which a message of a dead worker is nobody else's."""
    with psycopg.connect(site.databases["default"]) as connection:
        connection.execute("update pgmq.q_bulk set vt = now()")


async def test_what_is_posted_while_the_broker_is_away_reaches_everybody_once_it_is_back(
    site: RunningSite,
) -> None:
    async with author_with(site, 20) as author:
        with psycopg.connect(author.site.databases["default"], autocommit=True) as connection:
            connection.execute("alter schema pgmq rename to pgmq_away")
            try:
                posts = [await author.post() for _ in range(500)]
                await asyncio.sleep(2)
                assert await author.reached() == {}
            finally:
                connection.execute("alter schema pgmq_away rename to pgmq")
        await author.reaches_everybody(posts)


async def test_whoever_stops_following_in_the_middle_is_not_shown_it(site: RunningSite) -> None:
    async with author_with(site, 3_000) as author:
        leaving = author.followers[::500]
        post = await author.post()
        await asyncio.gather(*(author.graph.assoc_del(FOLLOWS, one, author.id) for one in leaving))
        staying = next(one for one in author.followers if one not in leaving)
        await eventually(lambda: _shown(author, staying, post), 20)
        for one in leaving:
            page = await home(author.graph, author.timelines, one, 20)
            assert page.items == []


async def test_whoever_is_removed_or_blocked_in_the_middle_never_sees_it(site: RunningSite) -> None:
    """Of those whom it has reached already, and of those whom it has not. From the moment that the call has returned, and
    whatever the fan-out goes on to push."""
    async with author_with(site, 9_000) as author:
        leaving = author.followers[::500]
        removed, blocked, blocking = leaving[::3], leaving[1::3], leaving[2::3]
        post = await author.post()
        await eventually(partial(_more_have_it, author, 0), PATIENCE_S)
        await asyncio.gather(
            *(unfollow(author.graph, AccountId(one), AccountId(author.id)) for one in removed),
            *(block(author.graph, AccountId(author.id), AccountId(one)) for one in blocked),
            *(block(author.graph, AccountId(one), AccountId(author.id)) for one in blocking),
        )
        staying = [one for one in author.followers if one not in leaving]
        while not await _shown(author, staying[0], post) or not await _shown(author, staying[-1], post):
            await _sees_nothing(author, leaving)
        await _sees_nothing(author, leaving)
        await eventually(lambda: _nobody_follows(author, leaving), PATIENCE_S)
        await _sees_nothing(author, leaving)


async def _sees_nothing(author: Author, people: list[int]) -> None:
    for one in people:
        page = await home(author.graph, author.timelines, one, 20)
        assert page.items == []


async def _nobody_follows(author: Author, people: list[int]) -> bool:
    return not await author.graph.assoc_get_many(FOLLOWS, [(one, author.id) for one in people])


async def _shown(author: Author, viewer: int, post: int) -> bool:
    page = await author.timelines.page(HOME, viewer, START, 10)
    return page is not None and [entry.id for entry in page.entries] == [post]
