"""What keeps the edges of a text as its words are now."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from calotype.infra.ids import shard_of, time_ms
from calotype.infra.tao import Association, Graph, Writes
from calotype.product.comments.types import Comment
from calotype.product.photos.types import Post, posted_at
from calotype.product.tags import store
from calotype.product.tags.types import TAGGED_WITH, Under
from calotype.product.words.parsing import tags_of
from calotype.product.words.types import (
    MENTIONED,
    MENTIONS,
    MENTIONS_OF_TEXT,
    TAGS_OF_TEXT,
    TOLD,
    Mentioned,
    Written,
)


class _Text(msgspec.Struct, frozen=True):
    """A text as it is now, and the edges that it should have."""

    author: int
    at: int
    tags: list[str]
    people: list[int]
    place: int
    """Of the post, in the list of each tag."""


async def index(graph: Graph, written: Written) -> None:
    """Make the edges of a text those of its words. Idempotent, and right in whatever order it is run for two edits.

    Both words and edges are read from the primaries, and the words again at the end: whoever has changed them by then has
    us go round once more. So the last one to write edges has read the last words.
    """
    fresh = Graph(graph.shards)
    text = await _text(fresh, written)
    while True:
        await _match(graph, fresh, written, text)
        now = await _text(fresh, written)
        if now == text:
            return
        text = now


async def _text(fresh: Graph, written: Written) -> _Text | None:
    """None when it is gone."""
    post = await fresh.obj_get(Post, written.post)
    if post is None:
        return None
    place = posted_at(post)
    if not written.comment:
        tags, people = tags_of(post.data.caption), list(post.data.mentions.values())
        return _Text(post.data.author, place, tags, people, place)
    comment = await fresh.obj_get(Comment, written.comment)
    if comment is None:
        return None
    said = comment.data
    # Only its author decides on whose pages a photograph is: others' hashtags are links and nothing else.
    tags = tags_of(said.text) if said.author == post.data.author else []
    return _Text(said.author, said.at or time_ms(comment.id), tags, list(said.mentions.values()), place)


async def _match(graph: Graph, fresh: Graph, written: Written, text: _Text | None) -> None:
    """One transaction on the shard of the text. The inverses follow by messages."""
    id_, shard = written.text, shard_of(written.text)
    tags = await store.find_or_make(graph, text.tags if text else ())
    people = text.people if text else []
    had_tags = await _ends(fresh, TAGGED_WITH, id_, TAGS_OF_TEXT)
    had_people = await _ends(fresh, MENTIONS, id_, MENTIONS_OF_TEXT)
    told = await _ends(fresh, TOLD, id_, MENTIONS_OF_TEXT)
    edges: dict[tuple[Association, int], bool] = {
        **{(TAGGED_WITH, tag): True for tag in tags.values() if tag not in had_tags},
        **{(TAGGED_WITH, tag): False for tag in had_tags - set(tags.values())},
        **{(MENTIONS, person): True for person in people if person not in had_people},
        **{(MENTIONS, person): False for person in had_people - set(people)},
        **({} if text else {(TOLD, person): False for person in told}),
    }
    # No text tells more people of itself than it may mention at once, however often it is edited.
    news = [person for person in people if person not in told]
    edges |= {(TOLD, person): True for person in news[: max(0, MENTIONS_OF_TEXT - len(told))]}
    if not edges:
        return
    async with graph.transaction("media", shard) as write:
        await write.lock([(assoc, id_, other) for assoc, other in edges])
        await _write(write, written, text, edges)


async def _write(
    write: Writes, written: Written, text: _Text | None, edges: Mapping[tuple[Association, int], bool]
) -> None:
    id_, shard = written.text, shard_of(written.text)
    data = msgspec.json.encode(Under(written.post)) if written.comment else None
    for (assoc, other), present in edges.items():
        tagged = assoc is TAGGED_WITH and present
        done = await write.edge(
            assoc,
            id_,
            other,
            time=text.place if text and tagged else None,
            data=data if tagged else None,
            present=present,
        )
        if assoc is TOLD and present and done.changed and text and other != text.author:
            event = Mentioned(other, text.author, written.post, written.comment, done.time)
            await write.post("media", shard, MENTIONED, event, 0)


async def _ends(fresh: Graph, assoc: Association, id_: int, limit: int) -> set[int]:
    """Where the edges of a text lead; a little more than there can be, should two runs have written at once."""
    return {edge.id2 for edge in await fresh.assoc_range(assoc, id_, 0, 4 * limit)}
