"""What a page shows to whoever is signed in, read from its HTML as the templates write it."""

from __future__ import annotations

import re
from html import unescape
from typing import NamedTuple

import msgspec

SIGNED_IN = 'href="/settings/profile/"'
"""On every page of somebody who is signed in, and on no other."""


class Like(NamedTuple):
    """Whether the viewer likes a post, and how many do."""

    liked: bool
    likes: int


class _Status(msgspec.Struct):
    id: str


def signed_in(page: str) -> bool:
    return SIGNED_IN in page


def like_of(page: str, post: str) -> Like | None:
    """Whether the viewer likes the post and how many do; None when the page does not show that post to like."""
    form = re.search(rf'action="/p/{post}/(un)?like/" data-like="{post}"', page)
    if form is None:
        return None
    shown = re.search(rf'data-likes="{post}" data-n="(\d+)"', page)
    return Like(form[1] is not None, int(shown[1])) if shown else None


def follows(page: str, username: str) -> bool | None:
    """Whether the viewer follows somebody; None when the page offers neither to follow nor to stop."""
    form = re.search(rf'action="/@{username}/(un)?follow/" data-follow="{username}"', page)
    return None if form is None else form[1] is not None


def comment_id(page: str, text: str) -> str | None:
    """The id of the comment with exactly this text."""
    for part in re.split(r'<li class="comment" id="comment-', page)[1:]:
        if f" {text}</p>" in unescape(part):
            return part[: part.index('"')]
    return None


def has_comment(page: str, id_: str) -> bool:
    return f'id="comment-{id_}"' in page


def posts_of_timeline(text: str) -> list[str]:
    """The ids of the posts in the answer of /api/v1/timelines/home. Raises `msgspec.DecodeError`."""
    return [status.id for status in msgspec.json.decode(text, type=list[_Status])]
