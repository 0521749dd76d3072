"""The law of followers: its sums, its mean, its tail."""

from __future__ import annotations

from itertools import pairwise
from math import log10

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.cli.capacity.degrees import (
    Degrees,
    at_share,
    buckets,
    degrees,
    fitting_mean,
    followers_above,
    mean,
    of_posts,
    share_above,
    strata,
)
from tests.cli.capacity_defaults import default_world

laws = st.builds(
    lambda exponent, top, share: degrees(1e8, exponent, top, fitting_mean(share * top, top)),
    st.floats(1.5, 4),
    st.floats(10, 1e8),
    st.floats(1e-6, 0.1),
)


@given(st.floats(1.5, 4), st.floats(100, 1e9), st.floats(0.01, 10))
def test_the_law_has_the_mean_that_was_asked_for(exponent: float, top: float, wanted: float) -> None:
    assert mean(degrees(1e8, exponent, top, wanted)) == pytest.approx(wanted, rel=1e-7)


@given(laws)
def test_buckets_hold_every_account_and_every_follower_once(law: Degrees) -> None:
    found = buckets(law)
    assert sum(one.accounts for one in found) == pytest.approx(law.accounts, rel=1e-9)
    assert sum(one.followers for one in found) == pytest.approx(law.accounts * mean(law), rel=1e-9)
    for one in found:
        assert (
            one.low * one.accounts * (1 - 1e-6) - 1
            <= one.followers
            <= one.high * one.accounts * (1 + 1e-6) + 1
        )


@given(laws, st.floats(0, 1e8), st.floats(0, 1e8))
def test_fewer_accounts_have_more_followers(law: Degrees, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= share_above(law, high) <= share_above(law, low) <= 1
    assert 0 <= followers_above(law, high) <= followers_above(law, low) * (1 + 1e-9)


@given(laws, st.floats(0, 0.999))
def test_a_share_of_accounts_and_its_number_of_followers_are_inverse(law: Degrees, share: float) -> None:
    assert 1 - share_above(law, at_share(law, share)) == pytest.approx(share, abs=1e-7)


@settings(max_examples=20)
@given(laws, st.integers(1, 500))
def test_strata_rise_and_have_the_mean_of_the_law(law: Degrees, amount: int) -> None:
    found = strata(law, amount)
    assert sum(found) / amount == pytest.approx(mean(law), rel=1e-9)
    assert all(low <= high * (1 + 1e-3) + 1e-6 for low, high in pairwise(found))


def test_the_tail_falls_by_its_exponent() -> None:
    law = default_world().law
    fell = log10(share_above(law, 1e4) / share_above(law, 1e6))
    assert fell == pytest.approx(2 * (law.exponent - 1), rel=0.01)


def test_the_assumed_mean_puts_about_one_of_100_million_accounts_near_100_million_followers() -> None:
    law = default_world().law
    assert 0.5 < law.accounts * share_above(law, law.top / 2) < 3


def test_posts_weighed_by_followers_are_the_same_law_with_another_exponent() -> None:
    law, bias = default_world().law._replace(top=1e5), 0.2
    accounts = strata(law, 20_000)
    weights = [(1 + k / law.scale) ** bias for k in accounts]
    weighed = sum(k * weight for k, weight in zip(accounts, weights, strict=True)) / sum(weights)
    assert mean(of_posts(law, bias)) == pytest.approx(weighed, rel=0.01)
