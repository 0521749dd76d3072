"""Making the ranking."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import batched

from calotype.infra.ids import shard_of
from calotype.infra.tao import Graph, Node, ObjectMissing
from calotype.product.accounts.queries import people
from calotype.product.comments.queries import comment_counts, commenters
from calotype.product.explore.queries import ranking, ranking_id
from calotype.product.explore.types import (
    COMMENT_POINTS,
    KEPT,
    OF_ONE_AUTHOR,
    WINDOW_MS,
    Ranked,
    Ranking,
    score,
)
from calotype.product.likes.queries import like_counts
from calotype.product.likes.types import LIKES
from calotype.product.photos.types import Post, posted_at

CANDIDATES = 6_000
PER_SHARD = 10
"""The newest posts of the site that are looked at, and of each logical shard in any case."""

SCANNED = 20
"""Rows looked at for each of them: a shard holds people and comments too."""

SHORT_LIST = 1_000
"""Of the candidates, those whose likes and comments are looked at one by one."""

AT_ONCE = 1_000
"""Lists of one read."""

TALKERS = 50
"""The last comments of a post whose authors are counted."""


async def rank(graph: Graph, now_ms: int | None = None) -> Ranking:
    """Make the ranking and put it in the place of the one before. Durable when it returns; idempotent.

    Whatever the size of the site it reads a bounded number of posts: the newest of each shard, and those of the ranking
    before, so that what has become popular stays while newer posts push it out of the newest.
    """
    now = int(time.time() * 1000) if now_ms is None else now_ms
    fresh = Graph(graph.shards)
    candidates = await _candidates(fresh, now)
    short = await _short_list(fresh, candidates)
    points = await _points(fresh, short)
    authors = await people(fresh, {post.data.author for post in short}, None)
    best = sorted(
        (
            (score(points[post.id], posted_at(post)), post)
            for post in short
            if points[post.id] and post.data.author in authors
        ),
        key=lambda each: (each[0], each[1].id),
        reverse=True,
    )
    made = Ranking(_spread(best), now)
    await _store(graph, made)
    return made


async def _candidates(fresh: Graph, now: int) -> list[Node[Post]]:
    shards = len(fresh.shards.placement.shards("media"))
    per_shard = max(PER_SHARD, CANDIDATES // shards)
    newest = await fresh.obj_newest(
        Post, since_ms=now - WINDOW_MS, per_shard=per_shard, scanned_per_shard=SCANNED * per_shard
    )
    found = {post.id: post for post in newest}
    before = await ranking(fresh)
    if before is not None:
        found |= await fresh.obj_get_many(
            Post, [each.post for each in before.posts if each.post not in found]
        )
    # An id is as old as the upload; an import may be of long ago, or of tomorrow.
    return [post for post in found.values() if now - WINDOW_MS <= posted_at(post) <= now]


async def _short_list(fresh: Graph, candidates: Sequence[Node[Post]]) -> list[Node[Post]]:
    """The best by counts alone, which say at least as much as the points do."""
    ids = [post.id for post in candidates]
    likes = await _all(ids, lambda some: like_counts(fresh, some))
    comments = await _all(ids, lambda some: comment_counts(fresh, some))

    def at_most(post: Node[Post]) -> int:
        return likes[post.id] + COMMENT_POINTS * comments[post.id]

    liked = [post for post in candidates if at_most(post)]
    return sorted(liked, key=lambda post: score(at_most(post), posted_at(post)), reverse=True)[:SHORT_LIST]


async def _points(fresh: Graph, posts: Sequence[Node[Post]]) -> dict[int, int]:
    """How many others like each post, and twice how many others speak about it: each person once, its author never."""
    likes = await like_counts(fresh, [post.id for post in posts])
    own = await fresh.assoc_get_many(LIKES, [(post.data.author, post.id) for post in posts])
    talkers = await commenters(fresh, [post.id for post in posts], TALKERS)
    return {
        post.id: likes[post.id]
        - ((post.data.author, post.id) in own)
        + COMMENT_POINTS * len(talkers[post.id] - {post.data.author})
        for post in posts
    }


async def _all(
    ids: Sequence[int], read: Callable[[Iterable[int]], Awaitable[dict[int, int]]]
) -> dict[int, int]:
    found: dict[int, int] = {}
    for some in batched(ids, AT_ONCE):
        found |= await read(some)
    return found


def _spread(best: Iterable[tuple[float, Node[Post]]]) -> list[Ranked]:
    """The first of them, of nobody more than a few."""
    of: Counter[int] = Counter()
    kept: list[Ranked] = []
    for points, post in best:
        of[post.data.author] += 1
        if of[post.data.author] <= OF_ONE_AUTHOR and len(kept) < KEPT:
            kept.append(Ranked(post.id, points))
    return kept


async def _store(graph: Graph, made: Ranking) -> None:
    id_ = ranking_id(graph)
    try:
        await graph.obj_update(Ranking, id_, posts=made.posts, at=made.at)
    except ObjectMissing:
        await graph.obj_add(made, shard=shard_of(id_), id_=id_)
