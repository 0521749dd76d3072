"""Following, the home feed, the timeline as JSON, likes and comments."""

from __future__ import annotations

import asyncio
import re

import pytest

from calotype.infra.ids import compose
from calotype.infra.tao import forget_claims
from calotype.product.accounts import store
from calotype.product.accounts.types import Person
from calotype.product.comments.types import HAS_COMMENT
from calotype.product.feed import actions
from calotype.product.follows.types import FOLLOWED_BY, FOLLOWS
from calotype.product.likes.types import LIKED_BY
from calotype.product.notifications import actions as notifications
from calotype.product.photos.types import Post
from calotype.web.site import Site
from tests.cached_site import caught_up
from tests.client import Client
from tests.statements import counted
from tests.web_fixtures import NewPerson, Someone, picture


async def follow(follower: Someone, followee: Someone) -> None:
    assert (await follower.browser.post(f"/@{followee.username}/follow/")).status == 303


async def ids_of(browser: Client, query: str = "") -> list[int]:
    answer = await browser.get(f"/api/v1/timelines/home{query}")
    assert answer.status == 200, answer.text
    return [int(status["id"]) for status in answer.json()]


async def test_jan_follows_pat_pat_posts_jan_comments_pat_likes(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    await follow(ann, bob)
    post_id = await bob.post_one("He has been considering the fern since breakfast.")
    feed = await ann.browser.get("/")
    assert feed.status == 200
    assert "considering the fern" in feed.text
    assert (await ann.browser.post(f"/p/{post_id}/comments/", {"text": "Contemplative cat!"})).status == 303
    assert (await bob.browser.post(f"/p/{post_id}/like/")).status == 303
    page = (await bob.browser.get(f"/p/{post_id}/")).text
    assert "Contemplative cat!" in page
    assert await web_site.graph.assoc_count(LIKED_BY, post_id) == 1


async def test_the_feed_is_newest_first_and_only_of_those_one_follows(
    ann: Someone, bob: Someone, new_person: NewPerson
) -> None:
    cyd, stranger = await new_person(), await new_person()
    await follow(ann, bob)
    await follow(ann, cyd)
    posts = [await each.post_one() for each in (bob, cyd, bob, stranger, ann)]
    assert await ids_of(ann.browser) == [posts[4], posts[2], posts[1], posts[0]]


async def test_pages_of_the_timeline_join_without_gap_or_overlap(ann: Someone, bob: Someone) -> None:
    await follow(ann, bob)
    posts = [await bob.post_one() for _ in range(7)][::-1]
    first = await ann.browser.get("/api/v1/timelines/home?limit=3")
    following = re.search(r'<([^>]+)>; rel="next"', first.headers["link"])
    previous = re.search(r'<([^>]+)>; rel="prev"', first.headers["link"])
    assert following is not None
    assert previous is not None
    assert [int(status["id"]) for status in first.json()] == posts[:3]
    rest = await ids_of(ann.browser, following[1].split("home")[1])
    assert rest == posts[3:6]
    last = await ann.browser.get(f"/api/v1/timelines/home?limit=3&max_id={posts[5]}")
    assert [int(status["id"]) for status in last.json()] == posts[6:]
    assert 'rel="next"' not in last.headers["link"]
    newer = [await bob.post_one() for _ in range(4)][::-1]
    assert await ids_of(ann.browser, previous[1].split("home")[1]) == newer[1:]


async def test_the_page_after_a_place_is_the_one_just_newer(ann: Someone, bob: Someone) -> None:
    await follow(ann, bob)
    posts = [await bob.post_one() for _ in range(6)]
    assert await ids_of(ann.browser, f"?limit=2&min_id={posts[0]}") == [posts[2], posts[1]]
    assert await ids_of(ann.browser, f"?limit=40&min_id={posts[0]}") == posts[:0:-1]
    assert await ids_of(ann.browser, f"?min_id={posts[-1]}") == []


async def test_a_status_has_the_shape_that_mastodon_clients_read(ann: Someone, bob: Someone) -> None:
    await follow(ann, bob)
    await bob.browser.post(
        "/new/",
        {"caption": "A <b>bold</b>\nline", "alt": ["teal"]},
        files=[("photos", ("a.png", picture(400, 300)))],
    )
    (status,) = (await ann.browser.get("/api/v1/timelines/home")).json()
    await ann.browser.post(f"/p/{status['id']}/like/")
    (status,) = (await ann.browser.get("/api/v1/timelines/home")).json()
    assert isinstance(status["id"], str)
    assert status["account"]["acct"] == bob.username
    assert isinstance(status["account"]["id"], str)
    assert (status["favourites_count"], status["favourited"], status["replies_count"]) == (1, True, 0)
    assert status["content"] == "<p>A &lt;b&gt;bold&lt;/b&gt;<br>line</p>"
    (media,) = status["media_attachments"]
    assert media["type"] == "image"
    assert media["description"] == "teal"
    assert len(media["blurhash"]) > 6
    assert media["meta"]["original"] == {"width": 400, "height": 300, "size": "400x300", "aspect": 1.3333}
    assert media["url"].startswith("http://testserver/media/")
    assert (await ann.browser.get(media["url"].removeprefix("http://testserver"))).status == 200


async def test_the_timeline_needs_an_account(browser: Client) -> None:
    answer = await browser.get("/api/v1/timelines/home")
    assert (answer.status, answer.error_code) == (401, "not_signed_in")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?limit=100000", 200),
        ("?limit=0", 200),
        ("?limit=-1", 400),
        ("?limit=x", 400),
        ("?max_id=garbage", 404),
        ("?max_id=-5", 404),
        (f"?max_id={1 << 64}", 404),
        (f"?max_id={(1 << 63) - 1}", 200),
        ("?max_id=0", 200),
        ("?min_id=%00", 404),
        (f"?min_id={compose(1, 8191, 0)}", 200),
    ],
)
async def test_bad_paging_is_answered_with_a_clear_error_or_an_end(
    query: str, status: int, ann: Someone
) -> None:
    assert (await ann.browser.get(f"/api/v1/timelines/home{query}")).status == status


@pytest.mark.parametrize("cursor", ["x", "1", "1-", "-1", "1-2-3", "9" * 30 + "-1", "%00", f"{1 << 63}-1"])
@pytest.mark.parametrize("path", ["/", "/@{name}/", "/@{name}/followers/", "/p/{post}/"])
async def test_garbage_cursors_are_refused(cursor: str, path: str, ann: Someone) -> None:
    post = await ann.post_one() if "{post}" in path else 0
    answer = await ann.browser.get(path.format(name=ann.username, post=post) + f"?before={cursor}")
    assert (answer.status, answer.error_code) == (400, "cursor_invalid")


@pytest.mark.parametrize(
    "id_",
    [
        "0",
        "1",
        "-1",
        "18446744073709551616",
        "9223372036854775807",
        str(compose(5, 8191, 1)),
        "1e5",
        "%00",
        "١٢",
    ],
)
async def test_ids_of_nothing_are_not_found(id_: str, ann: Someone) -> None:
    assert (await ann.browser.get(f"/p/{id_}/")).status == 404
    assert (await ann.browser.get(f"/media/{id_}/{id_}/square.webp")).status == 404
    for action in ("like", "unlike", "delete", "comments"):
        assert (await ann.browser.post(f"/p/{id_}/{action}/", {"text": "x"})).status == 404


async def test_an_id_of_another_type_is_not_found(ann: Someone) -> None:
    assert (await ann.browser.get(f"/p/{ann.id}/")).error_code == "post_missing"
    assert (await ann.browser.post(f"/p/{ann.id}/like/")).error_code == "post_missing"


async def test_liking_twice_counts_once_and_can_be_taken_back(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    post_id = await bob.post_one()
    await asyncio.gather(*(ann.browser.post(f"/p/{post_id}/like/") for _ in range(5)))
    assert await web_site.graph.assoc_count(LIKED_BY, post_id) == 1
    for _ in range(2):
        assert (await ann.browser.post(f"/p/{post_id}/unlike/")).status == 303
    assert await web_site.graph.assoc_count(LIKED_BY, post_id) == 0


async def test_following_twice_counts_once_and_oneself_not_at_all(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    for _ in range(2):
        await follow(ann, bob)
    assert await web_site.graph.assoc_count(FOLLOWED_BY, bob.id) == 1
    answer = await ann.browser.post(f"/@{ann.username}/follow/")
    assert (answer.status, answer.error_code) == (422, "cannot_follow_oneself")
    await ann.browser.post(f"/@{bob.username}/unfollow/")
    assert await web_site.graph.assoc_count(FOLLOWS, ann.id) == 0


async def test_a_comment_is_deleted_by_its_author_or_the_photos_author_only(
    ann: Someone, bob: Someone, new_person: NewPerson, web_site: Site
) -> None:
    cyd = await new_person()
    post_id = await ann.post_one()
    for _ in range(2):
        await bob.browser.post(f"/p/{post_id}/comments/", {"text": "hm"})
    first, second = (edge.id2 for edge in await web_site.graph.assoc_range(HAS_COMMENT, post_id, 0, 5))
    stranger = await cyd.browser.post(f"/p/{post_id}/comments/{first}/delete/")
    assert (stranger.status, stranger.error_code) == (403, "not_your_comment")
    assert (await bob.browser.post(f"/p/{post_id}/comments/{first}/delete/")).status == 303
    assert (await ann.browser.post(f"/p/{post_id}/comments/{second}/delete/")).status == 303
    assert await web_site.graph.assoc_count(HAS_COMMENT, post_id) == 0
    again = await ann.browser.post(f"/p/{post_id}/comments/{second}/delete/")
    assert again.error_code == "comment_missing"


async def test_a_comment_is_not_deleted_through_another_post(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    post_id, own = await ann.post_one(), await bob.post_one()
    await ann.browser.post(f"/p/{post_id}/comments/", {"text": "mine"})
    (comment,) = await web_site.graph.assoc_range(HAS_COMMENT, post_id, 0, 5)
    answer = await bob.browser.post(f"/p/{own}/comments/{comment.id2}/delete/")
    assert answer.error_code == "comment_missing"
    assert await web_site.graph.assoc_count(HAS_COMMENT, post_id) == 1


@pytest.mark.parametrize("text", ["", "   ", "x" * 1001, "nul\0l", "evil \u202egnp"])
async def test_a_comment_that_cannot_be_kept_is_refused(text: str, ann: Someone, web_site: Site) -> None:
    post_id = await ann.post_one()
    answer = await ann.browser.post(f"/p/{post_id}/comments/", {"text": text})
    assert (answer.status, answer.error_code) == (422, "comment_invalid")
    assert await web_site.graph.assoc_count(HAS_COMMENT, post_id) == 0


async def test_a_comment_that_is_sent_twice_is_there_once(ann: Someone, web_site: Site) -> None:
    post_id = await ann.post_one()
    page = (await ann.browser.get(f"/p/{post_id}/")).text
    key = re.search(r'name="key" value="([^"]+)"', page)
    assert key is not None
    answers = await asyncio.gather(
        *(ann.browser.post(f"/p/{post_id}/comments/", {"text": "hm", "key": key[1]}) for _ in range(3))
    )
    assert {answer.status for answer in answers} == {303}
    assert await web_site.graph.assoc_count(HAS_COMMENT, post_id) == 1
    await ann.browser.post(f"/p/{post_id}/comments/", {"text": "hm"}, headers={"idempotency-key": "another"})
    assert await web_site.graph.assoc_count(HAS_COMMENT, post_id) == 2
    assert await forget_claims(web_site.graph.shards, ["comment"], -60) >= 2
    assert await store.holder(web_site.graph, ann.username) is not None


async def test_a_comment_is_shown_as_text_and_emoji_stay(ann: Someone) -> None:
    post_id = await ann.post_one()
    await ann.browser.post(f"/p/{post_id}/comments/", {"text": "<img src=x onerror=alert(1)> 🦊👨‍👩‍👧"})
    page = (await ann.browser.get(f"/p/{post_id}/")).text
    assert "<img src=x" not in page
    assert "🦊👨‍👩‍👧" in page


async def test_nobody_acts_without_an_account_or_a_token(browser: Client, ann: Someone) -> None:
    post_id = await ann.post_one()
    for path in (
        f"/p/{post_id}/like/",
        f"/p/{post_id}/comments/",
        f"/@{ann.username}/follow/",
        f"/p/{post_id}/delete/",
        "/new/",
    ):
        assert (await browser.post(path, {"text": "x"})).error_code == "not_signed_in"
        forged = await ann.browser.request("POST", path, headers={"accept": "application/json"})
        assert (forged.status, forged.error_code) == (403, "csrf_failed")


async def test_people_to_find_are_those_one_does_not_follow(ann: Someone, bob: Someone) -> None:
    await bob.post_one()
    assert f"@{bob.username}" in (await ann.browser.get("/people/")).text
    await follow(ann, bob)
    assert f"/@{bob.username}/follow/" not in (await ann.browser.get("/people/")).text


async def test_a_profile_shows_its_posts_page_by_page(ann: Someone, browser: Client, web_site: Site) -> None:
    posts = [await ann.post_one() for _ in range(31)][::-1]
    page = (await browser.get(f"/@{ann.username}/")).text
    assert [int(id_) for id_ in dict.fromkeys(re.findall(r'href="/p/(\d+)/"', page))] == posts[:30]
    older = re.search(r'href="(?:/@[^"?]*)?(\?before=[^"]+)"', page)
    assert older is not None
    rest = (await browser.get(f"/@{ann.username}/{older[1]}")).text
    assert f"/p/{posts[30]}/" in rest


async def test_a_new_person_has_somewhere_to_go(ann: Someone) -> None:
    assert 'href="/people/"' in (await ann.browser.get("/")).text


async def test_the_merge_of_a_feed_is_one_statement_a_server_and_page(
    ann: Someone, new_person: NewPerson, web_site: Site
) -> None:
    for _ in range(12):
        friend = await new_person()
        await follow(ann, friend)
        await friend.post_one()
    async with counted(web_site) as statements:
        assert len(await ids_of(ann.browser)) == 12
    merges = [statement for statement in statements if "order by a.time desc" in statement]
    assert 1 <= len(merges) <= 2
    assert len({statement.split(":")[0] for statement in merges}) == len(merges)


async def build_timeline(site: Site, someone: Someone) -> None:
    await actions.build(site.graph, site.timelines, someone.id, kept=800)
    await notifications.build(site.graph, site.timelines, someone.id)


STATEMENTS = {
    "/": 24,
    "/api/v1/timelines/home": 16,
    "/api/v1/accounts/{id}/statuses": 10,
    "/api/v1/notifications": 19,
    "/api/v1/markers": 3,
    "/p/{post}/": 12,
    "/@{name}/": 9,
    "/@{name}/followers/": 9,
    "/people/": 10,
    "/new/": 2,
    "/settings/profile/": 2,
    "/p/{post}/edit/": 3,
    "/media/{post}/{photo}/square.webp": 2,
}
"""At most: sessions, the viewer, whom they are apart from, once for each step that
names others (authors, commenters, suggestions), and what the page shows; on two servers most reads are one statement each."""


@pytest.mark.parametrize("path", STATEMENTS)
async def test_no_page_asks_the_databases_more_often_than_this(
    path: str, ann: Someone, bob: Someone, new_person: NewPerson, web_site: Site
) -> None:
    friends = [bob, *[await new_person() for _ in range(4)]]
    for friend in friends:
        await follow(ann, friend)
        await follow(friend, ann)
        post_id = await friend.post_one()
        await ann.browser.post(f"/p/{post_id}/comments/", {"text": "hello"})
    mine = await ann.post_one()
    await bob.browser.post(f"/p/{mine}/comments/", {"text": "hello"})
    post = await web_site.graph.obj_get(Post, mine)
    assert post is not None
    address = path.format(post=mine, id=ann.id, name=ann.username, photo=post.data.photos[0].id)
    await build_timeline(web_site, ann)
    async with counted(web_site) as statements:
        assert (await ann.browser.get(address)).status == 200
    assert 0 < len(statements) <= STATEMENTS[path], "\n".join(statements)


WARM = {
    "/": 3,
    "/api/v1/timelines/home": 1,
    "/api/v1/accounts/{id}/statuses": 0,
    "/api/v1/notifications": 1,
    "/api/v1/markers": 0,
    "/p/{post}/": 0,
    "/@{name}/": 1,
    "/@{name}/followers/": 1,
    "/people/": 2,
    "/new/": 0,
    "/settings/profile/": 0,
    "/p/{post}/edit/": 0,
    "/media/{post}/{photo}/square.webp": 0,
}
"""At most, with a cache that has seen the page before: the viewer's timeline, and names of people one might know."""


@pytest.mark.memcached
@pytest.mark.parametrize("path", WARM)
async def test_a_warm_page_asks_the_databases_for_its_timeline_alone(
    path: str, ann_cached: Someone, bob: Someone, new_person: NewPerson, cached_web_site: Site
) -> None:
    for friend in (bob, await new_person()):
        await follow(ann_cached, friend)
        post_id = await friend.post_one()
        await ann_cached.browser.post(f"/p/{post_id}/comments/", {"text": "hello"})
    mine = await ann_cached.post_one()
    post = await cached_web_site.graph.obj_get(Post, mine)
    assert post is not None
    address = path.format(post=mine, id=ann_cached.id, name=ann_cached.username, photo=post.data.photos[0].id)
    ann_cached.browser.cookies.pop("ticket")
    await build_timeline(cached_web_site, ann_cached)
    await caught_up(cached_web_site)
    for _ in range(2):
        async with counted(cached_web_site) as statements:
            assert (await ann_cached.browser.get(address)).status == 200
    assert len(statements) <= WARM[path], "\n".join(statements)
    allowed = ("from timeline_heads", "order by a.time desc", "from claims")
    assert all(any(part in each for part in allowed) for each in statements), statements


async def test_a_persons_posts_come_as_statuses_in_pages(ann: Someone, bob: Someone) -> None:
    posts = [await bob.post_one() for _ in range(5)][::-1]
    await ann.post_one()
    address = f"/api/v1/accounts/{bob.id}/statuses"
    first = await ann.browser.get(f"{address}?limit=2")
    assert [int(status["id"]) for status in first.json()] == posts[:2]
    following = re.search(r'<http://testserver([^>]+)>; rel="next"', first.headers["link"])
    assert following is not None
    second = await ann.browser.get(following[1])
    assert [int(status["id"]) for status in second.json()] == posts[2:4]
    last = await ann.browser.get(f"{address}?limit=2&max_id={posts[3]}")
    assert [int(status["id"]) for status in last.json()] == posts[4:]
    assert 'rel="next"' not in last.headers["link"]
    newer = await ann.browser.get(f"{address}?limit=2&min_id={posts[3]}")
    assert [int(status["id"]) for status in newer.json()] == posts[1:3]


async def test_a_persons_statuses_are_there_for_those_who_may_see_the_profile(
    ann: Someone, bob: Someone, browser: Client, web_site: Site
) -> None:
    post = await bob.post_one()
    address = f"/api/v1/accounts/{bob.id}/statuses"
    (status,) = (await browser.get(address)).json()
    assert (status["id"], status["favourited"]) == (str(post), False)
    assert (await ann.browser.get(f"/api/v1/accounts/{post}/statuses")).status == 404
    await web_site.graph.obj_update(Person, bob.id, suspended=True)
    answer = await ann.browser.get(address)
    assert (answer.status, answer.error_code) == (404, "person_missing")
