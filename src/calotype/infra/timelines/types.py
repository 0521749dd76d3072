"""What a timeline is, whichever engine keeps it.

A timeline repeats what other data says (a feed: the posts of everybody that its owner follows), so it may be behind, may
hold what must no longer be shown, and may be dropped. Its readers check each entry, and read the other data when there is
no timeline, or when they go further back than it reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

type Place = tuple[int, int]
"""(time, id): entries are ordered by it, newest first."""

EVERYTHING: Place = (-(1 << 63), -(1 << 63))
"""The floor of a timeline from whose start nothing is missing."""


class Entry(NamedTuple):
    """`time` in ms since 1970. `source`: whose entry it is, for readers to check."""

    time: int
    id: int
    source: int

    @property
    def place(self) -> Place:
        return self.time, self.id


class Page(NamedTuple):
    """`entries` newest first. `floor`: nothing at or above it is missing; below it nothing is told."""

    entries: list[Entry]
    floor: Place


class Timelines(Protocol):
    """Raises `Unavailable` when the engine does not answer within the deadline. Every call may be repeated.

    An owner has a timeline from `begin` on, until nobody has read it for long. Entries pushed to others need not be kept.
    """

    async def push(self, kind: int, owners: Sequence[int], entries: Sequence[Entry], *, keep: int) -> None:
        """Add each entry to each owner's timeline, of which the newest `keep` entries stay at least. Durable when it
        returns."""
        ...

    async def remove(self, kind: int, owners: Sequence[int], places: Sequence[Place]) -> None:
        """Take entries out again."""
        ...

    async def page(self, kind: int, owner: int, before: Place, limit: int) -> Page | None:
        """The newest entries below a place; None: there is no timeline, or it is being built."""
        ...

    async def page_up(self, kind: int, owner: int, after: Place, limit: int) -> Page | None:
        """The oldest entries above a place, newest first."""
        ...

    async def begin(self, kind: int, owner: int, *, unless_begun_s: float = 0.0) -> int | None:
        """Begin to build the timeline, anew if there is one: from now on entries are kept, and none are shown until
        `finish`. The build's number; None when another began within `unless_begun_s` seconds, or has finished since.
        """
        ...

    async def finish(self, kind: int, owner: int, build: int, floor: Place) -> bool:
        """All entries from `floor` on have been pushed; False when another build has begun meanwhile."""
        ...

    async def drop_idle(self) -> int:
        """Forget the timelines that have been idle for long, where they do not go by themselves; how many."""
        ...

    async def healthy(self) -> bool: ...
