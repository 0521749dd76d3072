"""What the feed's modules ask for: likes and comments as JSON, the list alone, how many posts are newer, how one reads."""

from __future__ import annotations

import re

import pytest

from calotype.product.feed import actions
from calotype.web.site import Site
from tests.client import Client
from tests.statements import counted
from tests.web_fixtures import NewPerson, Someone

JSON = {"accept": "application/json"}
ALONE = {"x-fragment": "1"}


async def follow(follower: Someone, followee: Someone) -> None:
    assert (await follower.browser.post(f"/@{followee.username}/follow/")).status == 303


def places(page: str) -> list[str]:
    return re.findall(r'data-place="(\d+-\d+)"', page)


# Likes


async def test_a_module_hears_how_many_like_a_post(ann: Someone, bob: Someone) -> None:
    post_id = await bob.post_one()
    await bob.browser.post(f"/p/{post_id}/like/")
    answer = await ann.browser.post(f"/p/{post_id}/like/", headers=JSON)
    assert (answer.status, answer.json()) == (200, {"liked": True, "likes": 2})
    answer = await ann.browser.post(f"/p/{post_id}/like/", headers=JSON)
    assert answer.json() == {"liked": True, "likes": 2}
    answer = await ann.browser.post(f"/p/{post_id}/unlike/", headers=JSON)
    assert answer.json() == {"liked": False, "likes": 1}


@pytest.mark.memcached
async def test_the_number_of_likes_is_never_from_before_the_like(ann_cached: Someone, bob: Someone) -> None:
    post_id = await bob.post_one()
    await ann_cached.browser.get(f"/p/{post_id}/")
    for liked in (True, False, True):
        path = f"/p/{post_id}/{'like' if liked else 'unlike'}/"
        answer = await ann_cached.browser.post(path, headers=JSON)
        assert answer.json() == {"liked": liked, "likes": int(liked)}


async def test_a_like_on_a_post_that_was_just_deleted_says_so(ann: Someone, bob: Someone) -> None:
    post_id = await bob.post_one()
    await bob.browser.post(f"/p/{post_id}/delete/")
    for path in (f"/p/{post_id}/like/", f"/p/{post_id}/unlike/"):
        answer = await ann.browser.post(path, headers=JSON)
        assert (answer.status, answer.error_code) == (404, "post_missing")


async def test_a_like_needs_an_account(browser: Client, bob: Someone) -> None:
    post_id = await bob.post_one()
    answer = await browser.post(f"/p/{post_id}/like/", headers=JSON)
    assert (answer.status, answer.error_code) == (401, "not_signed_in")


# Comments


@pytest.mark.parametrize(("where", "tag"), [("post", "<li"), ("feed", "<p"), ("elsewhere", "<p")])
async def test_a_module_has_a_comment_back_as_the_page_shows_it(
    where: str, tag: str, ann: Someone, bob: Someone
) -> None:
    post_id = await bob.post_one()
    fields = {"text": f"Hi <i>you</i> @{bob.username} #blue", "in": where}
    answer = await ann.browser.post(f"/p/{post_id}/comments/", fields, headers=JSON)
    assert answer.status == 200
    comment = answer.json()
    assert comment["html"].strip().startswith(tag)
    assert "Hi &lt;i&gt;you&lt;/i&gt;" in comment["html"]
    assert f'href="/@{bob.username}/"' in comment["html"]
    assert comment["id"] in comment["html"]
    assert ann.username in comment["html"]
    page = (await ann.browser.get(f"/p/{post_id}/")).text
    assert f'id="comment-{comment["id"]}"' in page


async def test_deleting_a_comment_that_a_module_put_there_leads_back_to_its_post(
    ann: Someone, bob: Someone
) -> None:
    post_id = await bob.post_one()
    answer = await ann.browser.post(f"/p/{post_id}/comments/", {"text": "a", "in": "post"}, headers=JSON)
    assert f'name="next" value="/p/{post_id}/#comments"' in answer.json()["html"]


async def test_a_comment_that_is_sent_twice_counts_once(ann: Someone, bob: Someone) -> None:
    post_id = await bob.post_one()
    key = {**JSON, "idempotency-key": "a key"}
    first, second = [
        (await ann.browser.post(f"/p/{post_id}/comments/", {"text": "once"}, headers=key)).json()
        for _ in range(2)
    ]
    assert first["id"] == second["id"]
    assert (await ann.browser.get(f"/p/{post_id}/")).text.count('class="comment"') == 1


async def test_a_comment_that_is_refused_says_why(ann: Someone, bob: Someone) -> None:
    post_id = await bob.post_one()
    for text in ("", "a" * 1_001, "dir\u202eection"):
        answer = await ann.browser.post(f"/p/{post_id}/comments/", {"text": text}, headers=JSON)
        assert (answer.status, answer.error_code) == (422, "comment_invalid")
        assert answer.json()["error"]["message"]


async def test_a_comment_repeated_after_it_was_deleted_is_missing(ann: Someone, bob: Someone) -> None:
    post_id = await bob.post_one()
    key = {**JSON, "idempotency-key": "another key"}
    path = f"/p/{post_id}/comments/"
    comment = (await ann.browser.post(path, {"text": "gone"}, headers=key)).json()
    deleted = await ann.browser.post(f"{path}{comment['id']}/delete/", headers=JSON)
    assert (deleted.status, deleted.body) == (204, b"")
    answer = await ann.browser.post(path, {"text": "gone"}, headers=key)
    assert (answer.status, answer.error_code) == (404, "comment_missing")


async def test_a_module_deletes_a_comment_without_a_note_for_the_next_page(
    ann: Someone, bob: Someone
) -> None:
    post_id = await bob.post_one()
    path = f"/p/{post_id}/comments/"
    comment = (await ann.browser.post(path, {"text": "gone"}, headers=JSON)).json()
    await ann.browser.post(f"{path}{comment['id']}/delete/", headers=JSON)
    assert "The comment is deleted" not in (await ann.browser.get("/")).text


async def test_nobody_deletes_what_somebody_else_said_under_somebody_elses_post(
    ann: Someone, bob: Someone, new_person: NewPerson
) -> None:
    post_id = await bob.post_one()
    path = f"/p/{post_id}/comments/"
    comment = (await ann.browser.post(path, {"text": "stays"}, headers=JSON)).json()
    stranger = await new_person()
    answer = await stranger.browser.post(f"{path}{comment['id']}/delete/", headers=JSON)
    assert (answer.status, answer.error_code) == (403, "not_your_comment")


# The list


async def test_the_list_alone_is_that_of_the_page(ann: Someone, bob: Someone) -> None:
    await follow(ann, bob)
    for _ in range(3):
        await bob.post_one()
    page, alone = await ann.browser.get("/"), await ann.browser.get("/", headers=ALONE)
    assert places(alone.text) == places(page.text)
    assert len(places(alone.text)) == 3
    assert "<html" not in alone.text
    assert "data-feed-end" in alone.text
    for answer in (page, alone):
        assert "X-Fragment" in answer.headers["vary"]


async def test_the_places_of_posts_are_where_the_list_can_go_on(ann: Someone, bob: Someone) -> None:
    await follow(ann, bob)
    posts = [await bob.post_one() for _ in range(4)][::-1]
    found = places((await ann.browser.get("/", headers=ALONE)).text)
    assert [int(place.partition("-")[2]) for place in found] == posts
    rest = await ann.browser.get(f"/?before={found[1]}", headers=ALONE)
    assert places(rest.text) == found[2:]
    assert "Back to the start" not in rest.text
    assert "Back to the start" in (await ann.browser.get(f"/?before={found[1]}")).text


async def test_the_list_alone_asks_less_than_the_page(ann: Someone, bob: Someone, web_site: Site) -> None:
    await follow(ann, bob)
    await bob.post_one()
    async with counted(web_site) as page:
        await ann.browser.get("/")
    async with counted(web_site) as alone:
        await ann.browser.get("/", headers=ALONE)
    assert len(alone) < len(page)


async def test_the_list_alone_is_for_nobody_who_is_not_signed_in(browser: Client) -> None:
    answer = await browser.get("/", headers=ALONE)
    assert (answer.status, answer.error_code) == (401, "not_signed_in")


@pytest.mark.parametrize("place", ["x", "-", "1-", "9" * 30 + "-1", "1-" + "9" * 30])
async def test_a_place_that_is_none_is_refused(place: str, ann: Someone) -> None:
    for path in (f"/?before={place}", f"/feed/newer/?after={place}"):
        answer = await ann.browser.get(path, headers=JSON)
        assert (answer.status, answer.error_code) == (400, "cursor_invalid")


# What is newer


async def test_how_many_posts_are_newer(ann: Someone, bob: Someone, new_person: NewPerson) -> None:
    stranger = await new_person()
    await follow(ann, bob)
    await bob.post_one()
    (place,) = places((await ann.browser.get("/")).text)
    newer = f"/feed/newer/?after={place}"
    assert (await ann.browser.get(newer)).json() == {"newer": 0}
    await stranger.post_one()
    gone = await bob.post_one()
    await ann.post_one()
    assert (await ann.browser.get(newer)).json() == {"newer": 2}
    await bob.browser.post(f"/p/{gone}/delete/")
    assert (await ann.browser.get(newer)).json() == {"newer": 1}
    await bob.post_one()
    await ann.browser.post(f"/@{bob.username}/unfollow/")
    assert (await ann.browser.get(newer)).json() == {"newer": 1}


async def test_nothing_is_newer_than_the_start_of_the_list(ann: Someone) -> None:
    await ann.post_one()
    assert (await ann.browser.get("/feed/newer/")).json() == {"newer": 0}


async def test_what_is_newer_costs_few_statements(ann: Someone, bob: Someone, web_site: Site) -> None:
    await follow(ann, bob)
    await bob.post_one()
    (place,) = places((await ann.browser.get("/")).text)
    await bob.post_one()
    await actions.build(web_site.graph, web_site.timelines, ann.id, kept=800)
    async with counted(web_site) as statements:
        assert (await ann.browser.get(f"/feed/newer/?after={place}")).json() == {"newer": 1}
    assert len(statements) <= 9, "\n".join(statements)


async def test_what_is_newer_is_told_to_nobody_who_is_not_signed_in(browser: Client) -> None:
    answer = await browser.get("/feed/newer/", headers=JSON)
    assert (answer.status, answer.error_code) == (401, "not_signed_in")


# How one reads


async def test_whoever_wants_a_button_has_one_wherever_they_log_in(ann: Someone, bob: Someone) -> None:
    await follow(ann, bob)
    await bob.post_one()
    assert "data-by-button" not in (await ann.browser.get("/")).text
    saved = await ann.browser.post("/settings/feed/", {"by_button": "on"})
    assert (saved.status, saved.location) == (303, "/settings/feed/")
    assert "checked" in (await ann.browser.get("/settings/feed/")).text
    assert "data-by-button" in (await ann.browser.get("/")).text
    assert "data-by-button" in (await ann.browser.get("/", headers=ALONE)).text
    await ann.browser.post("/settings/feed/", {})
    assert "data-by-button" not in (await ann.browser.get("/")).text


async def test_how_one_reads_is_for_nobody_who_is_not_signed_in(browser: Client) -> None:
    answer = await browser.get("/settings/feed/")
    assert (answer.status, answer.error_code) == (401, "not_signed_in")
