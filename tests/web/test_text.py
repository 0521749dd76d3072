from __future__ import annotations

import unicodedata

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from calotype.web.text import clean, clean_line


@given(st.text(max_size=200))
def test_cleaned_text_is_normal_and_stays_as_it_is(text: str) -> None:
    try:
        kept = clean(text)
    except ValidationError:
        return
    assert clean(kept) == kept
    assert unicodedata.is_normalized("NFC", kept)
    assert "\r" not in kept
    assert "\0" not in kept


@pytest.mark.parametrize("text", ["nul\0l", "bell\a", "\u202egnp", "a\u2066b", "\ud800"])
def test_control_and_direction_characters_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        clean(text)


@pytest.mark.parametrize("text", ["🦊", "👨‍👩‍👧", "שלום", "مرحبا", "日本語", "e\u0301", "tab\there"])
def test_all_scripts_and_emoji_are_kept(text: str) -> None:
    assert clean(text) == unicodedata.normalize("NFC", text)


def test_a_line_is_one_line() -> None:
    assert clean_line("  two\r\n  words\t here ") == "two words here"
