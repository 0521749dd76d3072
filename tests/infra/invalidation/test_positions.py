from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.infra.invalidation.positions import (
    Lsn,
    Position,
    decode_position,
    encode_position,
    format_lsn,
    parse_lsn,
    position_key,
)

lsns = st.integers(0, 2**64 - 1).map(Lsn)


@given(st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=1), lsns, st.integers(0, 2**53))
def test_a_position_survives_its_encoding(generation: str, lsn: Lsn, at_ms: int) -> None:
    position = Position(generation, lsn, at_ms)
    assert decode_position(encode_position(position)) == position


@given(st.binary(max_size=50))
def test_a_record_of_another_release_is_no_record(value: bytes) -> None:
    decoded = decode_position(value)
    assert decoded is None or encode_position(decoded)[:1] == value[:1]
    assert decode_position(b"\x02" + encode_position(Position("a", Lsn(1), 2))[1:]) is None


def test_each_log_has_its_own_key() -> None:
    assert position_key("pg-1") == b"position:pg-1"
    assert position_key("a name") != position_key("another name")


@given(lsns)
def test_positions_are_written_as_postgresql_does(lsn: Lsn) -> None:
    assert parse_lsn(format_lsn(lsn)) == lsn
    assert format_lsn(Lsn(0x16_B374D848)) == "16/B374D848"


def test_what_is_no_position_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_lsn("nowhere")
