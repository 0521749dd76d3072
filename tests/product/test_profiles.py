"""Grids page by page, what is shown of what is pointed at, and following without leaving the page."""

from __future__ import annotations

import re

import pytest

from calotype.product.accounts.types import Person
from calotype.web.rate_limits import RateLimit
from calotype.web.site import Site
from tests.client import Client
from tests.product.test_timelines import post
from tests.statements import counted
from tests.web_fixtures import NewPerson, Someone

FRAGMENT = {"x-fragment": "1"}
JSON = {"accept": "application/json"}


def posts_in(text: str) -> list[int]:
    return [int(id_) for id_ in dict.fromkeys(re.findall(r'href="/p/(\d+)/"', text))]


async def test_a_grid_is_sent_alone_page_by_page_until_its_end(
    ann: Someone, browser: Client, web_site: Site
) -> None:
    posts = [await post(web_site, ann.id) for _ in range(65)][::-1]
    found: list[int] = []
    older = ""
    while True:
        part = await browser.get(f"/@{ann.username}/?before={older}", FRAGMENT)
        assert part.status == 200
        assert part.text.lstrip().startswith('<ul class="grid"')
        found += posts_in(part.text)
        (older,) = re.findall(r'data-older="([^"]*)"', part.text)
        if not older:
            break
    assert found == posts


async def test_a_part_of_a_page_is_never_shown_in_place_of_it(ann: Someone, browser: Client) -> None:
    for path in (f"/@{ann.username}/", "/explore/", "/tags/fern/", f"/@{ann.username}/followers/"):
        whole, part = await browser.get(path), await browser.get(path, FRAGMENT)
        assert "<html" in whole.text
        assert "<html" not in part.text
        for answer in (whole, part):
            assert "X-Fragment" in answer.headers["vary"]
            assert answer.headers["cache-control"] == "private, no-cache"


async def test_a_grid_alone_asks_for_less_than_its_page(
    ann: Someone, browser: Client, web_site: Site
) -> None:
    await post(web_site, ann.id)
    costs = []
    for headers in ({}, FRAGMENT):
        async with counted(web_site) as statements:
            await browser.get(f"/@{ann.username}/", headers)
        costs.append(len(statements))
    assert costs[1] <= 4 < costs[0]


async def test_the_card_of_a_person_says_what_their_profile_says(
    ann: Someone, bob: Someone, browser: Client
) -> None:
    post_id = await ann.post_one()
    await bob.browser.post(f"/@{ann.username}/follow/")
    card = (await bob.browser.get(f"/@{ann.username}/card/")).text
    assert "<html" not in card
    assert ann.username in card
    assert f"/media/{post_id}/" in card
    assert 'aria-pressed="true"' in card
    assert "<b>1</b> <span>follower</span>" in card
    assert "<form" not in (await browser.get(f"/@{ann.username}/card/")).text


async def test_the_card_of_a_post_counts_and_escapes(ann: Someone, bob: Someone, browser: Client) -> None:
    post_id = await ann.post_one("<script>alert(1)</script>")
    await bob.browser.post(f"/p/{post_id}/like/")
    for _ in range(2):
        await bob.browser.post(f"/p/{post_id}/comments/", {"text": "hm"})
    card = (await browser.get(f"/p/{post_id}/card/")).text
    assert '1<span class="vh"> like</span>' in card
    assert '2<span class="vh"> comments</span>' in card
    assert "<script" not in card


async def test_following_as_json_says_how_it_stands(ann: Someone, bob: Someone) -> None:
    for _ in range(2):
        answer = await ann.browser.post(f"/@{bob.username}/follow/", headers=JSON)
        assert answer.json() == {"following": True, "followers": 1}
    answer = await ann.browser.post(f"/@{bob.username}/unfollow/", headers=JSON)
    assert answer.json() == {"following": False, "followers": 0}


async def test_a_follow_that_is_refused_says_why_as_json(
    ann: Someone, bob: Someone, browser: Client, web_site: Site
) -> None:
    own = await ann.browser.post(f"/@{ann.username}/follow/", headers=JSON)
    assert (own.status, own.error_code) == (422, "cannot_follow_oneself")
    assert (await browser.post(f"/@{bob.username}/follow/", headers=JSON)).error_code == "not_signed_in"
    await web_site.graph.obj_update(Person, bob.id, suspended=True)
    gone = await ann.browser.post(f"/@{bob.username}/follow/", headers=JSON)
    assert (gone.status, gone.error_code) == (404, "person_missing")


async def test_who_follows_in_bulk_is_told_when_to_go_on(
    ann: Someone, bob: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "calotype.product.follows.views.BY_ACCOUNT", RateLimit("follow", amount=2, seconds=3600)
    )
    path = f"/@{bob.username}/follow/"
    answers = [await ann.browser.post(path, headers=JSON) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 3600
    assert re.search(r"Try again in (a minute|\d+ minutes)\.", answers[2].json()["error"]["message"])
    assert (await bob.browser.post(f"/@{ann.username}/follow/", headers=JSON)).status == 200
    stopped = await ann.browser.post(f"/@{bob.username}/unfollow/", headers=JSON)
    assert stopped.json() == {"following": False, "followers": 0}


async def test_people_are_sent_page_by_page(
    ann: Someone, new_person: NewPerson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calotype.product.follows.views.PEOPLE_A_PAGE", 2)
    followers = [await new_person() for _ in range(3)]
    for each in followers:
        await each.browser.post(f"/@{ann.username}/follow/")
    first = (await ann.browser.get(f"/@{ann.username}/followers/", FRAGMENT)).text
    (older,) = re.findall(r'data-older="([^"]*)"', first)
    last = (await ann.browser.get(f"/@{ann.username}/followers/?before={older}", FRAGMENT)).text
    assert [re.findall(r'id="person-(\d+)"', text) for text in (first, last)] == [
        [str(followers[2].id), str(followers[1].id)],
        [str(followers[0].id)],
    ]
    assert 'data-older=""' in last
