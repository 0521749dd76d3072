"""A post as oEmbed 1.0 (https://oembed.com) has it.

The type is `photo`, not `rich`: a post is photographs, and whoever embeds one shows it in their own page with their own
words. So there is no markup of ours that a stranger's site would have to trust, no page of ours that may be framed, and no
request to us but the one for the picture, which is refused as soon as the post is deleted.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec
from django.utils.translation import gettext as _

from calotype.product.photos.queries import Picture
from calotype.product.sharing.cards import PostCard
from calotype.std.errors import BadRequest, CalotypeError

CACHE_S = 300
"""How long a deleted post may be answered by a cache between."""

SIDE_LIMIT = 16_384


class FormatUnsupported(CalotypeError):
    code = "format_unsupported"
    status: ClassVar[int] = 501


class PhotoEmbed(msgspec.Struct, frozen=True):
    """`alt_text` is no field of the standard: what the photograph shows, for those who cannot see it."""

    version: str
    type: Literal["photo"]
    url: str
    width: int
    height: int
    title: str
    alt_text: str
    author_name: str
    author_url: str
    provider_name: str
    provider_url: str
    cache_age: int


def embed_of(card: PostCard, shown: Picture, origin: str) -> PhotoEmbed:
    return PhotoEmbed(
        version="1.0",
        type="photo",
        url=origin + shown.url,
        width=shown.width,
        height=shown.height,
        title=card.title,
        alt_text=card.alt,
        author_name=card.author,
        author_url=card.author_url,
        provider_name="Calotype",
        provider_url=f"{origin}/",
        cache_age=CACHE_S,
    )


def side(text: str | None) -> int | None:
    """`maxwidth` or `maxheight`: pixels, None where nothing is asked for."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:6]) > 0 and len(text) <= 6):
        raise BadRequest(_("%(text)s is no number of pixels.") % {"text": text[:20]})
    return min(int(text), SIDE_LIMIT)
