"""Sums that only grow, with buckets that count exactly what the sketch did."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.efficiency.dynostats import Identity, Tick, Totals
from calotype.efficiency.dynostats.cumulative import ACTIVE_S, BOUNDS, Buckets, Cumulative, active, place_of
from calotype.efficiency.sketches import Histogram, HyperLogLog


def tick(at: float, requests: int = 1, people: range = range(0), worker: str = "1") -> Tick:
    """Each request took 2 ms and used 1 ms."""
    counted = HyperLogLog(b"key")
    for person in people:
        counted.add(person)
    totals = Totals(requests=requests)
    for _ in range(requests):
        totals.wall_ns.add(2e6)
        totals.cpu.add(1e6)
    return Tick(
        at=at,
        seconds=5,
        identity=Identity(release="abc", host="host", worker=worker),
        counter="thread-cpu",
        unit="ns",
        process_cpu_ns=requests * 1_500_000,
        attributed=requests * 1_000_000,
        after=10,
        people=counted.encoded(),
        endpoints={"feed": totals},
        dropped=2,
    )


@given(st.lists(st.floats(0, 1e14)))
def test_what_is_counted_up_to_a_bound_is_not_above_it(values: list[float]) -> None:
    histogram, buckets = Histogram(), Buckets()
    for value in values:
        histogram.add(value)
    buckets.add(histogram)
    assert buckets.count == len(values)
    for place, bound in enumerate(BOUNDS):
        # A value on the bound itself is on either side of it, by rounding.
        below = sum(value < bound * (1 - 1e-9) for value in values)
        assert below <= sum(buckets.counts[: place + 1]) <= sum(v <= bound * (1 + 1e-9) for v in values)


def test_the_place_of_a_value_is_that_of_the_bucket_that_counts_it() -> None:
    for _ in range(1_000):
        value = 10 ** random.uniform(0, 12)
        histogram, buckets = Histogram(), Buckets()
        histogram.add(value)
        buckets.add(histogram)
        assert buckets.counts[place_of(value)] == 1


def test_bounds_grow_by_a_ratio() -> None:
    ratios = {round(after / before, 6) for before, after in pairwise(BOUNDS)}
    assert len(ratios) == 1 and 1.6 < ratios.pop() < 1.63


def test_ticks_add_up_to_what_a_worker_has_done_since_it_began() -> None:
    sums = Cumulative.begun(tick(1_000))
    for number in range(3):
        sums.add(tick(1_000 + 5 * number, requests=number + 1))
    assert (sums.since, sums.at) == (995, 1_010)
    assert sums.endpoints["feed"].requests == sums.endpoints["feed"].cpu.count == 6
    assert sums.endpoints["feed"].wall_ns.total == 12e6
    assert (sums.process_cpu_ns, sums.attributed, sums.after, sums.dropped) == (9_000_000, 6_000_000, 30, 6)


def test_people_are_active_for_a_minute_and_counted_once_over_all_workers() -> None:
    first, second = Cumulative.begun(tick(1_000)), Cumulative.begun(tick(1_000))
    first.add(tick(1_000, people=range(100)))
    first.add(tick(1_005, people=range(50, 200)))
    second.add(tick(1_010, people=range(150, 300)))
    assert active([first, second], 1_010) == pytest.approx(300, rel=0.05)
    assert active([first, second], 1_000 + ACTIVE_S) == pytest.approx(250, rel=0.05)
    first.add(tick(1_000 + ACTIVE_S, people=range(0)))
    assert [at for at, _ in first.people] == [1_005, 1_000 + ACTIVE_S], "no more is kept than is asked for"
