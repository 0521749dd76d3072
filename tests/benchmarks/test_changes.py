"""What is told apart, of figures whose difference is known."""

from __future__ import annotations

import random

import pytest

from benchmarks.changes import compare, student


def turns(chance: random.Random, amount: int, spread: float) -> list[float]:
    return [chance.gauss(1_000, spread) for _ in range(amount)]


def test_what_both_runs_of_a_round_have_in_common_hides_no_change() -> None:
    chance = random.Random(1)
    rounds = turns(chance, 400, 200)
    before = [at + chance.gauss(0, 20) for at in rounds]
    after = [1.01 * at + chance.gauss(0, 20) for at in rounds]
    found = compare(before, after)
    assert found.told_apart
    assert found.difference == pytest.approx(1, abs=found.half_width)
    assert found.half_width < 0.5 < 2 * found.surely_told


def test_one_in_twenty_is_told_apart_where_nothing_has_changed() -> None:
    chance = random.Random(2)
    found = [compare(turns(chance, 30, 50), turns(chance, 30, 50)) for _ in range(2_000)]
    assert 70 <= sum(each.told_apart for each in found) <= 130


def test_a_change_that_is_surely_told_is_told_nine_times_in_ten() -> None:
    chance = random.Random(3)
    told = 0
    for _ in range(1_000):
        before, after = turns(chance, 50, 40), turns(chance, 50, 40)
        size = 1_000 * compare(before, after).surely_told / 100
        told += compare(before, [each + size for each in after]).told_apart
    assert 870 <= told <= 930


@pytest.mark.parametrize(("degrees", "quantile"), [(10, 2.2281), (30, 2.0423), (100, 1.9840), (400, 1.9659)])
def test_quantiles_of_student(degrees: int, quantile: float) -> None:
    assert student(0.975, degrees) == pytest.approx(quantile, rel=0.001)
