"""Posts in the shape of a Mastodon `Status`, so that what reads one reads the other. Ids are strings.

Fields and types: Mastodon's API documentation, entities Status, Account and MediaAttachment.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Literal

import msgspec

from calotype.infra.ids import time_ms
from calotype.infra.tao import Node
from calotype.product.accounts.queries import PersonCard
from calotype.product.comments.queries import Said
from calotype.product.feed.types import Item
from calotype.product.photos.queries import media_url
from calotype.product.photos.types import Photo, Post, posted_at
from calotype.product.words.links import linked, person_url, tag_url
from calotype.product.words.parsing import tags_of
from calotype.web.memo import Memo


class Size(msgspec.Struct, frozen=True):
    width: int
    height: int
    size: str
    aspect: float


class Meta(msgspec.Struct, frozen=True):
    original: Size
    small: Size


class MediaAttachment(msgspec.Struct, frozen=True):
    id: str
    url: str
    preview_url: str
    description: str | None
    blurhash: str
    meta: Meta
    type: Literal["image"] = "image"
    remote_url: None = None


class Account(msgspec.Struct, frozen=True):
    id: str
    username: str
    acct: str
    display_name: str
    note: str
    url: str
    avatar: str
    avatar_static: str
    created_at: str
    locked: bool = False
    bot: bool = False


class Reply(msgspec.Struct, frozen=True):
    """One of the last comments, as much of it as a feed shows."""

    id: str
    created_at: str
    username: str
    content: str


class Mention(msgspec.Struct, frozen=True):
    id: str
    username: str
    acct: str
    url: str


class Tag(msgspec.Struct, frozen=True):
    name: str
    url: str


class Status(msgspec.Struct, frozen=True):
    id: str
    created_at: str
    uri: str
    url: str
    account: msgspec.Raw
    """An `Account`, in JSON already."""
    content: str
    media_attachments: msgspec.Raw
    """A list of `MediaAttachment`."""
    favourites_count: int
    replies_count: int
    favourited: bool
    comments: list[msgspec.Raw]
    """Each a `Reply`. Ours: Mastodon's statuses have none."""
    mentions: msgspec.Raw
    """A list of `Mention`: whom the caption mentions."""
    tags: msgspec.Raw
    """A list of `Tag`: those of the caption."""
    sensitive: bool = False
    spoiler_text: str = ""
    visibility: Literal["public"] = "public"
    reblogs_count: int = 0
    reblogged: bool = False
    in_reply_to_id: None = None
    in_reply_to_account_id: None = None
    reblog: None = None
    language: None = None
    emojis: tuple[()] = ()


SMALL_WIDTH = 640


class _Fixed(msgspec.Struct, frozen=True):
    """What a status says of one version of a post."""

    id: str
    created_at: str
    url: str
    content: str
    media: msgspec.Raw
    mentions: msgspec.Raw
    tags: msgspec.Raw


_posts: Memo[tuple[int, int, str], _Fixed] = Memo(5_000)
_accounts: Memo[tuple[int, int, str], msgspec.Raw] = Memo(5_000)
_replies: Memo[tuple[int, int, str], msgspec.Raw] = Memo(20_000)
"""By the comment and the version of its author: what was said never changes."""


def status(item: Item, origin: str) -> Status:
    """The item as a status; `origin` is the site's scheme and host, since URLs in the API are absolute."""
    post, author = item.post, item.author
    fixed = _posts.get((post.id, post.version, origin), lambda: _fixed(post, origin))
    return Status(
        id=fixed.id,
        created_at=fixed.created_at,
        uri=fixed.url,
        url=fixed.url,
        account=account_json(author, origin),
        content=fixed.content,
        media_attachments=fixed.media,
        favourites_count=item.likes,
        replies_count=item.comments,
        favourited=item.liked,
        comments=[reply_json(said, origin) for said in item.said],
        mentions=fixed.mentions,
        tags=fixed.tags,
    )


def account_json(person: PersonCard, origin: str) -> msgspec.Raw:
    """An `Account`, made once for each version of a person."""
    key = (person.id, person.version, origin)
    return _accounts.get(key, lambda: _json(account(person, origin)))


def reply_json(said: Said, origin: str) -> msgspec.Raw:
    """A `Reply`, made once."""
    return _replies.get((said.id, said.author.version, origin), lambda: _json(reply(said, origin)))


def _fixed(post: Node[Post], origin: str) -> _Fixed:
    caption, mentions = post.data.caption, post.data.mentions
    return _Fixed(
        id=str(post.id),
        created_at=timestamp(posted_at(post)),
        url=f"{origin}/p/{post.id}/",
        content=_in_paragraphs(linked(caption, mentions, origin)),
        media=_json([attachment(post.id, photo, origin) for photo in post.data.photos]),
        mentions=_json(
            [Mention(str(id_), name, name, origin + person_url(name)) for name, id_ in mentions.items()]
        ),
        tags=_json([Tag(key, origin + tag_url(key)) for key in tags_of(caption)]),
    )


def _json(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def reply(said: Said, origin: str) -> Reply:
    content = _in_paragraphs(linked(said.text, said.mentions, origin))
    return Reply(str(said.id), timestamp(said.at), said.author.username, content)


def account(person: PersonCard, origin: str) -> Account:
    avatar = origin + person.avatar if person.avatar else ""
    return Account(
        id=str(person.id),
        username=person.username,
        acct=person.username,
        display_name=person.name,
        note=paragraphs(person.bio),
        url=origin + person.url,
        avatar=avatar,
        avatar_static=avatar,
        created_at=timestamp(time_ms(person.id)),
    )


def attachment(post_id: int, photo: Photo, origin: str) -> MediaAttachment:
    small = next((width for width in photo.widths if width >= SMALL_WIDTH), photo.widths[-1])
    return MediaAttachment(
        id=str(photo.id),
        url=f"{origin}{media_url(post_id, photo.id, f'{photo.widths[-1]}.jpeg')}",
        preview_url=f"{origin}{media_url(post_id, photo.id, f'{small}.jpeg')}",
        description=photo.alt or None,
        blurhash=photo.blurhash,
        meta=Meta(original=_size(photo, photo.widths[-1]), small=_size(photo, small)),
    )


def _size(photo: Photo, width: int) -> Size:
    height = max(1, round(photo.height * width / photo.width))
    return Size(width, height, f"{width}x{height}", round(width / height, 4))


def timestamp(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def paragraphs(text: str) -> str:
    """Plain text as the HTML that the API speaks: escaped, with paragraphs and line breaks."""
    return _in_paragraphs(escape(text))


def _in_paragraphs(html: str) -> str:
    """Its line ends are all those of the text: the markup of links has none."""
    if not html:
        return ""
    return "".join(f"<p>{part.replace(chr(10), '<br>')}</p>" for part in html.split("\n\n"))
