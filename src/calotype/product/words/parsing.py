"""Where the marks of a text are: `#tag` and `@name`. A pure function of the text, in time linear in its length.

A hashtag is `#` and letters, digits and underscores of any script, with at least one letter. A mention is `@` and a user
name (`accounts.names`). Neither begins inside a word, an e-mail address or a web address; `#one#two` are two tags, as
Instagram has it. `@somebody@elsewhere` is nobody here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from unicodedata import category, normalize

from calotype.product.accounts import names
from calotype.product.words.types import MENTIONS_OF_TEXT, TAG_LENGTH, TAGS_OF_TEXT, Mark

HASHES, ATS = "#＃", "@＠"
"""Keyboards of full-width scripts have signs of their own."""

_LIMITS = {"#": TAGS_OF_TEXT, "@": MENTIONS_OF_TEXT}
_CANDIDATE = re.compile(rf"://\S*|(?<!\w)www\.\S*|[{HASHES}{ATS}]", re.IGNORECASE)
"""A web address is taken as a whole, so that nothing inside it counts."""

_WORD = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"))
_UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Letters and marks that are not drawn: two tags that look the same would be two."""


def parse(text: str) -> list[Mark]:
    """The marks of a text, in order. They never overlap."""
    found: list[Mark] = []
    kept: dict[str, set[str]] = defaultdict(set)
    for candidate in _CANDIDATE.finditer(text):
        start = candidate.start()
        if text[start] in HASHES:
            follows_tag = bool(found) and found[-1].end == start and found[-1].sign == "#"
            mark = _tag(text, start) if follows_tag or _begins(text, start) else None
        elif text[start] in ATS:
            mark = _mention(text, start) if _begins(text, start) and not _in_address(text, start) else None
        else:
            continue
        if mark is None:
            continue
        keys = kept[mark.sign]
        if mark.key in keys or len(keys) < _LIMITS[mark.sign]:
            keys.add(mark.key)
            found.append(mark)
    return found


def tags_of(text: str) -> list[str]:
    """The keys of its hashtags, each once, in order."""
    return list(dict.fromkeys(mark.key for mark in parse(text) if mark.sign == "#"))


def names_of(text: str) -> list[str]:
    """The user names that it mentions, each once, in order, whether or not they are anybody's."""
    return list(dict.fromkeys(mark.key for mark in parse(text) if mark.sign == "@"))


def tag_key(word: str) -> str | None:
    """What a hashtag, given without its sign, is looked up by: NFKC and folded case. None when it is no hashtag."""
    if not 0 < len(word) <= TAG_LENGTH or not all(map(_in_word, word)) or category(word[0])[0] == "M":
        return None
    key = _folded(word)
    # Compatibility characters can become several, and some of them no letters.
    if len(key) > TAG_LENGTH or not all(map(_in_word, key)):
        return None
    return key if any(category(letter)[0] == "L" for letter in key) else None


def _folded(word: str) -> str:
    """Until nothing changes: what one step makes may fold once more."""
    before, after = "", normalize("NFKC", word)
    while before != after:
        before, after = after, normalize("NFKC", after.casefold())
    return after


def _tag(text: str, start: int) -> Mark | None:
    end = start + 1 + sum(1 for _ in _run(text, start + 1, also=""))
    key = tag_key(text[start + 1 : end])
    return None if key is None else Mark(start, end, "#", key)


def _mention(text: str, start: int) -> Mark | None:
    word = "".join(_run(text, start + 1, also="."))
    word = word.split("..", 1)[0].rstrip("._")  # the end of a sentence is not the name's
    end = start + 1 + len(word)
    key = names.canonical(word)
    if not names.SHORTEST <= len(key) <= names.LONGEST or text[end : end + 1] in tuple(ATS):
        return None
    if not key[0].isalnum() or not all(map(names.is_allowed, key)):
        return None
    return Mark(start, end, "@", key)


def _run(text: str, start: int, also: str) -> Iterator[str]:
    """The characters of a word that starts here."""
    for at in range(start, len(text)):
        if not (_in_word(text[at]) or text[at] in also):
            return
        yield text[at]


def _in_word(character: str) -> bool:
    return character == "_" or (category(character) in _WORD and character not in _UNSEEN)


def _begins(text: str, start: int) -> bool:
    """Whether a sign here is the beginning of something: not in a word, a path, a query or an entity."""
    return start == 0 or not (_in_word(text[start - 1]) or text[start - 1] in HASHES + ATS + "/=&")


def _in_address(text: str, start: int) -> bool:
    """Whether the sign belongs to an e-mail address whose local part ends with punctuation."""
    return start > 1 and text[start - 1] in ".+-%" and _in_word(text[start - 2])
