"""The page of notifications, and how many are new.

One read of the timeline, then everything it names at once. What the graph no longer says is passed over: likes taken
back, comments deleted, people who are gone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from calotype.infra.ids import time_ms
from calotype.infra.jobs import JOB
from calotype.infra.tao import START, Graph, Node, untracked
from calotype.infra.timelines import Entry, Timelines
from calotype.infra.timelines.types import Place
from calotype.product.accounts.queries import PersonCard, card, people
from calotype.product.accounts.types import Person
from calotype.product.comments.queries import Said
from calotype.product.comments.types import Comment
from calotype.product.follows.types import FOLLOWED_BY
from calotype.product.likes.queries import like_counts, liked_among
from calotype.product.likes.types import LIKED_BY
from calotype.product.notifications.actions import newest
from calotype.product.notifications.tasks import build_for
from calotype.product.notifications.types import (
    ACTIVITY,
    SEEN,
    Event,
    Kind,
    Note,
    NotesPage,
    at_ms,
    kind_of,
)
from calotype.product.photos.types import Post
from calotype.product.words.types import MENTIONED_IN
from calotype.std.deadline import deadline
from calotype.std.errors import Unavailable
from calotype.std.together import together

log = logging.getLogger(__name__)

READ_AT_ONCE = 100
"""Entries of a page, before those that belong together become one note."""

SHOWN = 3
"""People of one note; the others are counted."""

UNREAD_COUNTED = 99
"""Notes; more are "99+"."""

PATIENCE_S = 1.0
BUILD_AGAIN_S = 60.0
DAY_MS = 86_400_000


class Facts(msgspec.Struct):
    """What the graph says of the things that entries name."""

    people: dict[int, Node[Person]]
    posts: dict[int, Node[Post]]
    comments: dict[int, Node[Comment]]
    likes: set[tuple[int, int]]
    """(post, liker)."""
    followers: set[int]
    mentions: set[int]
    """Texts that mention the viewer."""


async def notes(graph: Graph, timelines: Timelines, viewer: Node[Person], before: Place = START) -> NotesPage:
    """What happened before a place, the last first."""
    entries, seen_ms = await together(
        _entries(graph, timelines, viewer.id, before, READ_AT_ONCE), seen(graph, viewer.id)
    )
    groups, facts = await _true_groups(graph, viewer, entries)
    posts = [group[0].id for group in groups if kind_of(group[0]) is Kind.LIKE]
    counts, own = await together(like_counts(graph, posts), liked_among(graph, viewer.id, posts))
    made = [_note(group, facts, seen_ms, counts, own) for group in groups]
    older = entries[-1].place if len(entries) == READ_AT_ONCE else None
    return NotesPage(made, older, at_ms(entries[0]) if entries else 0)


async def events(
    graph: Graph, timelines: Timelines, viewer: Node[Person], limit: int, before: Place = START
) -> tuple[list[Event], Place | None]:
    """What happened before a place, each thing for itself, the last first; and where the next page starts.

    `limit` entries are looked at: a page comes shorter by those that are passed over.
    """
    entries = await _entries(graph, timelines, viewer.id, before, limit)
    groups, facts = await _true_groups(graph, viewer, entries)
    true = sorted((one for group in groups for one in group), key=lambda one: one.place, reverse=True)
    older = entries[-1].place if len(entries) == limit else None
    return [_event(one, facts) for one in true], older


async def unread(graph: Graph, timelines: Timelines, viewer: Node[Person]) -> int:
    """How many notes have something new, as far as the first page goes."""
    entries, seen_ms = await together(
        _entries(graph, timelines, viewer.id, START, READ_AT_ONCE), seen(graph, viewer.id)
    )
    new = [entry for entry in entries if at_ms(entry) > seen_ms]
    if not new:
        return 0
    groups, _ = await _true_groups(graph, viewer, new)
    return min(len(groups), UNREAD_COUNTED)


async def seen(graph: Graph, viewer: int) -> int:
    """Up to when somebody has seen what happened, in milliseconds since 1970; 0 for never."""
    edges = await graph.assoc_get(SEEN, viewer, [viewer])
    return edges[0].time if edges else 0


async def _entries(graph: Graph, timelines: Timelines, viewer: int, before: Place, limit: int) -> list[Entry]:
    """From the timeline; from the graph, if there is none or its engine is away."""
    try:
        with deadline(PATIENCE_S):
            page = await timelines.page(ACTIVITY, viewer, before, limit)
        if page is not None:
            return page.entries
        with untracked():
            if await timelines.begin(ACTIVITY, viewer, unless_begun_s=BUILD_AGAIN_S) is not None:
                shard, call = build_for(viewer)
                await graph.writes("people", shard).post("people", shard, JOB, call, 0)
    except Unavailable as error:
        log.warning("the notifications of %d come from the graph: %s", viewer, error)
    return [entry for entry in await newest(graph, viewer) if entry.place < before][:limit]


async def _true_groups(
    graph: Graph, viewer: Node[Person], entries: Sequence[Entry]
) -> tuple[list[list[Entry]], Facts]:
    """Those that still hold and that the viewer wants, grouped by what they are about, the last group first."""
    wanted = [entry for entry in entries if kind_of(entry).word not in viewer.data.quiet]
    facts = await _facts(graph, viewer.id, wanted)
    groups: dict[tuple[Kind, int], dict[int, Entry]] = {}
    for entry in wanted:
        if _holds(entry, facts, viewer.id):
            groups.setdefault(_about(entry), {}).setdefault(entry.source, entry)
    return [list(group.values()) for group in groups.values()], facts


async def _facts(graph: Graph, viewer: int, entries: Sequence[Entry]) -> Facts:
    likes = [(entry.id, entry.source) for entry in entries if kind_of(entry) is Kind.LIKE]
    said = [entry.id for entry in entries if kind_of(entry) in (Kind.COMMENT, Kind.MENTION)]
    mentions = [(viewer, entry.id) for entry in entries if kind_of(entry) is Kind.MENTION]
    follows = [(viewer, entry.source) for entry in entries if kind_of(entry) is Kind.FOLLOW]
    everybody, comments, still_liked, following = await together(
        people(graph, {entry.source for entry in entries}, viewer),
        graph.obj_get_many(Comment, said),
        graph.assoc_get_many(LIKED_BY, likes),
        graph.assoc_get_many(FOLLOWED_BY, follows),
    )
    about = {post for post, _ in likes} | {comment.data.post for comment in comments.values()}
    about |= {text for _, text in mentions if text not in comments}
    posts, mentioned = await together(
        graph.obj_get_many(Post, about), graph.assoc_get_many(MENTIONED_IN, mentions)
    )
    return Facts(
        people=everybody,
        posts=posts,
        comments=comments,
        likes=set(still_liked),
        followers={follower for _, follower in following},
        mentions={text for _, text in mentioned},
    )


def _holds(entry: Entry, facts: Facts, viewer: int) -> bool:
    if entry.source not in facts.people or entry.source == viewer:
        return False
    match kind_of(entry):
        case Kind.LIKE:
            post = facts.posts.get(entry.id)
            return post is not None and post.data.author == viewer and (entry.id, entry.source) in facts.likes
        case Kind.COMMENT:
            comment = facts.comments.get(entry.id)
            return comment is not None and comment.data.post in facts.posts
        case Kind.FOLLOW:
            return entry.source in facts.followers
        case Kind.MENTION:
            return entry.id in facts.mentions and _post_of(entry, facts) in facts.posts
    return False


def _post_of(entry: Entry, facts: Facts) -> int:
    """Of a comment the post it is under; of a post itself."""
    comment = facts.comments.get(entry.id)
    return comment.data.post if comment else entry.id


def _about(entry: Entry) -> tuple[Kind, int]:
    """What entries of one note have in common: likes their post, follows their day."""
    kind = kind_of(entry)
    return kind, at_ms(entry) // DAY_MS if kind is Kind.FOLLOW else entry.id


def _event(one: Entry, facts: Facts) -> Event:
    person = card(facts.people[one.source])
    comment = facts.comments.get(one.id)
    post = facts.posts.get(_post_of(one, facts))
    return Event(
        kind=kind_of(one),
        person=person,
        post=post.id if post else None,
        author=post.data.author if post else 0,
        said=_said(comment, person) if comment else None,
        entry=one,
    )


def _said(comment: Node[Comment], author: PersonCard) -> Said:
    at = comment.data.at or time_ms(comment.id)
    return Said(comment.id, author, comment.data.text, comment.data.mentions, at)


def _note(group: list[Entry], facts: Facts, seen_ms: int, likes: dict[int, int], own: set[int]) -> Note:
    first = group[0]
    kind = kind_of(first)
    comment = facts.comments.get(first.id)
    counted = likes[first.id] - (first.id in own) if kind is Kind.LIKE else 0
    return Note(
        kind=kind,
        about=_about(first)[1],
        people=[card(facts.people[entry.source]) for entry in group[:SHOWN]],
        total=max(counted, len(group)),
        post=facts.posts.get(_post_of(first, facts)),
        text=comment.data.text if comment else "",
        at=at_ms(first),
        unread=at_ms(first) > seen_ms,
    )
