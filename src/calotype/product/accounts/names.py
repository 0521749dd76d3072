"""User names: which are allowed, and when two of them are too alike.

A name is kept in one canonical form, NFKC and case-folded, and shown like that. Two names are the same if their
skeletons are (Unicode Technical Standard 39, section 4): `paypa1`, `раураl` with Cyrillic letters and `paypal` cannot
belong to different people. The confusables come from the package `confusable-homoglyphs`, which carries Unicode's table.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib import resources

import msgspec
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

SHORTEST = 3
LONGEST = 30

RESERVED = frozenset(
    [
        "about",
        "account",
        "admin",
        "administrator",
        "api",
        "calotype",
        "help",
        "log-in",
        "login",
        "logout",
        "me",
        "media",
        "moderator",
        "null",
        "official",
        "people",
        "privacy",
        "root",
        "search",
        "settings",
        "sign-up",
        "signup",
        "staff",
        "static",
        "support",
        "system",
        "terms",
        "undefined",
        "www",
    ]
)


class _Homoglyph(msgspec.Struct):
    c: str
    n: str


@lru_cache(maxsize=1)
def _prototypes() -> dict[str, str]:
    """Each confusable character -> the one that stands for its whole group."""
    text = resources.files("confusable_homoglyphs").joinpath("confusables.json").read_bytes()
    groups = msgspec.json.decode(text, type=dict[str, list[_Homoglyph]])
    found: dict[str, str] = {}
    for character, others in groups.items():
        if len(character) == 1 and len(others) == 1:
            prototype = others[0].c
            is_source = len(groups.get(prototype, ())) > 1 or _rank(prototype) < _rank(character)
            if is_source:
                found[character] = prototype
    return found


def _rank(text: str) -> tuple[bool, int, str]:
    return (not text.isascii(), len(text), text)


def canonical(name: str) -> str:
    """The form in which a name is stored and shown."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())


def skeleton(name: str) -> str:
    """What two names that look alike have in common. Not for showing.

    Repeated until nothing changes: a mapped letter can decompose or fold into one that is mapped again.
    """
    before, after = "", canonical(name)
    while before != after:
        before, after = after, canonical(_mapped(after))
    return after


def _mapped(name: str) -> str:
    prototypes = _prototypes()
    return "".join(prototypes.get(letter, letter) for letter in unicodedata.normalize("NFD", name))


def check(name: str) -> str:
    """The canonical form of an acceptable name; raises `ValidationError` with the reason otherwise."""
    name = canonical(name)
    if not SHORTEST <= len(name) <= LONGEST:
        raise ValidationError(
            _("A user name has %(shortest)d to %(longest)d characters; this one has %(length)d.")
            % {"shortest": SHORTEST, "longest": LONGEST, "length": len(name)},
            "length",
        )
    wrong = next((letter for letter in name if not is_allowed(letter)), None)
    if wrong is not None:
        sentence = _("A user name has letters, digits, dots and underscores; not “%s”.") % _shown(wrong)
        raise ValidationError(
            _("A user name has no spaces in it.") if wrong.isspace() else sentence, "characters"
        )
    if not name[0].isalnum() or not name[-1].isalnum() or ".." in name:
        raise ValidationError(
            _("A user name starts and ends with a letter or digit, and has no two dots in a row."), "shape"
        )
    if len({script for letter in name if (script := _script(letter))}) > 1:
        raise ValidationError(_("A user name is written in one script, not in several mixed."), "mixed")
    if name in RESERVED or skeleton(name) in {skeleton(reserved) for reserved in RESERVED}:
        raise ValidationError(_("This user name is reserved."), "reserved")
    return name


def is_allowed(letter: str) -> bool:
    """Whether a canonical name may have this character."""
    return letter in "._" or unicodedata.category(letter) in ("Ll", "Lo", "Lm", "Nd", "Mn", "Mc")


def _shown(letter: str) -> str:
    return letter if letter.isprintable() else f"U+{ord(letter):04X}"


def _script(letter: str) -> str | None:
    """The script of a letter by its Unicode name; None for digits, marks and signs. Japanese counts as one script."""
    if not unicodedata.category(letter).startswith("L"):
        return None
    script = unicodedata.name(letter, "?").split()[0]
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "CJK") else script
