"""Summaries are as exact as they say, and add up however values were spread over them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.efficiency.sketches import Histogram, HyperLogLog
from calotype.efficiency.sketches.histogram import RELATIVE_ERROR, merged
from calotype.efficiency.sketches.hyperloglog import STANDARD_ERROR, union

VALUES = st.lists(st.integers(1, 10**15), min_size=1, max_size=200)


def histogram(values: list[int]) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@given(VALUES, st.floats(0, 1))
def test_a_quantile_is_within_its_relative_error(values: list[int], share: float) -> None:
    exact = sorted(values)[int(share * (len(values) - 1))]
    assert histogram(values).quantile(share) == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-9)


@given(st.lists(VALUES, max_size=6))
def test_histograms_of_parts_are_the_histogram_of_the_whole(parts: list[list[int]]) -> None:
    assert merged(histogram(part) for part in parts) == histogram([value for part in parts for value in part])


def test_nothing_and_zero_can_be_summarised() -> None:
    assert Histogram().quantile(0.5) == 0
    assert Histogram().mean == 0
    assert histogram([0, 0, 0]).quantile(0.99) == 0


@given(VALUES)
def test_as_many_are_below_a_value_as_its_rank_says(values: list[int]) -> None:
    made = histogram(values)
    assert made.up_to(10**16) == len(values)
    assert made.up_to(0.5) == 0


@pytest.mark.parametrize("people", [0, 1, 10, 1_000, 20_000, 300_000])
def test_different_ones_are_counted_within_four_standard_errors(people: int) -> None:
    sketch = HyperLogLog(b"key")
    for person in range(people):
        sketch.add(person)
        if person < 1_000:
            sketch.add(person)  # again
    assert len(sketch) == pytest.approx(people, rel=4 * STANDARD_ERROR, abs=1)


@given(st.lists(st.sets(st.integers(0, 500)), max_size=5))
def test_sketches_of_workers_add_up_to_that_of_all(workers: list[set[int]]) -> None:
    def of(people: set[int]) -> HyperLogLog:
        sketch = HyperLogLog(b"key")
        for person in people:
            sketch.add(person)
        return sketch

    together = union(HyperLogLog.decoded(of(people).encoded()) for people in workers)
    assert len(together) == len(of(set().union(*workers)))


def test_who_was_counted_cannot_be_looked_up_without_the_key() -> None:
    """Under another key the same people are others, and even under the right one many share a register."""
    ours, theirs = HyperLogLog(b"ours"), HyperLogLog(b"theirs")
    for person in range(100):
        ours.add(person)
        theirs.add(person)
    assert len(union([ours, theirs])) == pytest.approx(200, rel=0.05)
    alone = Counter[str]()
    for person in range(100_000):
        sketch = HyperLogLog(b"ours")
        sketch.add(person)
        alone[sketch.encoded()] += 1
    assert min(count for _, count in alone.most_common(1_000)) > 5


@pytest.mark.parametrize("damaged", ['"', "abc def", "00000"])
def test_what_is_no_sketch_is_refused(damaged: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        HyperLogLog.decoded(damaged)
