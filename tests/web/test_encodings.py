"""What a client takes decides what it gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.web.encodings import preferred

OURS = ("zstd", "br", "gzip")


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", None),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("GZIP", "gzip"),
        ("deflate", None),
        ("*", "zstd"),
        ("*;q=0.1, zstd;q=0", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("br;q=nonsense, gzip", "gzip"),
        ("br;level=9", None),
        ("br;q=7", None),
        ("br;q=nan", None),
        (",,;,gzip", "gzip"),
    ],
)
def test_the_coding_that_the_client_likes_best_is_chosen(header: str, chosen: str | None) -> None:
    assert preferred(header, OURS) == chosen


@given(st.text())
def test_no_header_is_too_strange(header: str) -> None:
    assert preferred(header, OURS) in {None, *OURS}
