"""Text as HTML: its marks are links, all else is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import quote

from django.utils.safestring import SafeString

from calotype.product.words.parsing import parse
from calotype.product.words.types import Mark


def linked(text: str, people: Mapping[str, int], origin: str = "") -> SafeString:
    """Markup as Mastodon's API has it: whatever reads the one reads the other. `people`: the names in the text that are
    somebody's; the others stay text. `origin`: scheme and host, where addresses must be whole."""
    out: list[str] = []
    done = 0
    for mark in parse(text):
        if mark.sign == "#" or mark.key in people:
            out += (escape(text[done : mark.start]), _link(text, mark, origin))
            done = mark.end
    out.append(escape(text[done:]))
    return SafeString("".join(out))


def tag_url(key: str) -> str:
    return f"/tags/{quote(key)}/"


def person_url(name: str) -> str:
    return f"/@{quote(name)}/"


def _link(text: str, mark: Mark, origin: str) -> str:
    sign, word = text[mark.start], escape(text[mark.start + 1 : mark.end])
    if mark.sign == "#":
        address = escape(origin + tag_url(mark.key))
        return f'<a href="{address}" class="mention hashtag" rel="tag">{sign}<span>{word}</span></a>'
    address = escape(origin + person_url(mark.key))
    return f'<span class="h-card" translate="no"><a href="{address}" class="u-url mention">{sign}<span>{word}</span></a></span>'
