"""What a site costs, from ticks whose sums are known."""

from __future__ import annotations

import math
import random

import pytest

from calotype.efficiency.appweight import capacity, releases, series, weigh
from calotype.efficiency.dynostats import Identity, Tick, Totals
from calotype.efficiency.meter import Unit
from calotype.efficiency.sketches import Histogram, HyperLogLog

MS = 1_000_000


def people(*ids: int) -> str:
    sketch = HyperLogLog(b"key")
    for id_ in ids:
        sketch.add(id_)
    return sketch.encoded()


def totals(requests: int, cpu_ms: float, *, metered: int | None = None, errors: int = 0) -> Totals:
    cpu, wall = Histogram(), Histogram()
    for _ in range(requests if metered is None else metered):
        cpu.add(cpu_ms * MS)
    for _ in range(requests):
        wall.add(2 * cpu_ms * MS)
    return Totals(requests=requests, errors=errors, wall_ns=wall, cpu=cpu)


def tick(
    at: float,
    cpu_ms: float = 500,
    *,
    worker: str = "1",
    release: str = "one",
    unit: Unit = "ns",
    who: str = "",
    **endpoints: Totals,
) -> Tick:
    return Tick(
        at=at,
        seconds=5,
        identity=Identity(release=release, host="host", worker=worker),
        counter="thread-cpu" if unit == "ns" else "instructions",
        unit=unit,
        process_cpu_ns=int(cpu_ms * MS),
        attributed=int(cpu_ms * MS * 0.8),
        after=0,
        people=who,
        endpoints=endpoints,
    )


def test_workers_and_seconds_add_up_and_each_person_counts_once() -> None:
    ticks = [
        tick(5, 1_000, worker="1", who=people(1, 2)),
        tick(10, 2_000, worker="1", who=people(2, 3)),
        tick(10, 3_000, worker="2", who=people(1, 4)),
        tick(70, 9_000),
    ]
    found = weigh(ticks, 0, 60)
    assert found.people == 4
    assert found.cores == pytest.approx(6 / 60)
    assert found.weight == pytest.approx(6 / 4)
    assert found.attributed_share == pytest.approx(0.8)


def test_an_endpoint_weighs_its_cost_times_its_traffic() -> None:
    feed, photo = totals(100, 6, errors=3), totals(300, 2)
    found = weigh([tick(5, feed=feed, photo=photo), tick(10, feed=totals(100, 6))], 0, 60)
    assert [(one.endpoint, one.requests, one.errors) for one in found.endpoints] == [
        ("feed", 200, 3),
        ("photo", 300, 0),
    ]
    assert [one.cpu_share for one in found.endpoints] == pytest.approx([1200 / 1800, 600 / 1800])
    assert [one.traffic_share for one in found.endpoints] == pytest.approx([0.4, 0.6])
    assert found.endpoints[0].cpu.quantile(0.95) == pytest.approx(6 * MS, rel=0.02)


def test_of_an_endpoint_that_is_metered_in_part_the_rest_is_taken_to_cost_the_same() -> None:
    found = weigh([tick(5, feed=totals(1_000, 6, metered=10), photo=totals(1_000, 2))], 0, 60)
    assert found.endpoints[0].cpu_share == pytest.approx(0.75)


def test_an_endpoint_of_which_no_request_has_ended_yet_has_no_share() -> None:
    (found,) = weigh([tick(5, stream=totals(0, 0))], 0, 60).endpoints
    assert (found.requests, found.traffic_share, found.cpu_share) == (0, 0.0, 0.0)


def test_instructions_and_nanoseconds_are_never_added() -> None:
    mixed = [tick(5), tick(10, unit="instructions", cpu_ms=700)]
    with pytest.raises(ValueError, match="do not add up"):
        weigh(mixed, 0, 60)
    (only,) = series(mixed, 0, 60)
    assert only.unit == "instructions"
    assert only.cores == pytest.approx(0.7 / 60)
    assert math.isnan(only.attributed_share)


def test_a_series_has_its_steps_in_order_with_empty_ones() -> None:
    found = series([tick(10, who=people(1)), tick(130), tick(150)], 0, 150)
    assert [(one.since, one.until) for one in found] == [(0, 60), (60, 120), (120, 150)]
    assert [one.cores * one.seconds for one in found] == pytest.approx([0.5, 0, 1.0])
    assert math.isnan(found[1].weight)
    assert series([], 0, 60)[0].unit is None


def test_releases_are_marked_where_they_came() -> None:
    found = releases([tick(30, release="two"), tick(10), tick(20), tick(40)])
    assert [(one.name, one.since) for one in found] == [("one", 10), ("two", 30)]


def minutes(count: int, seed: int) -> list[Tick]:
    """10 to 60 people at a time, each of whom costs 20 ms a second, more or less."""
    noise = random.Random(seed)
    made = []
    for minute in range(count):
        active = noise.randrange(10, 60)
        cpu_ms = sum(noise.gauss(20, 5) for _ in range(active)) * 60
        made.append(tick(60 * minute + 30, cpu_ms, who=people(*range(active))))
    return made


def test_the_true_capacity_is_within_its_interval_as_often_as_is_said() -> None:
    within = 0
    for seed in range(60):
        found = capacity(series(minutes(30, seed), 0, 1_800))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.people_per_core <= found.high
        within += found.low <= 50 <= found.high
    assert within >= 50


def test_more_minutes_make_it_surer() -> None:
    def width(count: int) -> float:
        found = capacity(series(minutes(count, 1), 0, 60 * count))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(100) < width(10)


def test_too_little_is_no_interval_and_nobody_no_figure() -> None:
    few = capacity(series(minutes(3, 1), 0, 180))
    assert few is not None
    assert (few.low, few.high) == (None, None)
    assert capacity(series([tick(5)], 0, 60)) is None
    assert capacity([]) is None
