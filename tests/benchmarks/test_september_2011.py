"""How `bench 2011` judges a rate and finds the largest: on steps that are made up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.arrivals import Figures
from benchmarks.september_2011 import HOLDS, SHRINK, Lengths, Step, hold, saturated, search

LENGTHS = Lengths(people=10, first=0.1, most=1.5, step_s=15, halvings=3, hold_s=300)


def step(times: float, seconds: float = 15, answered_ms: float = 20) -> Step:
    return Step(
        times=times,
        seconds=seconds,
        figures={"like": Figures(1_000, 1_000, [answered_ms] * 1_000)},
        errors=Counter(),
        late_ms=[0.1],
        cores={"web server": 0.5, "relay": 0.1, "memcached": 0.1, "generator": 0.1},
        machine_cores=1.0,
        drained_s=0.1,
        drained_limit_s=2,
    )


def holding(up_to: float, seconds: float = 1_000) -> list[float]:
    """The rates that a search and a hold ask for, on a site that sustains so much; the last is what was held."""
    asked: list[float] = []

    def offer(times: float, length: float) -> Step:
        asked.append(times)
        good = times <= up_to and (length < 100 or times <= seconds)
        return step(times, length, 20 if good else 3_000)

    best, _ = search(offer, LENGTHS)
    if best is not None:
        asked.append(hold(offer, best, LENGTHS.hold_s).times)
    return asked


def test_a_step_is_sustained_unless_something_speaks_against_it() -> None:
    good = step(1)
    assert good.faults() == []
    for bad, words in [
        (step(1, answered_ms=2_001), "p99 of like 2,001 ms"),
        (replace(good, errors=Counter({"like: Broken 503": 2})), "0.20% failed (like: Broken 503)"),
        (replace(good, figures={"like": Figures(1_000, 979, [20.0] * 1_000)}), "97.9% answered in time"),
        (replace(good, drained_s=2.0), "background work left after 2 s"),
    ]:
        assert bad.faults() == [words]


def test_the_largest_rate_is_found_to_a_tenth() -> None:
    for up_to in (0.1, 0.137, 0.3, 0.79, 1.2):
        found = holding(up_to)[-1]
        assert up_to / 1.1 <= found <= up_to


def test_a_search_ends_at_the_most_and_at_nothing() -> None:
    assert holding(9)[-1] == LENGTHS.most
    assert holding(0.001) == pytest.approx([0.1, 0.05, 0.025, 0.0125])


def test_a_rate_that_five_minutes_do_not_sustain_is_made_smaller() -> None:
    assert holding(1.5, seconds=1.3)[-1] == pytest.approx(1.5 * SHRINK)
    asked = holding(1.5, seconds=0.1)
    assert asked[-1] == pytest.approx(1.5 * SHRINK ** (HOLDS - 1)), "and then nothing is held"


def test_what_saturates_first_is_a_server_at_its_core_or_all_cores() -> None:
    busy = replace(step(1), cores={"web server": 0.95, "relay": 0.2, "memcached": 0.1}, machine_cores=1.2)
    assert saturated(busy).name == "saturates first: web server"
    assert saturated(replace(busy, machine_cores=1_000)).name == "saturates first: the cores"
    assert saturated(step(1)).name == "saturates first: nothing: it waits"
