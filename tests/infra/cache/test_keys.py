"""Any text is a key that memcached takes, and two texts never share one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.infra.cache import KEY_LIMIT, Cache, safe_key

TEXTS = st.text(st.characters(exclude_categories=()), max_size=400) | st.text("# a\n", max_size=6)

AWKWARD = [
    "",
    " ",
    "two words",
    "line\r\nset x 0 0 1\r\ny",
    "\x00",
    "#hash",
    "Füße 🖼",
    "\ud800",
    "x" * 250,
    "x" * 251,
    "y" * 300,
]


@given(TEXTS)
def test_no_key_is_illegal_or_too_long(text: str) -> None:
    key = safe_key(text)
    assert 0 < len(key) <= KEY_LIMIT
    assert all(0x21 <= byte <= 0x7E for byte in key)


@given(TEXTS, TEXTS)
def test_two_texts_have_two_keys(one: str, other: str) -> None:
    assert (safe_key(one) == safe_key(other)) == (one == other)


@given(st.text(" \r\n\x7f\u0100", min_size=1, max_size=20))
def test_no_text_is_the_key_of_another(text: str) -> None:
    hashed = safe_key(text).decode()
    assert safe_key(hashed) != safe_key(text)


def test_printable_text_is_its_own_key() -> None:
    assert safe_key("o:k3:12345678901234567890") == b"o:k3:12345678901234567890"


@pytest.mark.memcached
async def test_awkward_texts_work_end_to_end(cache: Cache) -> None:
    for text in AWKWARD:
        assert await cache.set(safe_key(text), text.encode("utf-8", "surrogatepass"))
    found = await cache.get_many([safe_key(text) for text in AWKWARD])
    assert found == {safe_key(text): text.encode("utf-8", "surrogatepass") for text in AWKWARD}
