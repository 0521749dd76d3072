"""What a page of the feed holds: everything that a template or the API needs, read in as few trips as there are steps."""

from __future__ import annotations

import msgspec

from calotype.infra.tao import Cursor, Node, association
from calotype.product.accounts.queries import PersonCard
from calotype.product.comments.queries import Said
from calotype.product.photos.types import Post

HOME = 1
"""The kind of timelines that hold the home feed: entries are posts, their sources the authors."""

PULLS = association(12, "pulls", partition="people")
"""From a person to those whom they follow and whose posts nobody pushes (`Person.pulled`)."""

PULLS_LIMIT = 1_000
"""So many of them are merged into a feed."""


class Item(msgspec.Struct, frozen=True):
    """A post with all that is shown around it."""

    post: Node[Post]
    author: PersonCard
    likes: int
    liked: bool
    comments: int
    said: list[Said]
    """The last comments, oldest of them first."""


class FeedPage(msgspec.Struct, frozen=True):
    items: list[Item]
    newest: Cursor | None
    """The place of the first item; None when there is none."""
    older: Cursor | None
    """Where the next page starts; None at the end."""
