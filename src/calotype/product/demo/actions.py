"""Fill a site with the demo, through the same actions that people use: it is also a smoke test of them.

Every step may be repeated: what is there already stays as it is, so an interrupted run is simply run again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from calotype.product.accounts import actions as accounts
from calotype.product.accounts.avatars import set_avatar
from calotype.product.accounts.queries import PersonMissing, named
from calotype.product.accounts.types import AccountId
from calotype.product.comments import actions as comments
from calotype.product.comments.types import HAS_COMMENT
from calotype.product.demo.credits import credits
from calotype.product.demo.people import FOLLOWS, PASSWORD, PEOPLE, POSTS, DemoPerson, DemoPost
from calotype.product.follows.actions import follow
from calotype.product.likes.actions import like
from calotype.product.photos.actions import Upload, publish
from calotype.product.photos.types import PostId
from calotype.std.deadline import deadline
from calotype.web.site import Site

SEED = 1841
"""The year of the calotype's patent: who likes what is the same in every demo."""

STEP_SECONDS = 60.0
COMMENT_AFTER_MS = 45 * 60_000

Progress = Callable[[int, int], None]


async def make_demo(site: Site, progress: Progress) -> None:
    """A dozen people, their photographs, follows, likes and comments. Calls `progress(done, of)` after each step."""
    steps = len(PEOPLE) + len(POSTS)
    ids: dict[str, AccountId] = {}
    for done, person in enumerate(PEOPLE):
        with deadline(STEP_SECONDS):
            ids[person.username] = await _person(site, person)
        progress(done + 1, steps)
    for follower, followees in FOLLOWS.items():
        for followee in followees.split():
            await follow(site.graph, ids[follower], ids[followee])
    chance = random.Random(SEED)  # noqa: S311  # who likes what, not a secret
    for done, post in enumerate(POSTS):
        with deadline(STEP_SECONDS):
            await _post(site, ids, post, chance)
        progress(len(PEOPLE) + done + 1, steps)


async def _person(site: Site, person: DemoPerson) -> AccountId:
    try:
        node = await named(site.graph, person.username)
    except PersonMissing:
        email = f"{person.username}@demo.example"
        account_id = await accounts.sign_up(
            site.graph, username=person.username, email=email, password=PASSWORD, name=person.name
        )
    else:
        account_id = AccountId(node.id)
        if node.data.avatar:
            return account_id
    await accounts.change_profile(
        site.graph, account_id, name=person.name, bio=person.bio, website=person.website
    )
    await set_avatar(site, account_id, credits()[person.picture].path.read_bytes())
    return account_id


async def _post(site: Site, ids: dict[str, AccountId], post: DemoPost, chance: random.Random) -> None:
    uploads = [
        Upload(credits()[name].file, credits()[name].path.read_bytes(), credits()[name].alt)
        for name in post.photos
    ]
    at_ms = int((time.time() - post.hours_ago * 3600) * 1000)
    published = await publish(
        site, ids[post.author], uploads, post.caption, key=f"demo:{'+'.join(post.photos)}", at_ms=at_ms
    )
    post_id = PostId(published.posts[0])
    for username, account_id in ids.items():
        if username != post.author and chance.random() < 0.55:
            await like(site.graph, account_id, post_id)
    if await site.graph.assoc_count(HAS_COMMENT, post_id) == 0:
        for n, (username, text) in enumerate(post.said, start=1):
            said_ms = at_ms + n * min(
                COMMENT_AFTER_MS, int(post.hours_ago * 3_600_000) // (len(post.said) + 1)
            )
            await comments.add(site.graph, ids[username], post_id, text, at_ms=said_ms)
