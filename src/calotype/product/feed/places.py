"""Which posts a page of the home feed shows: from the viewer's timeline, or merged from the lists of all whom they follow.

A timeline is one read, however many people its owner follows and however rarely they post. Posts of the viewer, and of
those whom too many follow for a push, are merged into it from their own lists. What a timeline does not reach, or an
engine that is away, is read as if there were no timelines: slower, and the same.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterable
from heapq import merge
from itertools import groupby
from typing import Any, NamedTuple

from calotype.infra.tao import Cursor, Edge, Graph, untracked
from calotype.infra.timelines import EVERYTHING, Entry, Page, Timelines
from calotype.product.feed.tasks import Build, build, follow_up
from calotype.product.feed.types import HOME, PULLS, PULLS_LIMIT
from calotype.product.follows.queries import followees
from calotype.product.photos.types import POSTED
from calotype.std.deadline import deadline
from calotype.std.errors import Unavailable
from calotype.std.together import together

log = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""For a timeline that does not answer, until the feed is merged instead."""

BUILD_AGAIN_S = 60.0
"""A build that has not ended after this time is asked for again."""


class Places(NamedTuple):
    """`entries` newest first. `more`: whether there are posts behind them. `checked`: whether the viewer is known to
    follow all of their authors."""

    entries: list[Entry]
    more: bool
    checked: bool


async def below(graph: Graph, timelines: Timelines, viewer: int, before: Cursor, limit: int) -> Places:
    """The newest posts below a place."""
    kept = await _kept_below(graph, timelines, viewer, before, limit)
    if kept is not None:
        return kept
    found = await graph.assoc_merge(POSTED, await _authors(graph, viewer), limit + 1, before=before)
    return Places([_entry(author, edge) for author, edge in found[:limit]], len(found) > limit, True)


async def above(graph: Graph, timelines: Timelines, viewer: int, after: Cursor, limit: int) -> Places:
    """The oldest posts above a place, newest first."""
    kept = await _kept_above(graph, timelines, viewer, after, limit)
    if kept is not None:
        return kept
    found = await graph.assoc_merge(POSTED, await _authors(graph, viewer), limit, after=after)
    return Places([_entry(author, edge) for author, edge in found], bool(found), True)


async def _authors(graph: Graph, viewer: int) -> list[int]:
    return [viewer, *await followees(graph, viewer)]


async def _kept_below(
    graph: Graph, timelines: Timelines, viewer: int, before: Cursor, limit: int
) -> Places | None:
    """None when the timeline cannot tell."""
    ask = limit + 1
    page, pulled, own = await together(
        _timeline(graph, timelines, viewer, timelines.page(HOME, viewer, before, ask)),
        graph.assoc_range(PULLS, viewer, 0, PULLS_LIMIT),
        graph.assoc_range(POSTED, viewer, 0, ask, before=before),
    )
    if page is None:
        return None
    lists = {edge.id2: before for edge in pulled}
    read = [(viewer, own), *(await graph.assoc_range_many(POSTED, lists, ask)).items()]
    reaches = page.entries[-1].place if len(page.entries) == ask else page.floor
    merged = _merged(page.entries, (_entry(author, edge) for author, edges in read for edge in edges))
    found = [entry for entry in merged if entry.place >= reaches]
    if len(found) <= limit and reaches != EVERYTHING:
        return None
    return Places(found[:limit], len(found) > limit, False)


async def _kept_above(
    graph: Graph, timelines: Timelines, viewer: int, after: Cursor, limit: int
) -> Places | None:
    """None when the timeline cannot tell."""
    page, pulled = await together(
        _timeline(graph, timelines, viewer, timelines.page_up(HOME, viewer, after, limit)),
        graph.assoc_range(PULLS, viewer, 0, PULLS_LIMIT),
    )
    if page is None or after < page.floor:
        return None
    authors = [viewer, *(edge.id2 for edge in pulled)]
    found = await graph.assoc_merge(POSTED, authors, limit, after=after)
    entries = _merged(page.entries, (_entry(author, edge) for author, edge in found))[-limit:]
    return Places(entries, bool(entries), False)


async def _timeline(
    graph: Graph, timelines: Timelines, viewer: int, page: Coroutine[Any, Any, Page | None]
) -> Page | None:
    """A page of the viewer's timeline. None when its engine is away, and when there is none: then one is asked for, unless
    somebody has already."""
    try:
        with deadline(PATIENCE_S):
            found = await page
    except Unavailable as error:
        log.warning("the feed of %d is merged when it is read: %s", viewer, error)
        return None
    if found is None:
        try:
            with untracked():
                if await timelines.begin(HOME, viewer, unless_begun_s=BUILD_AGAIN_S) is not None:
                    await follow_up(graph, viewer, build(Build(viewer)))
        except Unavailable as error:
            log.warning("no timeline is made for %d: %s", viewer, error)
    return found


def _merged(kept: Iterable[Entry], read: Iterable[Entry]) -> list[Entry]:
    """Both, newest first, each post once."""
    ordered = merge(kept, sorted(read, key=_place, reverse=True), key=_place, reverse=True)
    return [next(same) for _, same in groupby(ordered, key=_place)]


def _place(entry: Entry) -> Cursor:
    return entry.time, entry.id


def _entry(author: int, edge: Edge) -> Entry:
    return Entry(edge.time, edge.id2, author)
