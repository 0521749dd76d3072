"""Notifications: what others did, grouped, counted while new, and told to open pages at once."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import AsyncIterator

import pytest

from calotype.config.wiring import outbox_handlers
from calotype.infra.tao import START, Sweep
from calotype.infra.timelines import PostgresTimelines
from calotype.infra.timelines.types import Page, Place
from calotype.product.accounts.queries import named
from calotype.product.comments import actions as comments
from calotype.product.follows.actions import follow, unfollow
from calotype.product.likes.actions import like, unlike
from calotype.product.notifications import actions, queries
from calotype.product.notifications.types import ACTIVITY, Kind, Note, entry, kind_of
from calotype.product.photos.types import PostId
from calotype.std.errors import Unavailable
from calotype.web.site import Site
from tests.client import Client
from tests.outbox import all_done
from tests.product.test_timelines import AtOnce, post
from tests.statements import counted
from tests.web_fixtures import NewPerson, Someone

STATEMENTS = 9
"""Of a page without a cache: one for each thing that is read, whom the viewer is apart from among them, and two for people, who
live on both servers."""


@pytest.fixture
def work(web_site: Site) -> Sweep:
    return Sweep(web_site.graph.shards, outbox_handlers(web_site, AtOnce(web_site)))


@pytest.fixture
async def told(ann: Someone, web_site: Site) -> AsyncIterator[Someone]:
    """Somebody who has looked before."""
    await actions.build(web_site.graph, web_site.timelines, ann.id)
    yield ann


async def notes(site: Site, person: Someone) -> list[Note]:
    viewer = await named(site.graph, person.username)
    return (await queries.notes(site.graph, site.timelines, viewer)).notes


async def unread(site: Site, person: Someone) -> int:
    viewer = await named(site.graph, person.username)
    return await queries.unread(site.graph, site.timelines, viewer)


def test_an_entry_tells_its_kind_and_its_moment() -> None:
    for kind in Kind:
        made = entry(kind, 1_700_000_000_123, 5, 77)
        assert kind_of(made) is kind
        assert made.time // 1_000 == 1_700_000_000_123


def test_of_many_likes_ever_fewer_are_told_one_by_one() -> None:
    assert sum(map(actions.worth_telling, range(1, 101))) == 100
    assert sum(map(actions.worth_telling, range(1, 10_001))) == 280


async def test_likes_of_one_post_are_one_note_with_the_last_of_them_first(
    told: Someone, bob: Someone, new_person: NewPerson, web_site: Site, work: Sweep
) -> None:
    mine = await post(web_site, told.id)
    others = [await new_person() for _ in range(4)]
    for person in (bob, *others):
        await like(web_site.graph, person.id, mine)
    await like(web_site.graph, told.id, mine)
    await all_done(work)
    (note,) = await notes(web_site, told)
    assert note.kind is Kind.LIKE
    assert note.total == 5
    assert [each.username for each in note.people] == [each.username for each in others[:0:-1]]
    assert note.post is not None
    assert note.post.id == mine
    page = (await told.browser.get("/notifications/")).text
    assert f"<bdi>{others[-1].username}</bdi> and 4 others like your photo" in page


@pytest.mark.parametrize(
    ("amount", "words"), [(1, "follows you now"), (2, "follow you now"), (4, "and 3 others follow")]
)
async def test_one_two_and_more_are_named_each_in_their_way(
    told: Someone, new_person: NewPerson, web_site: Site, work: Sweep, amount: int, words: str
) -> None:
    for _ in range(amount):
        await follow(web_site.graph, (await new_person()).id, told.id)
    await all_done(work)
    assert words in (await told.browser.get("/notifications/")).text


async def test_what_is_told_while_a_timeline_is_built_stands_in_it_once(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    """The build finds it in the graph, the job pushes it: both are one entry only if they name one moment."""
    mine = await post(web_site, told.id)
    await like(web_site.graph, bob.id, mine)
    await follow(web_site.graph, bob.id, told.id)
    await comments.add(web_site.graph, bob.id, mine, f"hello, @{told.username}")
    await actions.build(web_site.graph, web_site.timelines, told.id)
    await all_done(work)
    await actions.build(web_site.graph, web_site.timelines, told.id)
    page = await web_site.timelines.page(ACTIVITY, told.id, START, 10)
    assert page is not None
    assert sorted(kind_of(each) for each in page.entries) == sorted([Kind.LIKE, Kind.FOLLOW, Kind.COMMENT])


async def test_comments_and_follows_are_told_and_ones_own_are_not(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    mine = await post(web_site, told.id)
    await comments.add(web_site.graph, bob.id, mine, "Contemplative cat!")
    await comments.add(web_site.graph, told.id, mine, "Thank you")
    await follow(web_site.graph, bob.id, told.id)
    await all_done(work)
    first, second = await notes(web_site, told)
    assert (first.kind, first.people[0].username) == (Kind.FOLLOW, bob.username)
    assert (second.kind, second.text) == (Kind.COMMENT, "Contemplative cat!")


async def test_whom_a_text_mentions_is_told_once_and_not_twice_of_a_comment(
    told: Someone, bob: Someone, new_person: NewPerson, web_site: Site, work: Sweep
) -> None:
    third = await new_person()
    hers = await third.post_one(f"with @{told.username} and @{third.username}")
    mine = await post(web_site, told.id)
    await comments.add(web_site.graph, bob.id, mine, f"look, @{told.username}")
    await comments.add(web_site.graph, bob.id, PostId(hers), f"@{told.username} was there")
    await all_done(work)
    kinds = [(note.kind, note.post.id, note.text) for note in await notes(web_site, told) if note.post]
    assert sorted(kinds) == sorted(
        [
            (Kind.COMMENT, mine, f"look, @{told.username}"),
            (Kind.MENTION, hers, ""),
            (Kind.MENTION, hers, f"@{told.username} was there"),
        ]
    )
    page = (await told.browser.get("/notifications/")).text
    assert page.count("mentions you") == 2
    built_anew = await actions.newest(web_site.graph, told.id)
    assert sorted(kind_of(each) for each in built_anew) == [Kind.COMMENT, Kind.MENTION, Kind.MENTION]


async def test_what_was_taken_back_is_passed_over(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    mine, other = await post(web_site, told.id), await post(web_site, told.id)
    said = await comments.add(web_site.graph, bob.id, mine, "oh")
    await like(web_site.graph, bob.id, mine)
    await follow(web_site.graph, bob.id, told.id)
    await like(web_site.graph, bob.id, other)
    await all_done(work)
    assert len(await notes(web_site, told)) == 4
    await comments.delete(web_site.graph, bob.id, mine, said)
    await unlike(web_site.graph, bob.id, mine)
    await unfollow(web_site.graph, bob.id, told.id)
    await all_done(work)
    assert [note.post.id for note in await notes(web_site, told) if note.post] == [other]


async def test_what_one_does_not_want_is_not_told(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    answer = await told.browser.post("/settings/notifications/", {"wanted": ["comment", "mention"]})
    assert answer.status == 303
    mine = await post(web_site, told.id)
    await like(web_site.graph, bob.id, mine)
    await follow(web_site.graph, bob.id, told.id)
    await comments.add(web_site.graph, bob.id, mine, "hello")
    await all_done(work)
    assert [note.kind for note in await notes(web_site, told)] == [Kind.COMMENT]
    page = (await told.browser.get("/settings/notifications/")).text
    assert page.count("checked") == 2


async def test_new_ones_are_counted_until_they_are_looked_at(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    mine = await post(web_site, told.id)
    assert await unread(web_site, told) == 0
    await like(web_site.graph, bob.id, mine)
    await comments.add(web_site.graph, bob.id, mine, "hello")
    await all_done(work)
    assert (await told.browser.get("/notifications/unread/")).json() == {"unread": 2}
    page = await told.browser.get("/notifications/")
    assert page.text.count("New:") == 2
    assert (await told.browser.get("/notifications/unread/")).json() == {"unread": 0}
    assert "New:" not in (await told.browser.get("/notifications/")).text


async def test_words_of_others_are_escaped_on_the_page(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    mine = await post(web_site, told.id)
    await comments.add(web_site.graph, bob.id, mine, "<script>alert(1)</script>")
    await all_done(work)
    page = (await told.browser.get("/notifications/")).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


async def test_whoever_never_looked_finds_what_happened_before(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    mine = await post(web_site, ann.id)
    await like(web_site.graph, bob.id, mine)
    await comments.add(web_site.graph, bob.id, mine, "first")
    await all_done(work)
    from_the_graph = await notes(web_site, ann)
    assert {note.kind for note in from_the_graph} == {Kind.LIKE, Kind.COMMENT}
    await all_done(work)  # a build was asked for
    page = await web_site.timelines.page(ACTIVITY, ann.id, START, 10)
    assert page is not None
    assert len(page.entries) == 2
    assert await notes(web_site, ann) == from_the_graph


class Away(PostgresTimelines):
    async def page(self, kind: int, owner: int, before: Place, limit: int) -> Page | None:
        raise Unavailable("it is away")


async def test_without_the_engine_of_timelines_the_page_comes_from_the_graph(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    mine = await post(web_site, told.id)
    await like(web_site.graph, bob.id, mine)
    await all_done(work)
    away = dataclasses.replace(web_site, timelines=Away(web_site.graph.shards))
    assert [note.kind for note in await notes(away, told)] == [Kind.LIKE]


async def test_a_job_that_runs_twice_tells_once(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    mine = await post(web_site, told.id)
    await like(web_site.graph, bob.id, mine)
    for _ in range(2):
        await actions.liked(
            web_site.graph, web_site.timelines, web_site.live, bob.id, mine, 1_700_000_000_000
        )
    page = await web_site.timelines.page(ACTIVITY, told.id, START, 10)
    assert page is not None
    assert len(page.entries) == 1


async def test_nobody_reads_notifications_without_an_account(browser: Client) -> None:
    for path in (
        "/notifications/",
        "/notifications/unread/",
        "/notifications/live/",
        "/settings/notifications/",
        "/api/v1/notifications",
        "/api/v1/markers",
    ):
        answer = await browser.get(path)
        assert answer.status in (303, 302, 401), path


async def test_a_page_of_notifications_costs_so_many_statements_however_many_there_are(
    told: Someone, new_person: NewPerson, web_site: Site, work: Sweep
) -> None:
    for _ in range(3):
        mine = await post(web_site, told.id)
        for _ in range(2):
            await like(web_site.graph, (await new_person()).id, mine)
    await all_done(work)
    viewer = await named(web_site.graph, told.username)
    amounts = []
    for _ in range(2):
        async with counted(web_site) as statements:
            await queries.notes(web_site.graph, web_site.timelines, viewer)
        amounts.append(len(statements))
        for _ in range(3):
            await like(web_site.graph, (await new_person()).id, await post(web_site, told.id))
        await all_done(work)
    assert max(amounts) <= STATEMENTS


async def test_the_api_tells_each_thing_for_itself_in_pages(
    told: Someone, bob: Someone, new_person: NewPerson, web_site: Site, work: Sweep
) -> None:
    mine = await post(web_site, told.id)
    cyd = await new_person()
    for person in (bob, cyd):
        await like(web_site.graph, person.id, mine)
    await comments.add(web_site.graph, bob.id, mine, "Contemplative cat!")
    await follow(web_site.graph, cyd.id, told.id)
    await all_done(work)
    first = await told.browser.get("/api/v1/notifications?limit=2")
    followed, said = first.json()
    assert (followed["type"], followed["account"]["username"]) == ("follow", cyd.username)
    assert followed["status"] is None
    assert (said["type"], said["status"]["id"]) == ("mention", str(mine))
    assert said["comment"]["content"] == "<p>Contemplative cat!</p>"
    following = re.search(r'<http://testserver([^>]+)>; rel="next"', first.headers["link"])
    assert following is not None
    likes = (await told.browser.get(following[1])).json()
    assert [one["account"]["username"] for one in likes] == [cyd.username, bob.username]
    assert {one["type"] for one in likes} == {"favourite"}
    assert likes[0]["status"]["favourites_count"] == 2
    ids = [int(one["id"]) for one in (followed, said, *likes)]
    assert ids == sorted(ids, reverse=True)


async def test_the_api_passes_over_what_was_taken_back(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    mine = await post(web_site, told.id)
    await like(web_site.graph, bob.id, mine)
    await all_done(work)
    await unlike(web_site.graph, bob.id, mine)
    await all_done(work)
    assert (await told.browser.get("/api/v1/notifications")).json() == []


async def test_a_marker_says_what_was_read_and_never_goes_back(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    mine = await post(web_site, told.id)
    assert (await told.browser.get("/api/v1/markers")).json() == {}
    await like(web_site.graph, bob.id, mine)
    await all_done(work)
    (one,) = (await told.browser.get("/api/v1/notifications")).json()
    assert await unread(web_site, told) == 1, "to ask is not to have seen"
    answer = await told.browser.post("/api/v1/markers", {"notifications[last_read_id]": one["id"]})
    assert answer.status == 200
    read = answer.json()["notifications"]["last_read_id"]
    assert int(read) >= int(one["id"])
    assert await unread(web_site, told) == 0
    back = await told.browser.post("/api/v1/markers", {"notifications[last_read_id]": "5"})
    assert back.json()["notifications"]["last_read_id"] == read
    assert (await told.browser.get("/api/v1/markers")).json() == back.json()


async def test_what_is_still_to_come_cannot_be_marked_as_read(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    await told.browser.post("/api/v1/markers", {"notifications[last_read_id]": str((1 << 63) - 1)})
    mine = await post(web_site, told.id)
    await like(web_site.graph, bob.id, mine)
    await all_done(work)
    assert await unread(web_site, told) == 1


@pytest.mark.parametrize("wrong", ["", "x", "-5", str(1 << 63)])
async def test_what_is_no_id_of_a_notification_is_refused(told: Someone, wrong: str) -> None:
    answer = await told.browser.post("/api/v1/markers", {"notifications[last_read_id]": wrong})
    assert answer.status == 400
    if wrong:
        assert (await told.browser.get(f"/api/v1/notifications?max_id={wrong}")).status == 400


async def test_a_marker_is_moved_by_nobody_elses_page(told: Someone) -> None:
    answer = await told.browser.request("POST", "/api/v1/markers", body=b"notifications[last_read_id]=5")
    assert (answer.status, answer.error_code) == (403, "csrf_failed")


async def test_the_page_is_sent_in_parts_and_a_part_is_seen_too(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    await like(web_site.graph, bob.id, await post(web_site, told.id))
    await all_done(work)
    part = await told.browser.get("/notifications/", {"x-fragment": "1"})
    assert part.text.lstrip().startswith('<ol class="happened"')
    assert "<html" not in part.text
    assert "X-Fragment" in part.headers["vary"]
    assert await unread(web_site, told) == 0


async def test_what_is_marked_as_read_is_read_and_nothing_that_is_still_to_come(
    told: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    await like(web_site.graph, bob.id, await post(web_site, told.id))
    await all_done(work)
    assert await unread(web_site, told) == 1
    answer = await told.browser.post(
        "/notifications/read/", {"up_to": "9" * 15}, headers={"accept": "application/json"}
    )
    assert answer.json() == {"unread": 0}
    assert await queries.seen(web_site.graph, told.id) <= time.time() * 1_000
    assert (await told.browser.post("/notifications/read/", {"up_to": "1"})).location == "/notifications/"
    for wrong in ("", "-1", "x", "1" * 16, "٣"):
        assert (await told.browser.post("/notifications/read/", {"up_to": wrong})).error_code == "bad_request"


async def test_settings_are_saved_without_leaving_the_page(told: Someone) -> None:
    headers = {"accept": "application/json"}
    saved = await told.browser.post("/settings/notifications/", {"wanted": ["like"]}, headers=headers)
    assert saved.json() == {"saved": "Saved."}
    wrong = await told.browser.post("/settings/notifications/", {"wanted": ["moon"]}, headers=headers)
    assert (wrong.status, wrong.error_code) == (422, "not_saved")
    page = (await told.browser.get("/settings/notifications/")).text
    assert re.findall(r'value="(\w+)"[^>]*checked', page) == ["like"]
