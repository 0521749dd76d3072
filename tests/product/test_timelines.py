"""The home feed from timelines: always what the merge of everybody's posts says, and one read when it is there."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import AsyncIterator

import msgspec
import pytest

from calotype.config.wiring import outbox_handlers
from calotype.infra.ids import shard_of
from calotype.infra.jobs import Call
from calotype.infra.jobs.types import job_named
from calotype.infra.tao import START, Cursor, Graph, Sweep
from calotype.infra.tao.relay import relay
from calotype.infra.timelines import Entry, PostgresTimelines
from calotype.infra.timelines.types import Page, Place
from calotype.product.accounts.types import AccountId
from calotype.product.feed import actions
from calotype.product.feed.queries import home
from calotype.product.feed.tasks import Followers, have_pulled
from calotype.product.feed.types import HOME, PULLS
from calotype.product.follows.actions import follow, unfollow
from calotype.product.follows.types import FOLLOWS
from calotype.product.photos.changes import delete
from calotype.product.photos.types import POSTED, PUBLISHED, Photo, Post, PostId, PostPublished
from calotype.std.errors import Unavailable
from calotype.web.site import Site
from tests.outbox import all_done
from tests.web_fixtures import NewPerson, Someone

PICTURE = Photo(id=1, width=40, height=30, blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj", widths=[320])


class AtOnce:
    """Runs jobs where they would be sent."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def call(self, payload: bytes) -> None:
        await self.send(msgspec.json.decode(payload, type=Call))

    async def send(self, *calls: Call) -> None:
        for call in calls:
            job = job_named(call.job)
            await job.run(self._site, job.check(call.arguments))


@pytest.fixture
def work(web_site: Site) -> Sweep:
    """A relay and a worker in one."""
    return Sweep(web_site.graph.shards, outbox_handlers(web_site, AtOnce(web_site)))


@pytest.fixture
async def built(ann: Someone, web_site: Site) -> AsyncIterator[Someone]:
    """Somebody with a timeline."""
    await actions.build(web_site.graph, web_site.timelines, ann.id, kept=800)
    yield ann


async def post(site: Site, author: int, at: int = 0) -> PostId:
    """A post without files, published as an upload does it."""
    shard = shard_of(author)
    async with site.graph.transaction("media", shard) as write:
        made = await write.obj_add(Post(author=author, photos=[PICTURE], at=at, borrowed=True), shard, None)
        await write.edge(POSTED, author, made.id, time=at or None, data=None, present=True)
        edge = await write.edge_get(POSTED, author, made.id)
        assert edge is not None
        await write.post("media", shard, PUBLISHED, PostPublished(made.id, author, edge.time), 0)
    return PostId(made.id)


async def shown(site: Site, viewer: int, limit: int = 20, before: Cursor = START) -> list[int]:
    page = await home(site.graph, site.timelines, viewer, limit, before)
    return [item.post.id for item in page.items]


async def kept(site: Site, owner: int) -> list[int] | None:
    """What lies in the timeline itself."""
    page = await site.timelines.page(HOME, owner, START, 1_000)
    return None if page is None else [entry.id for entry in page.entries]


async def test_a_post_comes_into_the_timelines_of_its_authors_followers(
    built: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    await follow(web_site.graph, built.id, bob.id)
    await all_done(work)
    posts = [await post(web_site, bob.id) for _ in range(3)]
    assert await kept(web_site, built.id) == []
    await all_done(work)
    assert await kept(web_site, built.id) == posts[::-1]
    assert await shown(web_site, built.id) == posts[::-1]


async def test_to_follow_somebody_brings_their_earlier_posts(
    built: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    posts = [await post(web_site, bob.id) for _ in range(3)]
    await all_done(work)
    await follow(web_site.graph, built.id, bob.id)
    await all_done(work)
    assert await kept(web_site, built.id) == posts[::-1]


async def test_the_first_visit_has_a_timeline_made(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    await follow(web_site.graph, ann.id, bob.id)
    posts = [await post(web_site, bob.id) for _ in range(2)]
    assert await shown(web_site, ann.id) == posts[::-1]
    assert await kept(web_site, ann.id) is None
    await all_done(work)
    assert await kept(web_site, ann.id) == posts[::-1]
    assert await shown(web_site, ann.id) == posts[::-1]


async def test_ones_own_posts_are_there_before_any_job_has_run(built: Someone, web_site: Site) -> None:
    mine = await post(web_site, built.id)
    assert await shown(web_site, built.id) == [mine]


async def test_nobody_is_shown_posts_of_whom_they_do_not_follow_any_longer(
    built: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    await follow(web_site.graph, built.id, bob.id)
    await all_done(work)
    theirs = await post(web_site, bob.id)
    await all_done(work)
    await unfollow(web_site.graph, built.id, bob.id)
    assert await kept(web_site, built.id) == [theirs]
    assert await shown(web_site, built.id) == []


async def test_a_page_is_filled_past_posts_that_are_gone(
    built: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    await follow(web_site.graph, built.id, bob.id)
    await all_done(work)
    posts = [await post(web_site, bob.id) for _ in range(9)]
    await all_done(work)
    for post_id in posts[3:]:
        await delete(web_site.graph, bob.id, post_id)
    assert await kept(web_site, built.id) == posts[::-1]
    assert await shown(web_site, built.id, limit=3) == posts[2::-1]


async def test_whom_too_many_follow_is_pulled_and_not_pushed(
    built: Someone, bob: Someone, new_person: NewPerson, web_site: Site, work: Sweep
) -> None:
    graph = web_site.graph
    await follow(graph, built.id, bob.id)
    await all_done(work)
    first = await post(web_site, bob.id)
    (edge,) = await graph.assoc_range(POSTED, bob.id, 0, 1)
    entry, then = Entry(edge.time, first, bob.id), have_pulled(Followers(bob.id))
    for _ in range(2):  # the second time it is known
        again = await actions.fan_out(
            graph, web_site.timelines, entry, START, pulled_from=0, when_pulled=then, kept=800
        )
        assert again is None
    assert await actions.is_pulled(graph, bob.id)
    await all_done(work)
    second = await post(web_site, bob.id)
    late = await new_person()
    await follow(graph, late.id, bob.id)
    await all_done(work)
    assert await kept(web_site, built.id) == []
    for viewer in (built, late):
        assert [edge.id2 for edge in await graph.assoc_range(PULLS, viewer.id, 0, 5)] == [bob.id]
        assert await shown(web_site, viewer.id) == [second, first]
    await unfollow(graph, late.id, bob.id)
    await all_done(work)
    assert await graph.assoc_range(PULLS, late.id, 0, 5) == []


async def test_further_back_than_a_timeline_reaches_the_graph_is_read(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    await follow(web_site.graph, ann.id, bob.id)
    posts = [await post(web_site, bob.id, at=1_000_000 + n) for n in range(12)]
    await actions.build(web_site.graph, web_site.timelines, ann.id, kept=5)
    assert await kept(web_site, ann.id) == posts[:6:-1]
    seen: list[int] = []
    before = START
    while True:
        page = await home(web_site.graph, web_site.timelines, ann.id, 3, before)
        seen += [item.post.id for item in page.items]
        if page.older is None:
            break
        before = page.older
    assert seen == posts[::-1]


async def test_somebody_in_the_middle_of_following_is_not_forgotten(
    ann: Someone, new_person: NewPerson, web_site: Site
) -> None:
    """The forward edge is there, its inverse not yet: a push would miss them, so the job is to come again."""
    bob = await new_person()
    while shard_of(bob.id) == shard_of(ann.id):  # there both would be written at once
        bob = await new_person()
    write = web_site.graph.writes("people", shard_of(ann.id))
    await write.edge(
        FOLLOWS, ann.id, bob.id, time=None, data=None, present=True
    )  # its messages are left lying
    again = (web_site.graph, web_site.timelines, ann.id, bob.id)
    with pytest.raises(actions.InverseMissing):
        await actions.begun_to_follow(*again, kept=800)
    await relay(web_site.graph.shards, write.messages)
    await actions.begun_to_follow(*again, kept=800)
    assert await kept(web_site, ann.id) == []


class Away(PostgresTimelines):
    """An engine that does not answer."""

    async def page(self, kind: int, owner: int, before: Place, limit: int) -> Page | None:
        raise Unavailable("no timelines just now")


async def test_without_its_engine_the_feed_is_merged_when_it_is_read(
    built: Someone, bob: Someone, web_site: Site
) -> None:
    await follow(web_site.graph, built.id, bob.id)
    posts = [await post(web_site, bob.id) for _ in range(3)]
    away = dataclasses.replace(web_site, timelines=Away(web_site.graph.shards))
    assert await shown(away, built.id) == posts[::-1]


@pytest.mark.parametrize("seed", range(4))
async def test_a_timeline_says_what_the_merge_says(
    ann: Someone, new_person: NewPerson, web_site: Site, work: Sweep, seed: int
) -> None:
    """Whatever has been done in whichever order, once the jobs are done; and never a post of a stranger before."""
    dice = random.Random(seed)
    graph = web_site.graph
    people = [await new_person() for _ in range(4)]
    posts: list[tuple[AccountId, PostId]] = []
    for _ in range(40):
        person = dice.choice(people)
        match dice.choice(("follow", "unfollow", "post", "post", "post", "delete", "work", "visit")):
            case "follow":
                await follow(graph, ann.id, person.id)
            case "unfollow":
                await unfollow(graph, ann.id, person.id)
            case "post":
                author = dice.choice((person.id, ann.id))
                posts.append((author, await post(web_site, author)))
            case "delete" if posts:
                await delete(graph, *posts.pop(dice.randrange(len(posts))))
            case "work":
                await work.once()
            case "visit":
                assert set(await authors_shown(web_site, ann.id)) <= {ann.id, *await followed(graph, ann.id)}
    await shown(web_site, ann.id)
    await all_done(work)
    assert await kept(web_site, ann.id) is not None
    for limit in (3, 50):
        assert await walk(web_site, ann.id, limit) == await merged(graph, ann.id)


async def followed(graph: Graph, viewer: int) -> list[int]:
    return [edge.id2 for edge in await Graph(graph.shards).assoc_range(FOLLOWS, viewer, 0, 100)]


async def authors_shown(site: Site, viewer: int) -> list[int]:
    page = await home(site.graph, site.timelines, viewer, 50)
    return [item.author.id for item in page.items]


async def walk(site: Site, viewer: int, limit: int) -> list[int]:
    """All pages, one after the other."""
    seen: list[int] = []
    before = START
    while True:
        page = await home(site.graph, site.timelines, viewer, limit, before)
        seen += [item.post.id for item in page.items]
        if page.older is None:
            return seen
        before = page.older


async def merged(graph: Graph, viewer: int) -> list[int]:
    authors = [viewer, *await followed(graph, viewer)]
    return [edge.id2 for _, edge in await graph.assoc_merge(POSTED, authors, 200)]
