"""Larger populations, to try a site at size: any number of people, photos, follows, likes and comments, by a fixed seed.

Written in batches through the graph, not through a request each. The follower graph has the shape of real ones: a
lognormal number of followees, a power law of followers, and some follows returned (figures: docs/product.md). Photographs
are the demo's, stored once: a thousand posts of one picture share its blobs, and deleting such a post keeps them.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, batched

import msgspec
from django.contrib.auth.hashers import make_password

from calotype.infra.blobs import blob_key
from calotype.infra.ids import shard_of
from calotype.infra.imaging import process
from calotype.infra.tao import Association, Edge, Node
from calotype.product.accounts.models import Account
from calotype.product.accounts.store import claim_many
from calotype.product.accounts.types import JOINED, Person, shard_root
from calotype.product.comments.types import AUTHORED_BY, HAS_COMMENT, Comment, Quote
from calotype.product.demo.credits import credits
from calotype.product.demo.people import PASSWORD
from calotype.product.follows.types import FOLLOWING_LIMIT, FOLLOWS
from calotype.product.likes.types import LIKES
from calotype.product.photos.actions import photo_of, prefix
from calotype.product.photos.types import POSTED, Photo, Post, posted_at
from calotype.std.deadline import deadline
from calotype.web.orm import in_thread
from calotype.web.site import Site

BATCH = 2_000
AT_ONCE = 4
"""Batches in flight: enough to keep both servers at work."""

BATCH_SECONDS = 120.0

Progress = Callable[[str, int, int], None]
"""Called with what is being made, how many are done, and of how many."""


@dataclass(frozen=True)
class Size:
    people: int
    photos_per_person: float = 2
    follows_per_person: float = 20
    likes_per_photo: float = 10
    comments_per_photo: float = 2
    seed: int = 1841


async def make_population(site: Site, size: Size, progress: Progress) -> list[int]:
    """Make it; the ids of the new people. Running it again with another seed adds to what is there."""
    chance = random.Random(size.seed)  # noqa: S311  # a reproducible population, not a secret
    stock = await _stock(site, progress)
    people = await _people(site, size, progress)
    follows = list(social_graph(len(people), size.follows_per_person, chance))
    await _edges(site, "follows", FOLLOWS, [(people[a], Edge(people[b], 0, 0)) for a, b in follows], progress)
    posts = await _posts(site, people, stock, round(size.people * size.photos_per_person), chance, progress)
    await _likes(site, people, posts, round(len(posts) * size.likes_per_photo), chance, progress)
    await _comments(site, people, posts, round(len(posts) * size.comments_per_photo), chance, progress)
    return people


async def _stock(site: Site, progress: Progress) -> list[Photo]:
    """The demo's photographs, stored once without a post of their own."""
    names = sorted(credits())
    ids = await site.graph.shards.next_ids(site.graph.shards.any_shard(), len(names))
    photos = []
    for done, (id_, name) in enumerate(zip(ids, names, strict=True)):
        data = credits()[name].path.read_bytes()
        made = await asyncio.get_running_loop().run_in_executor(site.imaging, process, data)
        for variant in made.variants:
            key = blob_key(f"{prefix(id_)}/{variant.file}")
            await site.blobs.put(key, variant.data, variant.content_type)
        photos.append(photo_of(id_, made, credits()[name].alt))
        progress("photographs", done + 1, len(names))
    return photos


async def _people(site: Site, size: Size, progress: Progress) -> list[int]:
    """People with accounts that share one password hash: hashing 50,000 of them would take an hour."""
    shards = site.graph.shards.placement.shards("people")
    password = await in_thread(make_password, PASSWORD)
    tag = hashlib.sha256(f"{size.seed}:{size.people}:{secrets.token_hex(4)}".encode()).hexdigest()[:5]
    ids: list[int] = []
    for numbers in batched(range(size.people), BATCH):
        rows = [
            (
                shards[n % len(shards)],
                Person(username=f"p{tag}_{n}", name=f"Person {n}", bio=f"Number {n} of a population."),
            )
            for n in numbers
        ]
        with deadline(BATCH_SECONDS):
            nodes = await site.graph.obj_add_many(Person, rows)
            await claim_many(site.graph, [(node.data.username, node.id) for node in nodes])
            joined = [
                (shard_root(shard), Edge(node.id, 0, 0)) for (shard, _), node in zip(rows, nodes, strict=True)
            ]
            await site.graph.assoc_add_many(JOINED, joined)
            accounts = [
                Account(
                    id=node.id,
                    username=node.data.username,
                    email=f"{node.data.username}@demo.example",
                    password=password,
                )
                for node in nodes
            ]
            await in_thread(Account.objects.bulk_create, accounts)
        ids += [node.id for node in nodes]
        progress("people", len(ids), size.people)
    return ids


async def _posts(
    site: Site,
    people: Sequence[int],
    stock: Sequence[Photo],
    amount: int,
    chance: random.Random,
    progress: Progress,
) -> list[int]:
    """Posts spread over the last 30 days. Everybody posts about equally often, in an order by chance."""
    now = int(time.time() * 1000)
    authors = [people[n % len(people)] for n in range(amount)]
    chance.shuffle(authors)
    ids: list[int] = []
    for some in batched(authors, BATCH):
        rows = []
        for author in some:
            photo = chance.choice(stock)
            at = now - chance.randrange(30 * 86_400_000)
            rows.append(
                (
                    shard_of(author),
                    Post(author=author, photos=[photo], caption=photo.alt, at=at, borrowed=True),
                )
            )
        with deadline(BATCH_SECONDS):
            nodes = await site.graph.obj_add_many(Post, rows)
            posted = [(node.data.author, Edge(node.id, posted_at(node), 0)) for node in nodes]
            await site.graph.assoc_add_many(POSTED, posted)
        ids += [node.id for node in nodes]
        progress("posts", len(ids), amount)
    return ids


async def _likes(
    site: Site,
    people: Sequence[int],
    posts: Sequence[int],
    amount: int,
    chance: random.Random,
    progress: Progress,
) -> None:
    pairs: set[tuple[int, int]] = set()
    reach = len(people) * len(posts)
    while len(pairs) < min(amount, reach):
        pairs.add((chance.randrange(len(people)), _popular(len(posts), chance)))
    rows = [(people[a], Edge(posts[b], 0, 0)) for a, b in sorted(pairs)]
    await _edges(site, "likes", LIKES, rows, progress)


async def _comments(
    site: Site,
    people: Sequence[int],
    posts: Sequence[int],
    amount: int,
    chance: random.Random,
    progress: Progress,
) -> None:
    sayings = (
        "Beautiful light.",
        "Where is this?",
        "This one stays with me.",
        "The colours!",
        "Again, please.",
        "Wow.",
    )
    written = 0
    for numbers in batched(range(amount), BATCH):
        rows = []
        for _ in numbers:
            post = posts[_popular(len(posts), chance)]
            rows.append(
                (
                    shard_of(post),
                    Comment(author=chance.choice(people), post=post, text=chance.choice(sayings)),
                )
            )
        with deadline(BATCH_SECONDS):
            nodes = await site.graph.obj_add_many(Comment, rows)
            await site.graph.assoc_add_many(HAS_COMMENT, [_under(node) for node in nodes])
            await site.graph.assoc_add_many(
                AUTHORED_BY, [(node.id, Edge(node.data.author, 0, 0)) for node in nodes]
            )
        written += len(nodes)
        progress("comments", written, amount)


def _under(comment: Node[Comment]) -> tuple[int, Edge]:
    """The edge from a post to a comment, with what is shown of it."""
    return comment.data.post, Edge(
        comment.id, 0, 0, msgspec.json.encode(Quote(comment.data.author, comment.data.text))
    )


def _popular(amount: int, chance: random.Random) -> int:
    """An index by chance, low ones more often: some posts are liked by very many."""
    return int(amount * chance.random() ** 1.6)


async def _edges(
    site: Site, what: str, association: Association, rows: Sequence[tuple[int, Edge]], progress: Progress
) -> None:
    """Write edges in batches, a few in flight at a time."""
    turn = asyncio.Semaphore(AT_ONCE)
    done = 0

    async def write(batch: Sequence[tuple[int, Edge]]) -> None:
        nonlocal done
        async with turn:
            with deadline(BATCH_SECONDS):
                await site.graph.assoc_add_many(association, batch)
        done += len(batch)
        progress(what, done, len(rows))

    for chunk in batched(rows, BATCH * AT_ONCE * 4):
        await asyncio.gather(*(write(batch) for batch in batched(chunk, BATCH)))


def social_graph(people: int, mean: float, chance: random.Random) -> Iterator[tuple[int, int]]:
    """Directed follows (from, to) between `people`, about `mean` each, no pair twice, nobody themselves.

    Lognormal out-degree (sigma 1.2), in-degree with a power-law tail (weights Pareto, exponent about 2.2), and a follow
    returned with a chance that falls with the followee's popularity. After the published graphs of Flickr and Twitter
    (mean 14 to 35, exponent 1.7 to 2.3, reciprocity 0.2 to 0.6; KONECT, Kwak et al. 2010).
    """
    if people < 2:
        return
    mean = min(mean, (people - 1) / 2)
    returned = 0.35
    weights = [min((1 - chance.random()) ** (-1 / 1.2), people / 20 + 1) for _ in range(people)]
    cumulative = list(accumulate(weights))
    total = cumulative[-1]
    typical = sorted(weights)[people // 2]
    target = round(people * mean)
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < target:
        follower = chance.randrange(people)
        wanted = min(
            int(chance.lognormvariate(0, 1.2) * mean / 2) + 1,
            FOLLOWING_LIMIT,
            people - 1,
            target - len(pairs),
        )
        for _ in range(wanted):
            followee = bisect(cumulative, chance.random() * total)
            if followee == follower or followee >= people:
                continue
            pairs.add((follower, followee))
            if chance.random() < returned * min(1.0, 4 * typical / weights[followee]):
                pairs.add((followee, follower))
    yield from sorted(pairs)
