"""Who blocks somebody and who is blocked are shown nothing of each other, and a removed follower's feed has nothing more."""

from __future__ import annotations

import re

import pytest

from calotype.config.wiring import outbox_handlers
from calotype.infra.tao import START, Sweep
from calotype.product.accounts.types import BLOCKS
from calotype.product.explore.actions import rank
from calotype.product.explore.queries import ranking_id
from calotype.product.explore.types import Ranked, Ranking
from calotype.product.feed.actions import build
from calotype.product.feed.queries import home, newer
from calotype.product.follows import actions
from calotype.product.follows.types import FOLLOWED_BY, FOLLOWS, Blocked, Followed
from calotype.product.notifications import actions as notifications
from calotype.web.site import Site
from tests.client import Client
from tests.outbox import all_done
from tests.product.test_timelines import AtOnce, post
from tests.web_fixtures import NewPerson, Someone

JSON = {"accept": "application/json"}


@pytest.fixture
def work(web_site: Site) -> Sweep:
    return Sweep(web_site.graph.shards, outbox_handlers(web_site, AtOnce(web_site)))


async def says(someone: Someone, post_id: int, text: str) -> int:
    answer = await someone.browser.post(f"/p/{post_id}/comments/", {"text": text}, headers=JSON)
    assert answer.status == 200, answer.text
    return int(answer.json()["id"])


async def blocks(blocker: Someone, blocked: Someone) -> None:
    assert (await blocker.browser.post(f"/@{blocked.username}/block/")).status == 303


async def pages_of(someone: Someone, post_id: int) -> list[str]:
    """Every address that shows a person or their post."""
    media = re.findall(r"/media/\d+/\d+/\d+\.jpeg", (await someone.browser.get(f"/p/{post_id}/")).text)
    return [
        f"/@{someone.username}/",
        f"/@{someone.username}/card/",
        f"/@{someone.username}/share/",
        f"/@{someone.username}/followers/",
        f"/@{someone.username}/following/",
        f"/api/v1/accounts/{someone.id}/statuses",
        f"/p/{post_id}/",
        f"/p/{post_id}/card/",
        f"/p/{post_id}/share/",
        *media[:1],
    ]


async def test_each_finds_nothing_of_the_other_and_everybody_else_finds_all(
    ann: Someone, bob: Someone, new_person: NewPerson, browser: Client
) -> None:
    other = await new_person()
    of_ann = await pages_of(ann, await ann.post_one("by ann"))
    of_bob = await pages_of(bob, await bob.post_one("by bob"))
    assert len(of_ann) == len(of_bob) == 10
    await blocks(ann, bob)
    for path in of_ann:
        assert (await bob.browser.get(path)).status == 404, path
        assert (await ann.browser.get(path)).status == 200, path
    for path in of_bob[1:]:
        assert (await ann.browser.get(path)).status == 404, path
    for who in (other.browser, browser):
        for path in (*of_ann, *of_bob):
            assert (await who.get(path)).status == 200, path


async def test_who_has_blocked_somebody_finds_how_to_undo_it(ann: Someone, bob: Someone) -> None:
    assert "Block" in (await ann.browser.get(f"/@{bob.username}/")).text
    asked = await ann.browser.get(f"/@{bob.username}/block/")
    assert "You will see nothing of each other" in asked.text
    assert f"/@{bob.username}/" not in (await ann.browser.get("/settings/blocked/")).text
    await blocks(ann, bob)
    await blocks(ann, bob)
    profile = await ann.browser.get(f"/@{bob.username}/")
    assert "You have blocked" in profile.text
    assert f"/@{bob.username}/unblock/" in profile.text
    assert f"/@{bob.username}/unblock/" in (await ann.browser.get("/settings/blocked/")).text
    assert bob.username not in (await bob.browser.get("/settings/blocked/")).text.split("<main")[1]
    assert (await ann.browser.post(f"/@{bob.username}/unblock/")).status == 303
    assert "You have blocked" not in (await ann.browser.get(f"/@{bob.username}/")).text
    assert (await bob.browser.get(f"/@{ann.username}/")).status == 200


async def test_neither_follows_the_other_after_a_block(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    for one, other in ((ann, bob), (bob, ann)):
        await actions.follow(web_site.graph, one.id, other.id)
    await actions.block(web_site.graph, ann.id, bob.id)
    await all_done(work)
    for one, other in ((ann, bob), (bob, ann)):
        assert not await web_site.graph.assoc_get(FOLLOWS, one.id, [other.id])
        assert not await web_site.graph.assoc_get(FOLLOWED_BY, one.id, [other.id])
        refused = await one.browser.post(f"/@{other.username}/follow/", headers=JSON)
        assert (refused.status, refused.error_code) == (404, "person_missing")


async def test_a_block_that_is_worked_on_late_leaves_what_was_followed_since(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    await actions.block(web_site.graph, ann.id, bob.id)
    (edge,) = await web_site.graph.assoc_get(BLOCKS, ann.id, [bob.id])
    await actions.unblock(web_site.graph, ann.id, bob.id)
    await actions.follow(web_site.graph, bob.id, ann.id)
    await actions.part(web_site.graph, Blocked(ann.id, bob.id, edge.time - 1))
    assert await web_site.graph.assoc_get(FOLLOWS, bob.id, [ann.id])


async def test_a_follow_that_was_written_during_a_block_is_taken_back(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    await actions.block(web_site.graph, ann.id, bob.id)
    await web_site.graph.assoc_add(FOLLOWS, bob.id, ann.id)  # it had looked before
    await actions.part_if_apart(web_site.graph, Followed(bob.id, ann.id))
    assert not await web_site.graph.assoc_get(FOLLOWS, bob.id, [ann.id])


async def test_feeds_show_nothing_of_it_even_before_the_follows_are_gone(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    for one, other in ((ann, bob), (bob, ann)):
        await build(web_site.graph, web_site.timelines, one.id, kept=800)
        await actions.follow(web_site.graph, one.id, other.id)
    await post(web_site, ann.id)
    await post(web_site, bob.id)
    await all_done(work)
    for one in (ann, bob):
        assert len((await home(web_site.graph, web_site.timelines, one.id, 20)).items) == 2
    await web_site.graph.assoc_add(BLOCKS, ann.id, bob.id)  # alone: both still follow each other
    for one in (ann, bob):
        page = await home(web_site.graph, web_site.timelines, one.id, 20)
        assert [item.author.id for item in page.items] == [one.id]
        assert await newer(web_site.graph, web_site.timelines, one.id, (1, 1), 20) == 1


async def test_comments_of_each_are_hidden_from_the_other_wherever_they_stand(
    ann: Someone, bob: Someone, new_person: NewPerson
) -> None:
    other = await new_person()
    post_id = await other.post_one()
    await says(ann, post_id, "ann was here")
    await says(bob, post_id, "bob was here")
    for one in (ann, bob):
        await one.browser.post(f"/@{other.username}/follow/")
    await blocks(ann, bob)
    for path in (f"/p/{post_id}/", "/", "/api/v1/timelines/home"):
        assert "bob was here" not in (await ann.browser.get(path)).text
        assert "ann was here" in (await ann.browser.get(path)).text
        assert "ann was here" not in (await bob.browser.get(path)).text
    assert "bob was here" in (await other.browser.get(f"/p/{post_id}/")).text


async def test_nothing_can_be_said_under_or_done_to_a_post_of_who_is_apart(
    ann: Someone, bob: Someone
) -> None:
    post_id = await ann.post_one()
    await bob.browser.post(f"/p/{post_id}/like/")
    await blocks(ann, bob)
    for path, fields in ((f"/p/{post_id}/like/", {}), (f"/p/{post_id}/comments/", {"text": "hm"})):
        refused = await bob.browser.post(path, fields, headers=JSON)
        assert (refused.status, refused.error_code) == (404, "post_missing")
    assert (await bob.browser.post(f"/p/{post_id}/unlike/", headers=JSON)).json()["likes"] == 0


async def test_a_name_of_who_is_apart_stays_text_and_tells_them_nothing(
    ann: Someone, bob: Someone, new_person: NewPerson, web_site: Site, work: Sweep
) -> None:
    other = await new_person()
    await notifications.build(web_site.graph, web_site.timelines, ann.id)
    post_id = await other.post_one()
    await says(bob, post_id, f"before, @{ann.username}")
    await all_done(work)
    assert "before" in (await ann.browser.get("/notifications/")).text
    await blocks(ann, bob)
    assert "before" not in (await ann.browser.get("/notifications/")).text
    assert "before" not in (await ann.browser.get("/api/v1/notifications")).text
    await says(bob, post_id, f"after, @{ann.username}")
    await all_done(work)
    assert "after" not in (await ann.browser.get("/notifications/")).text
    assert f'href="/@{ann.username}/"' not in (await bob.browser.get(f"/p/{post_id}/")).text.split("after")[1]


async def test_no_open_page_is_told_of_what_somebody_apart_did_just_before(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    await notifications.build(web_site.graph, web_site.timelines, ann.id)
    await web_site.graph.assoc_add(BLOCKS, ann.id, bob.id)
    await notifications.followed(web_site.graph, web_site.timelines, web_site.live, bob.id, ann.id, 1)
    page = await web_site.timelines.page(2, ann.id, START, 10)
    assert page is not None
    assert page.entries == []


async def test_explore_hashtags_and_suggestions_leave_out_who_is_apart(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    post_id = await bob.post_one("#apartness")
    await all_done(work)
    await rank(web_site.graph)
    await web_site.graph.obj_update(Ranking, ranking_id(web_site.graph), posts=[Ranked(post_id, 1.0)])
    paths = ("/explore/", "/tags/apartness/", "/api/v1/timelines/tag/apartness", "/api/v1/trends/statuses")
    for path in paths:
        assert f"{post_id}" in (await ann.browser.get(path)).text, path
    assert bob.username in (await ann.browser.get("/people/")).text
    await blocks(bob, ann)
    for path in paths:
        assert f"{post_id}" not in (await ann.browser.get(path)).text, path
    assert bob.username not in (await ann.browser.get("/people/")).text


async def test_a_removed_follower_follows_no_longer_and_is_not_told(
    ann: Someone, bob: Someone, web_site: Site, work: Sweep
) -> None:
    await build(web_site.graph, web_site.timelines, bob.id, kept=800)
    await actions.follow(web_site.graph, bob.id, ann.id)
    await post(web_site, ann.id)
    await all_done(work)
    assert "follows you" in (await ann.browser.get(f"/@{bob.username}/")).text
    followers = (await ann.browser.get(f"/@{ann.username}/followers/")).text
    assert f"/@{bob.username}/remove/" in followers
    assert f"/@{bob.username}/remove/" not in (await bob.browser.get(f"/@{ann.username}/followers/")).text
    assert "Remove" in (await ann.browser.get(f"/@{bob.username}/remove/")).text
    assert (await ann.browser.post(f"/@{bob.username}/remove/")).status == 303
    assert not (await home(web_site.graph, web_site.timelines, bob.id, 20)).items
    await ann.browser.get("/people/")  # takes the note of what was done
    assert "follows you" not in (await ann.browser.get(f"/@{bob.username}/")).text
    assert ann.username not in (await bob.browser.get("/notifications/")).text
    assert (await bob.browser.post(f"/@{ann.username}/follow/", headers=JSON)).json()["following"] is True


async def test_nobody_blocks_themselves_or_more_than_can_be_read(
    ann: Someone, bob: Someone, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await ann.browser.post(f"/@{ann.username}/block/", headers=JSON)
    assert (own.status, own.error_code) == (422, "cannot_block_oneself")
    monkeypatch.setattr(actions, "BLOCKING_LIMIT", 0)
    refused = await ann.browser.post(f"/@{bob.username}/block/", headers=JSON)
    assert (refused.status, refused.error_code) == (422, "blocking_limit")
    for path in ("block", "unblock", "remove"):
        answer = await browser.post(f"/@{bob.username}/{path}/", headers=JSON)
        assert answer.error_code == "not_signed_in"
    assert (await ann.browser.post("/@nobody-has-this/block/", headers=JSON)).error_code == "person_missing"
