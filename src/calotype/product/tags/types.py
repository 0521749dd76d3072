"""Hashtags in the graph.

The forward side of every edge of a text is the text's own: what it leads to now is known for certain on one shard, and
an edit or a deletion needs no other. The list of a tag is the inverse, as a post's list of likes is.

A popular tag is one list on one shard. Nobody who posts waits for it: its rows are added by messages, one short statement
each. Whoever looks at it reads the newest of it from the cache, and at most the newest `LIST_LIMIT` can be reached.
"""

from __future__ import annotations

import msgspec

from calotype.infra.tao import association_pair, object_type


@object_type(10, partition="media")
class Tag(msgspec.Struct, frozen=True):
    """Made when the first text has it, on the shard of its name's hash, where the name is claimed."""

    name: str


class Under(msgspec.Struct, frozen=True):
    """On the edge from a comment to a tag: the post that is listed because of it."""

    post: int


TAGGED_WITH, TAGGED = association_pair(23, "tagged_with", 24, "tagged", partition="media")
"""From a post, or its author's comment under it, to tags. The time is that of the post, so that both lie side by side."""
