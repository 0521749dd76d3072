"""The demo, and populations."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from calotype.infra.tao import Edge, Sweep
from calotype.infra.tao.check import check_graph
from calotype.product.accounts.queries import named
from calotype.product.accounts.types import AccountId, Person
from calotype.product.comments.types import HAS_COMMENT, Comment
from calotype.product.demo.actions import make_demo
from calotype.product.demo.credits import credits
from calotype.product.demo.people import FOLLOWS as DEMO_FOLLOWS
from calotype.product.demo.people import PASSWORD, PEOPLE, POSTS
from calotype.product.demo.population import Size, make_population, social_graph
from calotype.product.follows.types import FOLLOWED_BY, FOLLOWS
from calotype.product.photos import actions, changes
from calotype.product.photos.types import POSTED, Post, PostId
from calotype.web.handler import LeanHandler
from calotype.web.site import Site
from tests.client import Client
from tests.outbox import all_done
from tests.web_fixtures import Someone, new_address


@pytest.fixture(scope="module")
async def demo(web_site: Site) -> Site:
    await make_demo(web_site, lambda done, total: None)
    return web_site


async def test_jan_says_contemplative_cat_under_pats_photo(demo: Site) -> None:
    jan, pat = await named(demo.graph, "jan"), await named(demo.graph, "pat")
    assert await demo.graph.assoc_get(FOLLOWS, jan.id, [pat.id]) != []
    (posted,) = await demo.graph.assoc_range(POSTED, pat.id, 0, 5)
    post = await demo.graph.obj_get(Post, posted.id2)
    assert post is not None
    assert post.data.photos[0].alt == credits()["contemplative-cat"].alt
    (edge,) = await demo.graph.assoc_range(HAS_COMMENT, post.id, 0, 5)
    comment = await demo.graph.obj_get(Comment, edge.id2)
    assert comment is not None
    assert (comment.data.author, comment.data.text) == (jan.id, "Contemplative cat!")


async def test_making_the_demo_again_changes_nothing(demo: Site) -> None:
    async def state() -> list[tuple[int, list[Edge], list[Edge]]]:
        people = [await named(demo.graph, person.username) for person in PEOPLE]
        return [
            (
                person.version,
                await demo.graph.assoc_range(POSTED, person.id, 0, 100),
                await demo.graph.assoc_range(FOLLOWED_BY, person.id, 0, 100),
            )
            for person in people
        ]

    before = await state()
    await make_demo(demo, lambda done, total: None)
    assert await state() == before


def test_every_demo_photo_has_a_credit_and_a_description() -> None:
    used = {name for post in POSTS for name in post.photos} | {person.picture for person in PEOPLE}
    assert used == set(credits())
    assert all(
        credit.author and credit.licence and credit.alt and credit.path.is_file()
        for credit in credits().values()
    )


def test_demo_people_follow_each_other_in_part() -> None:
    pairs = {(follower, followee) for follower, all_ in DEMO_FOLLOWS.items() for followee in all_.split()}
    returned = sum((followee, follower) in pairs for follower, followee in pairs) / len(pairs)
    assert {name for pair in pairs for name in pair} == {person.username for person in PEOPLE}
    assert 0.25 < returned < 0.75


async def test_the_credits_are_shown(browser: Client) -> None:
    page = (await browser.get("/about/photos/")).text
    for credit in credits().values():
        assert credit.licence in page
    assert (await browser.get("/about/photos/fig.jpg")).headers["content-type"] == "image/jpeg"
    assert (await browser.get("/about/photos/nothing.jpg")).status == 404


async def test_a_population_is_whole_and_its_people_can_log_in(web_site: Site, handler: LeanHandler) -> None:
    steps: list[tuple[str, int, int]] = []
    size = Size(
        people=60, photos_per_person=2, follows_per_person=8, likes_per_photo=4, comments_per_photo=1, seed=7
    )
    ids = await make_population(web_site, size, lambda *step: steps.append(step))
    assert len(set(ids)) == 60
    follows = await web_site.graph.assoc_count_many(FOLLOWS, ids)
    assert sum(follows.values()) == pytest.approx(60 * 8, rel=0.1)
    assert sum((await web_site.graph.assoc_count_many(FOLLOWED_BY, ids)).values()) == sum(follows.values())
    assert sum((await web_site.graph.assoc_count_many(POSTED, ids)).values()) == 120
    assert all(done <= total for _, done, total in steps)
    assert (await check_graph(web_site.graph)).wrong == 0
    person = await web_site.graph.obj_get(Person, ids[0])
    assert person is not None
    browser = Client(handler, address=new_address())
    answer = await browser.post("/log-in/", {"username": person.data.username, "password": PASSWORD})
    assert answer.status == 303
    assert (await browser.get("/")).status == 200
    assert (await browser.get(f"/@{person.data.username}/")).status == 200


async def test_deleting_a_borrowed_photo_leaves_it_to_others(
    ann: Someone, web_site: Site, sweep: Sweep
) -> None:
    size = Size(
        people=2, photos_per_person=1, follows_per_person=0, likes_per_photo=0, comments_per_photo=0, seed=8
    )
    ids = await make_population(web_site, size, lambda *step: None)
    (edge,) = await web_site.graph.assoc_range(POSTED, ids[0], 0, 5)
    post = await web_site.graph.obj_get(Post, edge.id2)
    assert post is not None
    await changes.delete(web_site.graph, AccountId(ids[0]), PostId(post.id))
    await all_done(sweep)
    photo = post.data.photos[0]
    assert [info async for info in web_site.blobs.list(actions.prefix(photo.id))] != []


def test_the_social_graph_has_the_shape_of_real_ones() -> None:
    people, mean = 3000, 20.0
    pairs = list(social_graph(people, mean, random.Random(1)))
    followers, followees = Counter(b for _, b in pairs), Counter(a for a, _ in pairs)
    assert len(pairs) == pytest.approx(people * mean, rel=0.05)
    assert len(set(pairs)) == len(pairs)
    assert all(a != b for a, b in pairs)
    assert max(followers.values()) > 10 * mean, "nobody is famous"
    ordered = sorted(followees.values())
    assert ordered[len(ordered) // 2] < mean, "the number of followees is not skewed"
    known = set(pairs)
    assert 0.15 < sum((b, a) in known for a, b in pairs) / len(pairs) < 0.7
    assert pairs == list(social_graph(people, mean, random.Random(1)))
