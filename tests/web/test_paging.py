from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.infra.tao import FIRST, START
from calotype.std.errors import BadRequest
from calotype.web import paging


@given(st.integers(0, FIRST), st.integers(0, FIRST))
def test_a_cursor_comes_back_as_it_went(time: int, id2: int) -> None:
    assert paging.decode(paging.encode((time, id2))) == (time, id2)


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_is_refused(text: str) -> None:
    try:
        cursor = paging.decode(text)
    except paging.CursorInvalid as error:
        assert error.message
    else:
        assert cursor <= START


@pytest.mark.parametrize(
    ("text", "limit"), [(None, 20), ("", 20), ("1", 1), ("40", 40), ("41", 40), ("100000", 40), ("0", 1)]
)
def test_a_limit_is_kept_within_bounds(text: str | None, limit: int) -> None:
    assert paging.limit(text) == limit


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "٣", "9" * 30])
def test_a_limit_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        paging.limit(text)
