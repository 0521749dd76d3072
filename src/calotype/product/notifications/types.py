"""Notifications as they lie in a timeline: an entry says who did what to which thing, and the graph knows the rest.

An entry's time is in microseconds since 1970: milliseconds, then digits that tell apart what happened in the same one,
and in the last two bits which kind it is. So entries of one moment do not take each other's place.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from calotype.infra.tao import Node, association
from calotype.infra.timelines import Entry
from calotype.infra.timelines.types import Place
from calotype.product.accounts.queries import PersonCard
from calotype.product.comments.queries import Said
from calotype.product.photos.types import Post

ACTIVITY = 2
"""The kind of timelines that hold notifications. Sources are those who did something."""

KEPT = 500

SEEN = association(13, "seen", partition="people")
"""From a person to themselves: its time is up to when they have seen their notifications."""


class Kind(IntEnum):
    """`id` of an entry: of a like the post, of a comment the comment, of a follow the follower, of a mention the text (a post
    or a comment)."""

    LIKE = 0
    COMMENT = 1
    FOLLOW = 2
    MENTION = 3

    @property
    def word(self) -> str:
        """As it stands in `Person.quiet` and in forms."""
        return self.name.lower()


def entry(kind: Kind, at_ms: int, id_: int, source: int) -> Entry:
    spread = (source >> 10 ^ source ^ id_) % 250
    return Entry(at_ms * 1_000 + spread * 4 + kind, id_, source)


def kind_of(found: Entry) -> Kind:
    return Kind(found.time % 4)


def at_ms(found: Entry) -> int:
    return found.time // 1_000


class Note(msgspec.Struct, frozen=True):
    """One line of the page: what one or several people did. `people`: the last of them first, `total` how many there are in all."""

    kind: Kind
    about: int
    """What its entries have in common; with the kind it names the note."""

    people: list[PersonCard]
    total: int
    post: Node[Post] | None
    text: str
    at: int
    """Of the last of it, in milliseconds since 1970."""
    unread: bool


class Event(msgspec.Struct, frozen=True):
    """One thing that one person did, as the API tells it."""

    kind: Kind
    person: PersonCard
    post: int | None
    """What it is about; None for a follow."""
    author: int
    """Of the post; 0 for a follow."""
    said: Said | None
    entry: Entry


class NotesPage(msgspec.Struct, frozen=True):
    notes: list[Note]
    older: Place | None
    seen: int
    """Up to when the page shows what happened, in milliseconds since 1970: to be noted as seen; 0: there is nothing."""
