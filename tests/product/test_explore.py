"""Explore: what is ranked, how, and what of it is shown."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable

import pytest

from calotype.infra.ids import shard_of
from calotype.product.accounts.types import Person
from calotype.product.explore import actions, views
from calotype.product.explore.queries import ranking, ranking_id
from calotype.product.explore.types import DAY_MS, OF_ONE_AUTHOR, WINDOW_MS, Ranking, score
from calotype.product.photos.types import POSTED, Post
from calotype.web.site import Site
from tests.client import Client
from tests.product.test_timelines import PICTURE
from tests.statements import counted
from tests.web_fixtures import NewPerson, Someone

NOW = int(time.time() * 1000)


async def like(post_id: int, *people: Someone) -> None:
    for person in people:
        assert (await person.browser.post(f"/p/{post_id}/like/")).status == 303


async def say(post_id: int, *people: Someone) -> None:
    for person in people:
        assert (await person.browser.post(f"/p/{post_id}/comments/", {"text": "hm"})).status == 303


async def dated(site: Site, author: Someone, at: int) -> int:
    """A post of another time than that of its upload."""
    post = Post(author=author.id, photos=[PICTURE], at=at, borrowed=True)
    node = await site.graph.obj_add(post, shard=shard_of(author.id))
    await site.graph.assoc_add(POSTED, author.id, node.id, time=at)
    return node.id


Ranked = Callable[[], Awaitable[list[int]]]


@pytest.fixture
def ranked(web_site: Site, monkeypatch: pytest.MonkeyPatch) -> Ranked:
    """Rank what was posted since the test began: the site has posts of other tests, too."""
    began = int(time.time() * 1000)

    async def run() -> list[int]:
        now = int(time.time() * 1000)
        monkeypatch.setattr(actions, "WINDOW_MS", now - began)
        return [each.post for each in (await actions.rank(web_site.graph, now)).posts]

    return run


async def shown(browser: Client) -> list[int]:
    page = await browser.get("/explore/")
    assert page.status == 200
    return [int(id_) for id_ in dict.fromkeys(re.findall(r'href="/p/(\d+)/"', page.text))]


def test_ten_times_the_points_make_up_for_a_day_and_time_alone_changes_no_order() -> None:
    assert score(10, NOW - DAY_MS) == pytest.approx(score(1, NOW))
    assert score(100, NOW - DAY_MS) > score(9, NOW)
    assert score(0, NOW) == score(1, NOW)


async def test_until_it_is_counted_the_page_says_when_it_will_be(browser: Client, web_site: Site) -> None:
    await web_site.graph.obj_delete(Ranking, ranking_id(web_site.graph))
    assert "counted every 10 minutes" in (await browser.get("/explore/")).text
    assert (await browser.get("/api/v1/trends/statuses")).json() == []
    await actions.rank(web_site.graph)
    assert await ranking(web_site.graph) is not None


async def test_what_more_people_like_or_speak_about_comes_first(
    ann: Someone, bob: Someone, new_person: NewPerson, ranked: Ranked, browser: Client
) -> None:
    fans = [await new_person() for _ in range(4)]
    talked, liked, little = await ann.post_one(), await bob.post_one(), await bob.post_one()
    await like(liked, *fans[:3])
    await say(talked, *fans)
    await like(little, fans[0])
    order = await ranked()
    assert [id_ for id_ in order if id_ in (talked, liked, little)] == [talked, liked, little]
    page = await shown(browser)
    assert [id_ for id_ in page if id_ in (talked, liked, little)] == [talked, liked, little]


async def test_nobody_ranks_themselves_nor_by_saying_much(
    ann: Someone, bob: Someone, new_person: NewPerson, ranked: Ranked
) -> None:
    cyd = await new_person()
    own, chatty, fair = await ann.post_one(), await bob.post_one(), await bob.post_one()
    await like(own, ann)
    await say(own, ann, ann)
    await say(chatty, cyd, cyd, cyd, cyd)
    await like(fair, cyd, ann)
    await say(fair, cyd)
    order = await ranked()
    assert own not in order
    assert order.index(fair) < order.index(chatty)


async def test_of_one_author_there_are_three(ann: Someone, bob: Someone, ranked: Ranked) -> None:
    posts = [await ann.post_one() for _ in range(OF_ONE_AUTHOR + 2)]
    for post_id in posts:
        await like(post_id, bob)
    assert [id_ for id_ in await ranked() if id_ in posts] == posts[: -OF_ONE_AUTHOR - 1 : -1]


async def test_posts_of_long_ago_and_of_tomorrow_are_not_ranked(
    ann: Someone, bob: Someone, web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await dated(web_site, ann, NOW - WINDOW_MS - DAY_MS)
    recent = await dated(web_site, ann, NOW - DAY_MS)
    ahead = await dated(web_site, ann, NOW + DAY_MS)
    for post_id in (old, recent, ahead):
        await like(post_id, bob)
    monkeypatch.setattr(actions, "KEPT", 10_000)
    order = {each.post for each in (await actions.rank(web_site.graph)).posts}
    assert recent in order
    assert not {old, ahead} & order


async def test_what_was_popular_stays_when_it_is_no_longer_among_the_newest(
    ann: Someone, bob: Someone, ranked: Ranked, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = await ann.post_one()
    await like(post_id, bob)
    assert post_id in await ranked()
    monkeypatch.setattr(actions, "CANDIDATES", 0)
    monkeypatch.setattr(actions, "PER_SHARD", 1)
    for _ in range(2):
        await ann.post_one()
        assert post_id in await ranked()


async def test_what_is_gone_or_suspended_is_not_shown(
    ann: Someone, bob: Someone, new_person: NewPerson, web_site: Site, browser: Client, ranked: Ranked
) -> None:
    cyd = await new_person()
    gone, hidden, kept = await ann.post_one(), await bob.post_one(), await ann.post_one()
    for post_id in (gone, hidden, kept):
        await like(post_id, cyd)
    await ranked()
    assert {gone, hidden, kept} <= set(await shown(browser))
    await web_site.graph.obj_delete(Post, gone)
    await web_site.graph.obj_update(Person, bob.id, suspended=True)
    assert {gone, hidden, kept} & set(await shown(browser)) == {kept}
    statuses = (await browser.get("/api/v1/trends/statuses?limit=40")).json()
    assert kept in {int(each["id"]) for each in statuses}
    assert not {gone, hidden} & {int(each["id"]) for each in statuses}


async def test_statuses_are_paged_by_offset(
    ann: Someone, bob: Someone, browser: Client, ranked: Ranked
) -> None:
    for post_id in [await ann.post_one() for _ in range(3)]:
        await like(post_id, bob)
    await ranked()
    first, second = [
        (await browser.get(f"/api/v1/trends/statuses?limit=1&offset={n}")).json() for n in range(2)
    ]
    both = (await browser.get("/api/v1/trends/statuses?limit=2")).json()
    assert both == first + second
    assert (await browser.get("/api/v1/trends/statuses?offset=-1")).status == 400
    assert (await browser.get("/api/v1/trends/statuses?offset=999999999")).json() == []


async def test_the_page_is_three_reads_however_much_is_ranked(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    """Session, viewer and ranking, then posts and authors, each a statement a server, and whom the viewer is apart from."""
    for author, fan in ((ann, bob), (bob, ann)):
        await like(await author.post_one(), fan)
    await actions.rank(web_site.graph)
    async with counted(web_site) as statements:
        await ann.browser.get("/explore/")
    assert len(statements) <= 8, "\n".join(statements)


async def test_the_page_goes_on_where_its_first_part_ends(
    ann: Someone, bob: Someone, browser: Client, ranked: Ranked, monkeypatch: pytest.MonkeyPatch
) -> None:
    for author, other in ((ann, bob), (bob, ann)) * 2:
        await like(await author.post_one(), other)
    best = await ranked()
    assert len(best) == 4
    monkeypatch.setattr(views, "GRID_PAGE", 3)
    assert 'rel="next" href="/explore/?before=3"' in (await browser.get("/explore/")).text
    parts = [(await browser.get(f"/explore/?before={at}", {"x-fragment": "1"})).text for at in (0, 3, 6)]
    assert [[int(id_) for id_ in re.findall(r'<a href="/p/(\d+)/"', part)] for part in parts] == [
        best[:3],
        best[3:],
        [],
    ]
    assert (await browser.get("/explore/?before=x")).error_code == "bad_request"
