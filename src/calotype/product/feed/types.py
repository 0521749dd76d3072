"""What a page of the feed holds: everything that a template or the API needs, read in as few trips as there are steps."""

from __future__ import annotations

import msgspec

from calotype.infra.tao import Cursor, Node
from calotype.product.accounts.queries import PersonCard
from calotype.product.comments.queries import Said
from calotype.product.photos.types import Post


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
