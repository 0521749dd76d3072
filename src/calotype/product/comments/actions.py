from __future__ import annotations

import msgspec
from django.utils.translation import gettext as _

from calotype.infra.ids import shard_of, time_ms
from calotype.infra.tao import Graph
from calotype.product.accounts.types import AccountId
from calotype.product.comments.types import (
    AUTHORED_BY,
    COMMENTED,
    HAS_COMMENT,
    Comment,
    Commented,
    CommentId,
    Quote,
)
from calotype.product.photos.queries import post_of
from calotype.product.photos.types import PostId
from calotype.product.words.parsing import parse
from calotype.product.words.queries import people_in
from calotype.product.words.types import WRITTEN, Written
from calotype.std.errors import Forbidden, NotFound
from calotype.web.idempotency import claim_key


class CommentMissing(NotFound):
    code = "comment_missing"


class NotYourComment(Forbidden):
    code = "not_your_comment"


async def add(
    graph: Graph, author: AccountId, post_id: PostId, text: str, *, key: str = "", at_ms: int = 0
) -> CommentId:
    """Comment on a post: object and edges commit together on the post's shard. Raises `PostMissing`.

    A second call with the same `key` answers the comment of the first. `at_ms` dates it back.
    """
    await post_of(graph, post_id, author)
    shard = shard_of(post_id)
    mentions = await people_in(graph, text, author)
    (id_,) = await graph.shards.next_ids(shard)
    at = at_ms or time_ms(id_)
    async with graph.transaction("comments", shard) as write:
        if (
            key
            and (first := await write.claim("comments", shard, "comment", claim_key(author, key), id_)) != id_
        ):
            return CommentId(first)
        said = Comment(author=author, post=post_id, text=text, at=at_ms, mentions=mentions)
        await write.obj_add(said, shard, id_)
        quote = msgspec.json.encode(Quote(author, text, mentions))
        await write.edge(HAS_COMMENT, post_id, id_, time=at, data=quote, present=True)
        await write.edge(AUTHORED_BY, id_, author, time=None, data=None, present=True)
        await write.post("comments", shard, COMMENTED, Commented(author, post_id, id_, at), 0)
        if parse(text):
            await write.post("comments", shard, WRITTEN, Written(post_id, id_), 0)
    return CommentId(id_)


async def delete(graph: Graph, account_id: AccountId, post_id: PostId, comment_id: CommentId) -> None:
    """Delete one's own comment, or any under one's own post. Raises `CommentMissing`, `NotYourComment`."""
    comment = await graph.obj_get(Comment, comment_id)
    if comment is None or comment.data.post != post_id:
        raise CommentMissing(_("There is no such comment; it may have been deleted."))
    post = await post_of(graph, post_id, None)
    if account_id not in (comment.data.author, post.data.author):
        raise NotYourComment(_("Only who wrote a comment or who posted the photo can delete it."))
    async with graph.transaction("comments", shard_of(post_id)) as write:
        await write.edge(HAS_COMMENT, post_id, comment_id, time=None, data=None, present=False)
        await write.edge(AUTHORED_BY, comment_id, comment.data.author, time=None, data=None, present=False)
        await write.obj_delete(Comment, comment_id)
