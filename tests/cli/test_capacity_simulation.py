"""Fan-out: the simulation against queueing theory and the formulas, the formulas against each other."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from calotype.cli.capacity.degrees import followers_above, mean, mean_pushed
from calotype.cli.capacity.loads import ENTRIES_A_RUN
from calotype.cli.capacity.simulation import Delay, Percentiles, Post, Served, Service, serve, simulate
from calotype.cli.capacity.strategies import Name, sums, sweep, workers
from tests.cli.capacity_defaults import PULLED_FROM, default_world


def served(
    posts: list[Post], workers: int, run_s: float, entry_s: float, seed: int = 1
) -> tuple[Served, Percentiles]:
    seen = Percentiles()
    queue = serve(
        posts,
        range(len(posts)),
        workers,
        Service(run_s, entry_s, Delay(0, 0)),
        Random(seed),
        lambda _, delay_s, entries: seen.add(delay_s, entries),
    )
    return queue, seen


def poisson(amount: int, a_second: float, followers: float, seed: int = 1) -> list[Post]:
    chance, at_s = Random(seed), 0.0
    posts = []
    for _ in range(amount):
        at_s += chance.expovariate(a_second)
        posts.append(Post(at_s, followers))
    return posts


def test_one_worker_waits_as_queueing_theory_says() -> None:
    """M/D/1, Pollaczek-Khinchine: the mean wait is load * service / (2 * (1 - load))."""
    load, service_s = 0.7, 0.01
    queue, _ = served(poisson(40_000, load / service_s, 100), 1, 0.002, 0.00008)
    assert queue.waited_s / queue.runs == pytest.approx(load * service_s / (2 * (1 - load)), rel=0.1)
    assert queue.busy_s / queue.window_s == pytest.approx(load, rel=0.02)


def test_more_workers_wait_less_than_one_that_is_as_fast_as_all() -> None:
    one, _ = served(poisson(5_000, 70, 100), 1, 0.01, 0)
    four, _ = served(poisson(5_000, 70, 100), 4, 0.04, 0)
    assert four.waited_s < one.waited_s
    assert four.busy_s == pytest.approx(4 * one.busy_s, rel=0.02)


def test_littles_law_holds() -> None:
    queue, _ = served(poisson(5_000, 95, 100), 1, 0.01, 0)
    assert queue.backlog_s == pytest.approx(queue.waited_s, rel=1e-9)
    assert queue.backlog > 5


def test_a_post_alone_is_seen_batch_by_batch_and_run_by_run() -> None:
    queue, seen = served([Post(0, 2.5 * ENTRIES_A_RUN)], 3, 0.1, 1e-5)
    assert queue.runs == 3
    assert queue.entries == seen.weight == 2.5 * ENTRIES_A_RUN
    assert queue.ended_s == pytest.approx(3 * 0.1 + 2.5 * ENTRIES_A_RUN * 1e-5)
    assert seen.at(1) == pytest.approx(queue.ended_s, rel=0.01)


def test_nobody_overtakes_but_a_post_with_many_followers_lets_others_in_between_its_runs() -> None:
    posts = [Post(0, 3 * ENTRIES_A_RUN), Post(0.01, 10)]
    seen: dict[int, float] = {}
    serve(
        posts,
        [0, 1],
        1,
        Service(0, 1e-5, Delay(0, 0)),
        Random(1),
        lambda post, delay, _: seen.update({post: delay}),
    )
    assert seen[1] == pytest.approx(ENTRIES_A_RUN * 1e-5 - 0.01 + 10e-5)
    assert seen[0] == pytest.approx(3 * ENTRIES_A_RUN * 1e-5 + 10e-5)


@pytest.mark.parametrize("name", ["push", "hybrid", "pull"])
def test_simulated_writes_are_those_of_the_formula(name: Name) -> None:
    there = default_world()
    outcome = simulate(there, name, PULLED_FROM, 8, 10_000, 7)
    limit = {"push": there.law.top, "hybrid": PULLED_FROM, "pull": 0.0}[name]
    assert outcome.entries_a_second == pytest.approx(
        there.posts_a_second * mean_pushed(there.law, limit), rel=0.02
    )


def test_simulated_writes_are_those_of_the_formula_where_few_are_pulled_too() -> None:
    """Of so few posts none is by one of them, whose followers are 9% of all."""
    there = default_world()
    outcome = simulate(there, "hybrid", 1e6, 8, 2_000, 7)
    assert outcome.entries_a_second == pytest.approx(sums(there, 1e6).entries_a_second, rel=0.001)


def test_the_hybrids_writes_are_pushes_cut_at_the_threshold() -> None:
    there = default_world()
    push, hybrid = sums(there, there.law.top), sums(there, PULLED_FROM)
    cut = there.posts_a_second * followers_above(there.law, PULLED_FROM)
    assert push.entries_a_second - hybrid.entries_a_second == pytest.approx(cut)


def test_pull_writes_nothing_and_push_merges_nothing() -> None:
    there = default_world()
    push, pull = sums(there, there.law.top), sums(there, 0)
    assert (push.lists_a_page, pull.entries_a_second) == (0, 0)
    assert pull.lists_a_page == pytest.approx(mean(there.law))


def test_the_largest_account_is_what_push_cannot_do() -> None:
    there = default_world(accounts=1e6, top_followers=1e6, mean_followers=50)
    push, hybrid = (simulate(there, name, PULLED_FROM, 2, 2_000, 7) for name in ("push", "hybrid"))
    assert push.top_last_s >= sums(there, there.law.top).largest_s * 0.98
    assert hybrid.top_last_s < 0.2
    assert hybrid.entries_peak < push.entries_peak


def test_the_same_seed_gives_the_same_outcome_and_another_one_does_not() -> None:
    there = default_world()
    first, again, other = (simulate(there, "hybrid", PULLED_FROM, 2, 500, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.visible_p99_s != other.visible_p99_s


def test_writes_rise_and_reads_fall_with_the_threshold() -> None:
    found = sweep(default_world(), 5_000)
    assert [one.pulled_from for one in found] == [0, 100, 1_000, 5_000, 1e4, 1e5, 1e6, 1e7, 1e8]
    for low, high in pairwise(found):
        assert low.entries_a_second < high.entries_a_second
        assert low.lists_a_page > high.lists_a_page
        assert low.largest_s < high.largest_s


def test_workers_are_as_many_as_keep_free_what_shall_be_free() -> None:
    there = default_world()
    assert workers(there, PULLED_FROM, 0.05) >= 9 * workers(there, PULLED_FROM, 0.5) / 2
    outcome = simulate(there, "hybrid", PULLED_FROM, workers(there, PULLED_FROM, 0.5), 5_000, 7)
    assert outcome.busy <= 0.55


def test_percentiles_are_weighed() -> None:
    seen = Percentiles()
    for value, weight in ((1.0, 98.0), (10.0, 1.5), (100.0, 0.5)):
        seen.add(value, weight)
    assert [seen.at(share) for share in (0.5, 0.99, 1)] == pytest.approx([1, 10, 100], rel=0.01)
    assert Percentiles().at(0.5) == 0


def test_a_delay_has_the_percentiles_that_were_measured() -> None:
    delay, chance = Delay(0.003, 0.03), Random(1)
    drawn = sorted(delay.drawn(chance) for _ in range(20_000))
    assert drawn[10_000] == pytest.approx(0.003, rel=0.05)
    assert drawn[19_800] == pytest.approx(0.03, rel=0.15)
