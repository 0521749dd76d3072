"""What is escaped, and what is marked as safe."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.functional import lazy, lazystr
from django.utils.html import conditional_escape, escape, format_html
from django.utils.safestring import SafeString, mark_safe
from hypothesis import given
from hypothesis import strategies as st

from calotype.web.patches.escaping import ESCAPING
from tests.web.patches.both_ways import both, outcome


class Shouted(str):
    def __str__(self) -> str:
        return self.upper()


class Drawn:
    def __html__(self) -> str:
        return "<hr>"

    def __str__(self) -> str:
        return "a line"


THINGS = [
    "a < b",
    SafeString("<b>"),
    Shouted("<loud>"),
    Drawn(),
    lazystr("<lazy>"),
    lazystr(SafeString("<safe>")),
    7,
    None,
    1.5,
]


@pytest.mark.parametrize(
    "thing", THINGS, ids=[type(thing).__name__ + str(at) for at, thing in enumerate(THINGS)]
)
def test_things_are_escaped_as_django_escapes_them(thing: Any) -> None:
    def escaped() -> list[tuple[type, str]]:
        answers = [
            conditional_escape(thing),
            escape(thing),
            mark_safe(thing),
            format_html("<i>{}{k}</i>", thing, k=thing),
        ]
        return [(type(answer), str(answer)) for answer in answers]

    theirs, ours = both(ESCAPING, escaped)
    assert theirs == ours


@given(text=st.text())
def test_texts_are_escaped_as_django_escapes_them(text: str) -> None:
    theirs, ours = both(ESCAPING, lambda: outcome(lambda: conditional_escape(text)))
    assert theirs == ours


def test_lazy_texts_stay_lazy(either: None) -> None:
    language: list[str] = []
    text = escape(lazy(lambda: language[0], str)())
    language.append("<en>")
    assert str(text) == "&lt;en&gt;"


def test_safe_marks_functions_too(either: None) -> None:
    @mark_safe
    def drawn() -> str:
        return "<hr>"

    assert isinstance(drawn(), SafeString)
