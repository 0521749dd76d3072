"""Profiles as data: sums, bounds, wrappers folded."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.efficiency.profiler import Profile, ProfilesDiffer, Rule, folded, merged
from calotype.efficiency.profiler.profile import bounded, totals
from tests.efficiency.profiler.profiles import Nested, made, paths

nested: st.SearchStrategy[Nested] = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(
        st.sampled_from(["a", "b", "c", "functools:cached_property.__get__"]),
        st.tuples(st.integers(0, 3), st.integers(0, 1_000), inner),
        max_size=3,
    ),
    max_leaves=20,
)
profiles = st.builds(made, nested, requests=st.integers(1, 5))


@given(profiles, profiles, profiles)
def test_a_sum_is_the_same_in_any_order(one: Profile, two: Profile, three: Profile) -> None:
    left = merged([merged([one, two]), three])
    right = merged([three, merged([two, one])])
    assert paths(left) == paths(right)
    assert left.requests == one.requests + two.requests + three.requests
    assert left.amount == one.amount + two.amount + three.amount
    assert (left.events, left.subtracted) == (30, 2_700)
    assert left.event_cost == pytest.approx(100)


def test_other_units_are_not_added() -> None:
    with pytest.raises(ProfilesDiffer, match=r"ns \(cpu\).*bytes \(memory\)"):
        merged([made({}), made({}, clock="memory", unit="bytes")])


@given(profiles, st.integers(1, 10))
def test_a_bounded_profile_keeps_what_costs_most_and_loses_nothing(profile: Profile, limit: int) -> None:
    small = bounded(profile, limit)
    others = [path for path in paths(small) if path[-1] == "(other)"]
    assert len(small.paths) - len(others) <= limit
    assert small.amount == profile.amount
    kept = {path for path in paths(small) if "(other)" not in path}
    assert kept <= set(paths(profile))
    if len(profile.paths) > limit:
        amounts = totals(profile.paths)
        least_kept = min(totals(small.paths)[: len(small.paths)]) if not others else 0
        assert least_kept <= sorted(amounts, reverse=True)[limit - 1]


def test_rare_branches_become_other() -> None:
    profile = made({"a": (1, 5, {"b": (1, 90, {}), "c": (2, 3, {"d": (1, 1, {})}), "e": (1, 2, {})})})
    assert paths(bounded(profile, 3)) == {
        ("a",): (1, 5),
        ("a", "b"): (1, 90),
        ("a", "(other)"): (3, 6),
    }


def test_a_wrapper_gives_its_own_cost_to_its_caller() -> None:
    get = "functools:cached_property.__get__"
    profile = made(
        {
            "a": (1, 10, {get: (1, 1, {"x": (1, 100, {})})}),
            "b": (1, 20, {get: (1, 2, {"y": (1, 200, {get: (1, 3, {"x": (1, 300, {})})})})}),
        }
    )
    assert paths(folded(profile)) == {
        ("a",): (1, 11),
        ("a", "x"): (1, 100),
        ("b",): (1, 22),
        ("b", "y"): (1, 203),
        ("b", "y", "x"): (1, 300),
    }


def test_a_wrapper_that_a_request_begins_with_gives_its_cost_to_the_request() -> None:
    profile = folded(made({"web:login_required.<locals>.wrapper": (1, 7, {"view": (1, 1, {})})}))
    assert paths(profile) == {("view",): (1, 1)}
    assert profile.paths[0].amount == 7


@given(profiles)
def test_folding_changes_no_sum_and_folds_once(profile: Profile) -> None:
    once = folded(profile)
    assert once.amount == profile.amount
    assert msgspec.to_builtins(folded(once)) == msgspec.to_builtins(once)
    assert not any("cached_property.__get__" in path for path in paths(once))


def test_other_rules_fold_other_functions() -> None:
    profile = made({"a": (1, 1, {"web:Handler.get": (1, 2, {"b": (1, 3, {})})})})
    assert paths(folded(profile, [Rule("web", "Handler.*")])) == {("a",): (1, 3), ("a", "b"): (1, 3)}
    assert paths(folded(profile, [])) == paths(profile)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("functools", "cached_property.__get__"),
        ("contextlib", "_GeneratorContextManager.__enter__"),
        ("web.auth", "login_required.<locals>.wrapper"),
        ("django.contrib.auth.decorators", "user_passes_test.<locals>.decorator.<locals>._wrapper_view"),
        ("django.utils.decorators", "_multi_decorate.<locals>._wrapper"),
        ("django.utils.functional", "cached_property.__get__"),
        ("asgiref.sync", "SyncToAsync.__call__"),
        ("django.views.decorators.csrf", "csrf_exempt.<locals>._view_wrapper"),
    ],
)
def test_common_wrappers_are_folded(module: str, name: str) -> None:
    assert paths(folded(made({"a": (1, 1, {f"{module}:{name}": (1, 1, {})})}))) == {("a",): (1, 2)}
