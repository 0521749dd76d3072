"""A post and a person as another place shows them when somebody links here.

Only what everybody may see goes in: cards are made on pages that have been allowed to whoever asks, and posts are public.
"""

from __future__ import annotations

import msgspec
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from calotype.infra.tao import Graph, Node
from calotype.product.accounts.queries import PersonCard, card, people
from calotype.product.photos.queries import Picture, PostMissing, picture, post_of, post_url
from calotype.product.photos.types import Post

TITLE_CHARS, DESCRIPTION_CHARS, ALT_CHARS = 110, 200, 420
"""As much as the places that show cards print; more is cut by them, in the middle of a word."""

CARD_WIDTH = 1_200
"""Pixels that a card's picture is shown at; a wider one is only slower."""


class PostCard(msgspec.Struct, frozen=True):
    """`by`: "Photo by Ann"; `title`: the same with what it says. Addresses are whole ones."""

    url: str
    by: str
    title: str
    description: str
    picture: Picture
    alt: str
    author: str
    author_url: str
    oembed: str


class ProfileCard(msgspec.Struct, frozen=True):
    url: str
    title: str
    description: str
    username: str
    avatar: str
    """Empty for whoever has none."""


async def post_and_author(graph: Graph, post_id: int, viewer: int | None) -> tuple[Node[Post], PersonCard]:
    """A post and its author; raises `PostMissing`, also for a post of somebody who is gone or apart from `viewer`."""
    node = await post_of(graph, post_id, None)
    author = (await people(graph, [node.data.author], viewer)).get(node.data.author)
    if author is None:
        raise PostMissing(_("There is no such post; it may have been deleted."))
    return node, card(author)


def post_card(node: Node[Post], author: PersonCard, origin: str) -> PostCard:
    photos, caption = node.data.photos, " ".join(node.data.caption.split())
    by = ngettext("Photo by %(name)s", "%(n)s photos by %(name)s", len(photos)) % {
        "name": author.name,
        "n": len(photos),
    }
    shown = picture(node.id, photos[0], max_width=CARD_WIDTH)
    url = origin + post_url(node.id)
    return PostCard(
        url=url,
        by=by,
        title=Truncator(f"{by}: {caption}").chars(TITLE_CHARS) if caption else by,
        description=Truncator(caption).chars(DESCRIPTION_CHARS),
        picture=msgspec.structs.replace(shown, url=origin + shown.url),
        alt=Truncator(photos[0].alt).chars(ALT_CHARS),
        author=author.name,
        author_url=origin + author.url,
        oembed=reverse("oembed", query={"url": url}),
    )


def profile_card(person: PersonCard, origin: str) -> ProfileCard:
    return ProfileCard(
        url=origin + person.url,
        title=f"{person.name} (@{person.username})",
        description=Truncator(" ".join(person.bio.split())).chars(DESCRIPTION_CHARS)
        or _("Photographs by %(name)s") % {"name": person.name},
        username=person.username,
        avatar=origin + person.avatar if person.avatar else "",
    )


def embed_code(card: PostCard) -> SafeString:
    """HTML for somebody's own page: the photograph, described, a link around it and a line below. No script and no frame."""
    return format_html(
        '<figure><a href="{}"><img src="{}" alt="{}" width="{}" height="{}" loading="lazy"></a>'
        '<figcaption><a href="{}">{}</a></figcaption></figure>',
        card.url,
        card.picture.url,
        card.alt or card.by,
        card.picture.width,
        card.picture.height,
        card.url,
        card.title,
    )
