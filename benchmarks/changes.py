"""The smallest change of what one endpoint costs that shows in Dynostats' figures.

The endpoint is our feed page (`pages`); a change is a loop before it whose length is known. Each variant runs for so many
seconds: the page as it is, the same once more, and changed by 0.5, 1 and 2%. They take turns of one request, in an order
by chance and for the same person each round, so what changes on the machine meets all of them: of turns of 25 the figure is two and a
half times as large in the same time. The figures are those of the records, as they go to the sink.

Two runs are told apart by Student's t test for pairs, on the turns of each round, two-sided, at 95%. Welch's test would
take the two runs for independent, and add to the error all by which rounds differ (other people's pages, a neighbour on the
machine), which both runs of a round have in common; Student's for pairs counts only what does not cancel. It looks at means, since
what an endpoint costs is its mean. Of tens of thousands of pairs that is normal, however single ones are distributed.

The smallest change told apart is the half-width of the 95% interval of the difference: a true change of just this size is
told every second time; nine times in ten takes the larger figure in the next row. Of comparisons without a change one in
twenty is told apart, at 95%.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, median, stdev

from benchmarks import pages
from benchmarks.pages import FEED_JSON, Pages, Way
from benchmarks.report import Row, row
from calotype.cli.bars import Bar
from calotype.efficiency.dynostats import Entry, Identity, Record, Recorder, Sampling
from calotype.efficiency.dynostats.asgi import Application, Receive, Scope, Send
from calotype.efficiency.meter import Meter, counter

SEED = 41
SECONDS, QUICK_SECONDS = 60.0, 0.1
"""Of each run."""

LEAST_ROUNDS = 3

TURN = 1
WARM_UPS = 30
CHANGES = (0.5, 1.0, 2.0)
"""Percent."""

TOLD = 1.0
"""Percent: the smallest change that must be told apart, at 95%."""

SURE, POWER = 0.975, 0.9


class Sums:
    """A sink that adds up the figures of the records since it was asked last."""

    def __init__(self) -> None:
        self.dropped = 0
        self.cpu_ns = self.requests = 0

    def put(self, entry: Entry) -> None:
        if isinstance(entry, Record):
            assert entry.figures is not None
            self.cpu_ns += entry.figures.cpu + entry.figures.after_cpu
            self.requests += 1

    def close(self) -> None:
        pass

    def mean_us(self) -> float:
        mean = self.cpu_ns / self.requests / 1000
        self.cpu_ns = self.requests = 0
        return mean


@dataclass
class Variant:
    name: str
    percent: float
    loops: int = 0
    turns_us: list[float] = field(default_factory=list)
    """The mean of each turn."""


@dataclass(frozen=True)
class Comparison:
    """Of the turns of two runs, in percent of what the first costs."""

    difference: float
    half_width: float
    """Of the 95% interval."""
    surely_told: float
    """A true change of this size is told apart nine times in ten."""

    @property
    def told_apart(self) -> bool:
        return abs(self.difference) > self.half_width


def compare(before: Sequence[float], after: Sequence[float]) -> Comparison:
    """Student's t test for pairs. Raises `StatisticsError` of fewer than two."""
    differences = [new - old for old, new in zip(before, after, strict=True)]
    percent = 100 / fmean(before)
    error = stdev(differences) / len(differences) ** 0.5
    told = student(SURE, len(differences) - 1)
    power = student(POWER, len(differences) - 1)
    return Comparison(percent * fmean(differences), percent * told * error, percent * (told + power) * error)


def student(probability: float, degrees: int) -> float:
    """The quantile of Student's distribution, by Abramowitz and Stegun 26.7.5: from ten degrees on exact to 0.1%."""
    x = NormalDist().inv_cdf(probability)
    first = (x**3 + x) / 4
    second = (5 * x**5 + 16 * x**3 + 3 * x) / 96
    third = (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384
    return x + first / degrees + second / degrees**2 + third / degrees**3


async def rows(served: Pages, quick: bool) -> list[Row]:
    seconds = QUICK_SECONDS if quick else SECONDS
    before, *others = await _measured(served, seconds)
    found = {each.name: (each, compare(before.turns_us, each.turns_us)) for each in others}
    runs = f"two runs of {seconds:g} s"
    worst = max(comparison.half_width for _, comparison in found.values())
    surely = max(comparison.surely_told for _, comparison in found.values())
    made = [
        row(f"smallest change told apart, {runs}", worst, "%", limit=TOLD),
        row("the same, nine times in ten", surely, "%"),
        row("no change, told apart", float(found["no change"][1].told_apart), "of 1", limit=0),
        row(f"a change of {TOLD:g}%, not told apart", float(not found["1%"][1].told_apart), "of 1", limit=0),
    ]
    for name, (variant, comparison) in found.items():
        what = f"a change of {name}" if variant.percent else name
        made.append(row(f"{what}, difference found", comparison.difference, "%", "made", variant.percent))
    return made


async def _measured(served: Pages, seconds: float) -> list[Variant]:
    """The page as it is comes first, the same once more second."""
    sums = Sums()
    who = Identity(release="", host="", worker="")
    recorder = Recorder(lambda: who, sums, Meter(counter()), Sampling(slow_ms=1e6))
    variants = [Variant("as it is", 0), Variant("no change", 0), *(Variant(f"{p:g}%", p) for p in CHANGES)]
    try:
        await _warm_up(served, recorder, sums, variants)
        await _rounds(served, recorder, sums, variants, seconds)
    finally:
        recorder.close()
    return variants


async def _warm_up(served: Pages, recorder: Recorder, sums: Sums, variants: Sequence[Variant]) -> None:
    """Until then nobody knows how many loops a percent is."""
    way = pages.metered("as it is", served, recorder)
    some = [await _turn(served, way, sums, served.viewers) for _ in range(WARM_UPS)]
    for variant in variants:
        variant.loops = round(median(some) * 1000 * variant.percent / 100 / _loop_ns())


async def _rounds(
    served: Pages, recorder: Recorder, sums: Sums, variants: Sequence[Variant], seconds: float
) -> None:
    chance = random.Random(SEED)
    ways = [pages.metered(each.name, _changed(served, each.loops), recorder) for each in variants]
    began, whole_s = time.monotonic(), seconds * len(variants)
    with Bar("seconds") as bar:
        while (passed_s := time.monotonic() - began) < whole_s or len(variants[0].turns_us) < LEAST_ROUNDS:
            asked = chance.choices(served.viewers, k=TURN)
            for n in chance.sample(range(len(variants)), len(variants)):
                variants[n].turns_us.append(await _turn(served, ways[n], sums, asked))
            bar.update(min(int(passed_s), int(whole_s)), int(whole_s))


async def _turn(served: Pages, way: Way, sums: Sums, asked: Sequence[int]) -> float:
    await way.begin()
    try:
        sums.cpu_ns = sums.requests = 0
        for viewer in asked:
            await served.get(FEED_JSON, viewer, way.application)
    finally:
        way.end()
    assert sums.requests == len(asked)
    return sums.mean_us()


def _changed(served: Pages, loops: int) -> Pages:
    application: Application = served.application

    async def changed(scope: Scope, receive: Receive, send: Send) -> None:
        _loop(loops)
        await application(scope, receive, send)

    return Pages(changed, served.viewers, served.cookies)


def _loop(times: int) -> None:
    for _ in range(times):
        pass


def _loop_ns(times: int = 2_000, rounds: int = 101) -> float:
    """Of one pass."""
    spent = []
    for _ in range(rounds):
        before = time.thread_time_ns()
        _loop(times)
        spent.append(time.thread_time_ns() - before)
    return median(spent) / times
