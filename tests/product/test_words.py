"""Where the marks of a text are, and how it is shown."""

from __future__ import annotations

import re
import time
from html import unescape
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.django_site import set_up

set_up()

from calotype.product.words.links import linked  # noqa: E402
from calotype.product.words.parsing import names_of, parse, tag_key, tags_of  # noqa: E402
from calotype.product.words.types import MENTIONS_OF_TEXT, TAG_LENGTH, TAGS_OF_TEXT  # noqa: E402

WORDS = st.text() | st.text("#@＃＠aB1_. /:wW\n猫é&<>\u0301\ufe0f", max_size=60)
"""Any text, and text that is full of what the parser looks for."""


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("A #cat in the #Sun_light.", ["cat", "sun_light"]),
        ("#猫 ＃花 #हिन्दी #ÉTÉ", ["猫", "花", "हिन्दी", "été"]),
        ("#Straße and #STRASSE are one", ["strasse"]),
        ("(#cat) “#dog”, ❤️#fox", ["cat", "dog", "fox"]),
        ("#one#two", ["one", "two"]),
        ("#a1 #1a", ["a1", "1a"]),
        ("#1 #2024 #_ #_1 # ## #! 1️⃣ #️⃣", []),
        ("word#no ##no /#no a=#no &#x27;", []),
        ("https://x.example/#no ftp://y/#no www.x.example/#no x.example/#no", []),
        ("#ﷺ #½ #ㅤ", []),
        ("#" + "x" * TAG_LENGTH + " #" + "y" * (TAG_LENGTH + 1), ["x" * TAG_LENGTH]),
    ],
)
def test_a_hashtag_is_a_word_of_any_script_behind_a_sign(text: str, tags: list[str]) -> None:
    assert tags_of(text) == tags


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Thanks @pat, @Mara.Lindqvist and (@由紀子)!", ["pat", "mara.lindqvist", "由紀子"]),
        (".@pat @pat... @pat_ _", ["pat"]),
        ("a@mail.example first.last@mail.example first.@mail.example x+@mail.example", []),
        ("@pat@elsewhere.example @@pat /@pat https://x.example/@pat", []),
        ("@ab @" + "x" * 31 + " @.pat @_pat @", []),
    ],
)
def test_a_mention_is_a_user_name_behind_a_sign(text: str, names: list[str]) -> None:
    assert names_of(text) == names


def test_what_comes_after_the_limits_stays_text() -> None:
    tags = [f"tag{n}" for n in range(TAGS_OF_TEXT + 5)]
    names = [f"name{n}" for n in range(MENTIONS_OF_TEXT + 5)]
    text = " ".join([f"#{tag}" for tag in tags] + [f"@{name}" for name in names] + ["#tag0", "#tag34"])
    assert tags_of(text) == tags[:TAGS_OF_TEXT]
    assert names_of(text) == names[:MENTIONS_OF_TEXT]
    assert parse(text)[-1].key == "tag0"


@given(WORDS)
def test_marks_never_overlap_and_each_is_where_it_says(text: str) -> None:
    marks = parse(text)
    assert all(before.end <= after.start for before, after in pairwise(marks))
    for mark in marks:
        assert 0 <= mark.start < mark.end <= len(text)
        if mark.sign == "#":
            assert tag_key(text[mark.start + 1 : mark.end]) == mark.key


@given(WORDS)
def test_a_key_is_its_own_key_and_finds_its_own_page(text: str) -> None:
    for key in tags_of(text):
        assert tag_key(key) == key
        assert tags_of(f"#{key}") == [key]


@given(WORDS)
def test_a_linked_text_is_the_text_and_nothing_of_it_is_markup(text: str) -> None:
    html = linked(text, dict.fromkeys(names_of(text), 1))
    assert unescape(re.sub(r"</?(?:a|span)\b[^>]*>", "", html)) == unescape(html_of(text))
    assert html.count("<a ") == len(parse(text))


def html_of(text: str) -> str:
    """What `linked` makes of a text without marks."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_only_names_that_are_somebodys_are_linked_and_all_else_is_escaped() -> None:
    html = linked('<i>@pat</i> @"eve @nobody #Été', {"pat": 7})
    assert html == (
        '&lt;i&gt;<span class="h-card" translate="no"><a href="/@pat/" class="u-url mention">@<span>pat</span></a></span>'
        "&lt;/i&gt; @&quot;eve @nobody "
        '<a href="/tags/%C3%A9t%C3%A9/" class="mention hashtag" rel="tag">#<span>Été</span></a>'
    )


@pytest.mark.parametrize("part", ["#@", "#a", "@abc.", "://", "www.", "a.@", "#" + "a" * 99, "＃́"])
def test_ten_kilobytes_take_no_longer_than_ten_times_one(part: str) -> None:
    def seconds(size: int) -> float:
        text = part * (size // len(part))
        started = time.thread_time()
        parse(text)
        return time.thread_time() - started

    assert min(seconds(10_000) for _ in range(3)) < 40 * min(seconds(1_000) for _ in range(3)) + 0.005
