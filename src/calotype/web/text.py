"""Text from people: what is kept, what is refused."""

from __future__ import annotations

import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
"""Characters that change the direction of what follows: they let a name read as another, or garble a page."""

KEPT_CONTROLS = frozenset("\n\t")


def clean(text: str) -> str:
    """Text as it is stored: NFC, line ends as one newline, no surrounding space.

    Raises `ValidationError` for control characters and for direction controls, which no one types by accident.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    for character in text:
        if character in BIDI_CONTROLS:
            raise ValidationError(
                _("Text with hidden direction controls (U+%04X) is not accepted.") % ord(character), "bidi"
            )
        if unicodedata.category(character) in ("Cc", "Cs") and character not in KEPT_CONTROLS:
            raise ValidationError(
                _("Text with control characters (U+%04X) is not accepted.") % ord(character), "control"
            )
    return text


def clean_line(text: str) -> str:
    """The same for text of one line: names, titles, alt text."""
    return " ".join(clean(text).split())
