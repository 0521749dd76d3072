"""Cursors in URLs: where in a newest-first list the next page starts."""

from __future__ import annotations

from django.utils.translation import gettext as _

from calotype.infra.tao import FIRST, START, Cursor
from calotype.std.errors import BadRequest

PAGE_LIMIT = 40


class CursorInvalid(BadRequest):
    code = "cursor_invalid"


def encode(cursor: Cursor) -> str:
    return f"{cursor[0]}-{cursor[1]}"


def decode(text: str | None) -> Cursor:
    """The cursor in a URL; the start of the list when there is none. Raises `CursorInvalid`."""
    if not text:
        return START
    time, dash, id2 = text.partition("-")
    if not (dash and text.isascii() and time.isdigit() and id2.isdigit() and len(text) <= 40):
        raise CursorInvalid(_("“%s” is no place in a list: follow the link on the page before.") % text[:40])
    if max(int(time), int(id2)) > FIRST:
        raise CursorInvalid(
            _("“%s” lies outside every list: follow the link on the page before.") % text[:40]
        )
    return int(time), int(id2)


def offset(text: str | None) -> int:
    """How many items of a short list to pass over."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadRequest(_("The offset is “%s”; it must be a whole number.") % text[:20])
    return int(text)


def limit(text: str | None, default: int = 20) -> int:
    """How many items a page shall have: a whole number, kept within 1 to 40 as Mastodon does."""
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadRequest(
            _("The limit is “%(given)s”; it must be a number from 1 to %(limit)d.")
            % {"given": text[:20], "limit": PAGE_LIMIT}
        )
    return min(max(int(text), 1), PAGE_LIMIT)
