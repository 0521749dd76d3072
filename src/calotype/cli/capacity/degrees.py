"""How many followers accounts have: a power law by closed formulas, never account by account.

The share of accounts with more than k followers is proportional to (1 + k / s)^-b, cut at `top` (a Lomax or
Zipf-Mandelbrot law). Its density falls as k^-(b + 1) far above the scale s, so `exponent` = b + 1, and is flat far below
it, as counted graphs are. k is a real number here: followers are averages over many accounts.
"""

from __future__ import annotations

from math import exp, expm1, log
from typing import NamedTuple

import msgspec

SMALLEST_MEAN = 0.01
LARGEST_MEAN_SHARE = 0.1
"""Of `top`. The law tends to even odds of all degrees, whose mean is half of `top`, and is no power law long before."""

REACH, HALVINGS = 40.0, 64
"""The scale is sought by its logarithm, so far around the mean and `top`, and so often halved."""


class Degrees(NamedTuple):
    """Made by `degrees`; the functions below read it."""

    accounts: float
    exponent: float
    top: float
    """Followers of the account that has most."""
    scale: float
    """The s of the law."""

    @property
    def tail(self) -> float:
        return self.exponent - 1


class Bucket(msgspec.Struct, frozen=True):
    """Accounts with `low` to `high` followers: how many they are, and how many followers they have together."""

    low: float
    high: float
    accounts: float
    followers: float


def degrees(accounts: float, exponent: float, top: float, mean: float) -> Degrees:
    """The law whose mean is `mean`. Needs exponent > 1 and 0 < `mean` <= a tenth of `top`: see `fitting_mean`."""
    assert exponent > 1 and SMALLEST_MEAN <= mean <= top * LARGEST_MEAN_SHARE, (exponent, top, mean)
    low, high = log(mean) - REACH, log(top) + REACH
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if followers_above(Degrees(accounts, exponent, top, exp(middle)), 0) < mean:
            low = middle
        else:
            high = middle
    return Degrees(accounts, exponent, top, exp(high))


def fitting_mean(mean: float, top: float) -> float:
    """The nearest to `mean` that a law up to `top` can have."""
    return min(max(mean, SMALLEST_MEAN), top * LARGEST_MEAN_SHARE)


def of_posts(law: Degrees, bias: float) -> Degrees:
    """The followers that authors of posts have, if whoever has k followers posts (1 + k / s)^bias times as often.

    Weighing a power law by a power gives the same law with another exponent. `bias` 0: all post equally often.
    """
    return law._replace(exponent=law.exponent - bias)


def share_above(law: Degrees, k: float) -> float:
    """The share of accounts with more than `k` followers."""
    if k >= law.top:
        return 0.0
    last = _power(law, law.top)
    return (_power(law, max(k, 0)) - last) / (1 - last)


def followers_above(law: Degrees, k: float) -> float:
    """Followers, for each account of all, of those that have more than `k`: all of them at 0, where it is the mean.

    Counted from the other end, it is how many such accounts a person follows on average.
    """
    if k >= law.top:
        return 0.0
    low, high = 1 + max(k, 0) / law.scale, 1 + law.top / law.scale
    b = law.tail
    moment = b * _integral(low, high, b) - (low**-b - high**-b)
    return max(0.0, law.scale * float(moment / (1 - high**-b)))


def mean(law: Degrees) -> float:
    return followers_above(law, 0)


def mean_pushed(law: Degrees, threshold: float) -> float:
    """Followers, for each account of all, of those that have `threshold` or fewer."""
    return mean(law) - followers_above(law, threshold)


def at_share(law: Degrees, share: float) -> float:
    """The number of followers that `share` of the accounts do not exceed."""
    last = _power(law, law.top)
    above = (1 - share) * (1 - last) + last
    return min(law.top, law.scale * float(above ** (-1 / law.tail) - 1))


def buckets(law: Degrees, for_each_tenfold: int = 4) -> list[Bucket]:
    """All accounts, by edges that rise by the same factor from 1 to `top`."""
    edges = _edges(law.top, for_each_tenfold)
    shares = [share_above(law, edge) for edge in edges]
    moments = [followers_above(law, edge) for edge in edges]
    return [
        Bucket(
            edges[n],
            edges[n + 1],
            law.accounts * (shares[n] - shares[n + 1]),
            law.accounts * (moments[n] - moments[n + 1]),
        )
        for n in range(len(edges) - 1)
    ]


def strata(law: Degrees, amount: int, above: float = 0, up_to: float | None = None) -> list[float]:
    """The followers of `amount` accounts that stand for all with more than `above`, up to `up_to`: each the mean of an
    equal share of them, fewest first.

    Their sum is exact, which that of a sample by chance is not: a power law with an exponent below 3 has no variance
    to speak of, and the mean of a million draws is still off by a tenth.
    """
    first, last = (1 - share_above(law, k) for k in (above, law.top if up_to is None else up_to))
    places = [first + (last - first) * n / amount for n in range(1, amount)] if amount else []
    moments = [followers_above(law, k) for k in (above, *(at_share(law, place) for place in places))]
    moments.append(0.0 if up_to is None else followers_above(law, up_to))
    return [(moments[n] - moments[n + 1]) * amount / (last - first) for n in range(amount)]


def _edges(top: float, for_each_tenfold: int) -> list[float]:
    edges = [0.0]
    step = 0
    while (edge := 10 ** (step / for_each_tenfold)) < top:
        edges.append(edge)
        step += 1
    return [*edges, top]


def _power(law: Degrees, k: float) -> float:
    return float((1 + k / law.scale) ** -law.tail)


def _integral(low: float, high: float, b: float) -> float:
    """Of u^-b from `low` to `high`, exact near b = 1 too, where the integral becomes a logarithm."""
    rest, width = 1 - b, log(high / low)
    return width if rest == 0 else float(low**rest) * expm1(rest * width) / rest
