"""Hashtags and mentions once they are written: edges, pages, the API, and what is said to whom."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack

import msgspec
import pytest

from calotype.config.wiring import outbox_handlers
from calotype.infra.ids import shard_of
from calotype.infra.tao import Graph, Sweep
from calotype.product.accounts.types import Person
from calotype.product.comments.types import HAS_COMMENT, Comment
from calotype.product.photos.types import Post
from calotype.product.tags import actions, store
from calotype.product.tags.types import TAGGED, TAGGED_WITH, Tag
from calotype.product.words import queries
from calotype.product.words.types import MENTIONED, MENTIONED_IN, MENTIONS, TOLD, Mentioned, Written
from calotype.web.site import Site
from tests.outbox import all_done
from tests.product.test_timelines import AtOnce
from tests.statements import counted
from tests.web_fixtures import NewPerson, Someone

Events = list[Mentioned]


@pytest.fixture
def events() -> Events:
    return []


@pytest.fixture
async def work(web_site: Site, events: Events) -> Sweep:
    """A relay and a worker in one, that notes who is told of a mention from now on."""

    async def note(payload: bytes) -> None:
        events.append(msgspec.json.decode(payload, type=Mentioned))

    sweep = Sweep(web_site.graph.shards, {**outbox_handlers(web_site, AtOnce(web_site)), MENTIONED: note})
    await all_done(sweep)
    events.clear()
    return sweep


async def listed(site: Site, name: str) -> list[int]:
    """What lies in the list of a tag."""
    tag = await store.find(site.graph, name)
    return [] if tag is None else [edge.id2 for edge in await site.graph.assoc_range(TAGGED, tag, 0, 100)]


async def edit(someone: Someone, post_id: int, caption: str) -> None:
    assert (await someone.browser.post(f"/p/{post_id}/edit/", {"caption": caption})).status == 303


async def say(someone: Someone, post_id: int, text: str) -> None:
    assert (await someone.browser.post(f"/p/{post_id}/comments/", {"text": text})).status == 303


async def shown(someone: Someone, path: str) -> list[int]:
    """The posts in the grid of a page."""
    page = await someone.browser.get(path)
    assert page.status == 200
    return [int(id_) for id_ in dict.fromkeys(re.findall(r'href="/p/(\d+)/"', page.text))]


async def test_a_caption_leads_to_its_tags_and_people(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep, events: Events
) -> None:
    post_id = await ann.post_one(f"#Fern with @{bob.username}, @{ann.username} and @nobody.here")
    await all_done(work)
    graph = web_site.graph
    assert post_id in await listed(web_site, "fern")
    assert {edge.id2 for edge in await graph.assoc_range(MENTIONS, post_id, 0, 9)} == {ann.id, bob.id}
    assert [edge.id2 for edge in await graph.assoc_range(MENTIONED_IN, bob.id, 0, 9)] == [post_id]
    page = (await bob.browser.get(f"/p/{post_id}/")).text
    assert '<a href="/tags/fern/" class="mention hashtag" rel="tag">#<span>Fern</span></a>' in page
    assert f'<a href="/@{bob.username}/" class="u-url mention">' in page
    assert "and @nobody.here" in page
    (event,) = events
    assert (event.person, event.by, event.post, event.comment) == (bob.id, ann.id, post_id, 0)


async def test_a_name_is_linked_before_any_job_has_run(ann: Someone, bob: Someone) -> None:
    post_id = await ann.post_one(f"@{bob.username}")
    assert f'href="/@{bob.username}/" class="u-url mention"' in (await bob.browser.get(f"/p/{post_id}/")).text


async def test_somebody_is_told_of_a_text_once_however_often_it_is_done_and_edited(
    ann: Someone, bob: Someone, new_person: NewPerson, web_site: Site, work: Sweep, events: Events
) -> None:
    cyd = await new_person()
    post_id = await ann.post_one(f"@{bob.username}")
    for _ in range(3):
        await all_done(work)
        await asyncio.gather(*(actions.index(web_site.graph, Written(post_id)) for _ in range(3)))
        await edit(ann, post_id, "")
        await all_done(work)
        assert await web_site.graph.assoc_count(MENTIONS, post_id) == 0
        await edit(ann, post_id, f"@{bob.username} @{cyd.username}")
    await all_done(work)
    assert sorted(event.person for event in events) == sorted([bob.id, cyd.id])


async def test_edits_cannot_tell_more_people_than_a_text_may_mention(
    ann: Someone,
    web_site: Site,
    work: Sweep,
    events: Events,
    monkeypatch: pytest.MonkeyPatch,
    new_person: NewPerson,
) -> None:
    monkeypatch.setattr(actions, "MENTIONS_OF_TEXT", 2)
    post_id = await ann.post_one()
    for _ in range(3):
        await edit(ann, post_id, f"@{(await new_person()).username}")
        await all_done(work)
    assert len(events) == 2
    assert await web_site.graph.assoc_count(MENTIONS, post_id) == 1


async def test_an_edit_moves_a_post_from_tag_to_tag(ann: Someone, web_site: Site, work: Sweep) -> None:
    post_id = await ann.post_one("#larch #autumn")
    await all_done(work)
    await edit(ann, post_id, "#larch #winter")
    await all_done(work)
    assert post_id in await listed(web_site, "larch")
    assert post_id in await listed(web_site, "winter")
    assert post_id not in await listed(web_site, "autumn")


async def test_a_job_that_comes_after_a_later_one_leaves_the_last_words(
    ann: Someone, web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first job has read the words when an edit and its job come and go; then it writes."""
    post_id = await ann.post_one("#early")
    match = actions._match
    calls = 0

    async def overtaken(graph: Graph, fresh: Graph, written: Written, text: actions._Text | None) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await edit(ann, post_id, "#late")
            await actions.index(web_site.graph, written)
        await match(graph, fresh, written, text)

    monkeypatch.setattr(actions, "_match", overtaken)
    await actions.index(web_site.graph, Written(post_id))
    assert post_id in await listed(web_site, "late")
    assert post_id not in await listed(web_site, "early")


async def test_a_job_that_comes_after_the_deletion_leaves_nothing(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = await ann.post_one(f"#gone @{bob.username}")
    match = actions._match

    async def overtaken(graph: Graph, fresh: Graph, written: Written, text: actions._Text | None) -> None:
        if text is not None:
            await ann.browser.post(f"/p/{post_id}/delete/")
            await all_done(work)
        await match(graph, fresh, written, text)

    monkeypatch.setattr(actions, "_match", overtaken)
    await actions.index(web_site.graph, Written(post_id))
    assert post_id not in await listed(web_site, "gone")
    for edges in (TAGGED_WITH, MENTIONS, TOLD):
        assert await web_site.graph.assoc_count(edges, post_id) == 0


async def test_a_deleted_post_or_comment_takes_its_edges_along(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    post_id = await ann.post_one("#short")
    await say(ann, post_id, f"#lived @{bob.username}")
    await all_done(work)
    (comment,) = await web_site.graph.assoc_range(HAS_COMMENT, post_id, 0, 5)
    assert await listed(web_site, "lived") == [comment.id2]
    await ann.browser.post(f"/p/{post_id}/delete/")
    await all_done(work)
    assert await web_site.graph.obj_get(Comment, comment.id2) is None
    assert await listed(web_site, "lived") == []
    assert post_id not in await listed(web_site, "short")
    assert await web_site.graph.assoc_count(MENTIONED_IN, bob.id) == 0


async def test_a_comment_mentions_and_only_the_photographers_own_puts_it_under_a_tag(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep, events: Events
) -> None:
    post_id = await ann.post_one("#both")
    await say(bob, post_id, f"#notmine @{ann.username}")
    await say(ann, post_id, "#mine #both")
    await all_done(work)
    assert await shown(bob, "/tags/notmine/") == []
    assert await shown(bob, "/tags/mine/") == [post_id]
    assert await shown(bob, "/tags/both/") == [post_id]
    (event,) = events
    first, _ = (await web_site.graph.assoc_range(HAS_COMMENT, post_id, 0, 5))[::-1]
    assert event == Mentioned(ann.id, bob.id, post_id, first.id2, event.at)
    page = (await ann.browser.get(f"/p/{post_id}/")).text
    assert "#<span>notmine</span>" in page
    feed = (await ann.browser.get("/")).text
    assert "#<span>mine</span>" in feed


async def test_one_tag_is_made_however_many_use_it_first(ann: Someone, web_site: Site) -> None:
    made = await asyncio.gather(*(store.find_or_make(web_site.graph, ["fresh", "air"]) for _ in range(5)))
    assert all(each == made[0] for each in made)
    tag = await web_site.graph.obj_get(Tag, made[0]["fresh"])
    assert tag is not None
    assert tag.data == Tag("fresh")


async def test_pages_of_a_tag_join_without_gap_or_overlap(ann: Someone, bob: Someone, work: Sweep) -> None:
    posts = [await (ann, bob)[n % 2].post_one("#many") for n in range(33)][::-1]
    await say(ann, posts[-1], "#many")
    await all_done(work)
    first = await shown(ann, "/tags/many/")
    page = (await ann.browser.get("/tags/many/")).text
    older = re.search(r'href="(/tags/many/\?before=[^"]+)"', page)
    assert older is not None
    assert first + await shown(ann, older[1]) == posts


async def test_a_tag_shows_nothing_of_what_is_gone_or_suspended(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    gone, kept, hidden = await ann.post_one("#seen"), await ann.post_one("#seen"), await bob.post_one("#seen")
    await all_done(work)
    await web_site.graph.obj_delete(Post, gone)
    await web_site.graph.obj_update(Person, bob.id, suspended=True)
    assert await shown(ann, "/tags/seen/") == [kept]
    answer = await ann.browser.get("/api/v1/timelines/tag/seen")
    assert [int(status["id"]) for status in answer.json()] == [kept]
    assert hidden in await listed(web_site, "seen")


async def test_a_suspended_person_is_mentioned_by_nobody(ann: Someone, bob: Someone, web_site: Site) -> None:
    await web_site.graph.obj_update(Person, bob.id, suspended=True)
    post_id = await ann.post_one(f"@{bob.username}")
    post = await web_site.graph.obj_get(Post, post_id)
    assert post is not None
    assert post.data.mentions == {}


async def test_names_that_cannot_be_looked_up_in_time_stay_as_they_were(
    ann: Someone, bob: Someone, new_person: NewPerson, web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cyd = await new_person()
    post_id = await ann.post_one(f"@{bob.username}")
    monkeypatch.setattr(queries, "PATIENCE_S", 0.1)
    async with AsyncExitStack() as held:
        for pool in web_site.graph.shards.pools.values():
            connection = await held.enter_async_context(pool.transaction())
            await pool.run_on(connection, "lock table claims in access exclusive mode")
        await edit(ann, post_id, f"@{bob.username} @{cyd.username}")
    post = await web_site.graph.obj_get(Post, post_id)
    assert post is not None
    assert post.data.mentions == {bob.username: bob.id}


async def test_the_page_of_a_tag_asks_as_often_for_many_posts_as_for_one(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    """Session and viewer; the claim, the list, posts and authors, each a statement a server at most; whom the viewer is apart from."""
    for author in (ann, bob, ann):
        await author.post_one("#counted")
    await all_done(work)
    async with counted(web_site) as statements:
        assert len(await shown(ann, "/tags/counted/")) == 3
    assert len(statements) <= 9, "\n".join(statements)


async def test_every_spelling_of_a_tag_leads_to_one_page(ann: Someone) -> None:
    answer = await ann.browser.get("/tags/ÉTÉ/")
    assert (answer.status, answer.location) == (303, "/tags/%C3%A9t%C3%A9/")
    empty = await ann.browser.get("/tags/été/")
    assert (empty.status, "No photographs here" in empty.text) == (200, True)


@pytest.mark.parametrize("name", ["1", "a-b", "a b", "\0", "<script>", "x" * 101, "\ufe0f"])
async def test_what_is_no_hashtag_has_no_page(name: str, ann: Someone) -> None:
    for path in (f"/tags/{name}/", f"/api/v1/timelines/tag/{name}"):
        answer = await ann.browser.get(path)
        assert (answer.status, answer.error_code) == (404, "tag_missing")


async def test_the_timeline_of_a_tag_is_what_mastodon_clients_read(
    ann: Someone, bob: Someone, work: Sweep
) -> None:
    posts = [await ann.post_one(f"{n} #Clients @{bob.username}") for n in range(5)][::-1]
    await all_done(work)

    async def ids(query: str) -> list[int]:
        answer = await bob.browser.get(f"/api/v1/timelines/tag/CLIENTS{query}")
        assert answer.status == 200
        return [int(status["id"]) for status in answer.json()]

    assert await ids("?limit=2") == posts[:2]
    assert await ids(f"?limit=2&max_id={posts[1]}") == posts[2:4]
    assert await ids(f"?limit=2&min_id={posts[4]}") == posts[2:4]
    first = await bob.browser.get("/api/v1/timelines/tag/clients?limit=1")
    assert f'tag/clients?limit=1&max_id={posts[0]}>; rel="next"' in first.headers["link"]
    (status,) = first.json()
    host = "http://testserver"
    assert status["tags"] == [{"name": "clients", "url": f"{host}/tags/clients/"}]
    url = f"{host}/@{bob.username}/"
    assert status["mentions"] == [
        {"id": str(bob.id), "username": bob.username, "acct": bob.username, "url": url}
    ]
    assert (
        f'<a href="{host}/tags/clients/" class="mention hashtag" rel="tag">#<span>Clients</span></a>'
        in status["content"]
    )


async def test_a_text_without_marks_leaves_no_work(ann: Someone, web_site: Site, work: Sweep) -> None:
    await all_done(work)
    post_id = await ann.post_one("Nothing in here.")
    pool = web_site.graph.shards.pool("media", shard_of(post_id))
    assert await pool.fetch("select id from outbox where kind = 'written'") == []
    await all_done(work)
