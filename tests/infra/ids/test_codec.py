"""The layout of ids, against the vectors that were published and against its own promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.infra.ids import (
    EPOCH_MS,
    MAX_ID,
    MAX_MS,
    MAX_SEQUENCE,
    MAX_SHARD,
    IdInvalid,
    IdParts,
    compose,
    decompose,
    parse,
    shard_of,
    time_ms,
)
from calotype.std.errors import NotFound

PUBLISHED_EPOCH_MS = 1_314_220_021_721

parts = st.builds(IdParts, st.integers(0, MAX_MS), st.integers(0, MAX_SHARD), st.integers(0, MAX_SEQUENCE))


def test_the_published_example_packs_to_the_published_id() -> None:
    assert compose(1_387_263_000, 31341 % 2000, 5001 % 1024) == 11637205501278089


def test_the_published_id_unpacks_to_the_published_example() -> None:
    assert decompose(11637205501278089) == (1_387_263_000, 1341, 905)
    assert shard_of(11637205501278089) == 1341


def test_an_id_tells_its_time_by_the_epoch_that_it_was_made_with() -> None:
    assert time_ms(11637205501278089, PUBLISHED_EPOCH_MS) == PUBLISHED_EPOCH_MS + 1_387_263_000
    assert time_ms(0) == EPOCH_MS


def test_the_number_on_the_slide_is_digits_side_by_side_and_no_packed_id() -> None:
    _, shard, sequence = decompose(138726300013410905)
    assert (shard, sequence) == (4974, 601)


def test_ids_end_after_two_to_the_fortieth_milliseconds() -> None:
    assert compose(2**40 - 1, MAX_SHARD, MAX_SEQUENCE) == MAX_ID
    with pytest.raises(ValueError, match="ms is 1099511627776; it must be 0 to 1099511627775"):
        compose(2**40, 0, 0)


@pytest.mark.parametrize("wrong", [(-1, 0, 0), (0, MAX_SHARD + 1, 0), (0, -1, 0), (0, 0, MAX_SEQUENCE + 1)])
def test_a_part_out_of_range_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="it must be 0 to"):
        compose(*wrong)


@pytest.mark.parametrize("wrong", [-1, MAX_ID + 1])
def test_a_number_outside_63_bits_is_no_id(wrong: int) -> None:
    with pytest.raises(ValueError, match="is no id"):
        decompose(wrong)


@given(parts)
def test_what_was_packed_unpacks_to_the_same(one: IdParts) -> None:
    id_ = compose(*one)
    assert decompose(id_) == one
    assert shard_of(id_) == one.shard
    assert time_ms(id_) == EPOCH_MS + one.ms
    assert parse(str(id_)) == id_


@given(st.integers(0, MAX_ID))
def test_every_number_of_63_bits_is_the_id_of_its_parts(id_: int) -> None:
    assert compose(*decompose(id_)) == id_


@given(parts, parts)
def test_ids_are_ordered_by_time_then_shard_then_sequence(one: IdParts, other: IdParts) -> None:
    assert (compose(*one) < compose(*other)) == (one < other)


@given(st.text() | st.from_regex(r"[-+ ]?[0-9_]{1,30}[ \n]?") | st.integers().map(str))
def test_hostile_text_is_an_id_or_is_refused_as_not_found(text: str) -> None:
    try:
        id_ = parse(text)
    except IdInvalid as error:
        assert isinstance(error, NotFound)
        assert error.status == 404
        assert len(str(error)) < 400
    else:
        assert 0 <= id_ <= MAX_ID
        assert text.strip("0123456789") == ""


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "+1", "-1", "1_000", "١٢٣", "½", "1e3", "0x1", "1\n", str(MAX_ID + 1), "9" * 5000],
)
def test_text_that_python_might_take_for_a_number_is_refused(text: str) -> None:
    with pytest.raises(IdInvalid):
        parse(text)
