"""What a graph is asked for in practice: the mixes of operations that TAO and LinkBench have published, as sequences.

TAO's is what a social network's web servers ask its cache tier (Bronson et al., USENIX ATC 2013, section 5). LinkBench's is
what is left for the database behind such a tier (Armstrong et al., SIGMOD 2013): nearly a third of it are writes, and its
reads are spread wider. Ids are drawn by Zipf's law: for LinkBench with the exponents of its configuration, in which what
is read most is written most, too. For TAO no exponent was published, but how often something was found: that is drawn
first. A sequence depends on nothing but its seed.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple

from benchmarks.mix_world import SEED, World

EXPONENT = 1.3
"""Of Zipf's law: the n-th most asked-for object is asked for in proportion to n ** -EXPONENT. Of the exponents in tenths the
first at which a cache of a fifth of 100,000 objects can reach TAO's hit rate with something to spare: the fifth that is
asked for most has 88.1% of all reads at 0.99 (YCSB's), 96.5% at 1.2 and 98.3% at 1.3. With more objects less will do."""

YCSB_EXPONENT = 0.99

CANDIDATES = 16
"""Ends that are asked for of one object without an edge to them: those who look at it. Drawn by Zipf's law, too."""


class Op(StrEnum):
    """TAO's operations. LinkBench's `updatelink` is `assoc_add` with other data."""

    OBJ_GET = "obj_get"
    OBJ_ADD = "obj_add"
    OBJ_UPDATE = "obj_update"
    OBJ_DELETE = "obj_delete"
    ASSOC_GET = "assoc_get"
    ASSOC_RANGE = "assoc_range"
    ASSOC_TIME_RANGE = "assoc_time_range"
    ASSOC_COUNT = "assoc_count"
    ASSOC_ADD = "assoc_add"
    ASSOC_UPDATE = "assoc_add, other data"
    ASSOC_DEL = "assoc_del"
    ASSOC_CHANGE_TYPE = "assoc_change_type"


READS = (Op.OBJ_GET, Op.ASSOC_RANGE, Op.ASSOC_GET, Op.ASSOC_COUNT, Op.ASSOC_TIME_RANGE)


class Step(NamedTuple):
    """One operation. `first` and `second` are places in the list of ids, or a time before now in `assoc_time_range`; what is
    added or deleted is the runner's, so that a sequence can be repeated."""

    op: Op
    first: int
    second: int = 0


@dataclass(frozen=True)
class Mix:
    """`shares`: of all operations, in percent. `warm_up`: steps until the cache is as it stays. `found`: how often a read
    shall find something. `exponents`: of operations that have one of their own."""

    name: str
    shares: dict[Op, float]
    warm_up: int
    found: dict[Op, float] = field(default_factory=dict)
    exponent: float = EXPONENT
    exponents: dict[Op, float] = field(default_factory=dict)


def _of(share: float, parts: dict[Op, float]) -> dict[Op, float]:
    return {op: share * part / 100 for op, part in parts.items()}


TAO = Mix(
    "TAO's mix",
    _of(
        99.8,
        {
            Op.ASSOC_RANGE: 40.9,
            Op.OBJ_GET: 28.9,
            Op.ASSOC_GET: 15.7,
            Op.ASSOC_COUNT: 11.7,
            Op.ASSOC_TIME_RANGE: 2.8,
        },
    )
    | _of(
        0.2,
        {
            Op.ASSOC_ADD: 52.5,
            Op.OBJ_UPDATE: 20.7,
            Op.OBJ_ADD: 16.5,
            Op.ASSOC_DEL: 8.3,
            Op.OBJ_DELETE: 2.0,
            Op.ASSOC_CHANGE_TYPE: 0.9,
        },
    ),
    2_000_000,
    {Op.ASSOC_GET: 0.196, Op.ASSOC_RANGE: 0.31, Op.ASSOC_TIME_RANGE: 0.019, Op.ASSOC_COUNT: 0.55},
)
TAO_AS_YCSB = replace(TAO, name=f"TAO's mix, exponent {YCSB_EXPONENT}", exponent=YCSB_EXPONENT)
"""How much of the hit rate is the exponent's."""

LINKBENCH = Mix(
    "LinkBench's mix",
    {
        Op.ASSOC_RANGE: 50.7,
        Op.OBJ_GET: 12.9,
        Op.ASSOC_ADD: 9.0,
        Op.ASSOC_UPDATE: 8.0,
        Op.OBJ_UPDATE: 7.4,
        Op.ASSOC_COUNT: 4.9,
        Op.ASSOC_DEL: 3.0,
        Op.OBJ_ADD: 2.6,
        Op.OBJ_DELETE: 1.0,
        Op.ASSOC_GET: 0.5,
    },
    1_000_000,
    exponent=0.8,
    exponents={
        Op.OBJ_GET: 0.625,
        Op.OBJ_UPDATE: 0.606,
        Op.ASSOC_ADD: 0.741,
        Op.ASSOC_UPDATE: 0.741,
        Op.ASSOC_DEL: 0.741,
    },
)
"""Exponents: `*_shape` in config/FBWorkload.properties of LinkBench."""


class Zipf:
    """Draws from these by Zipf's law, the first one most often: exact, by bisection of the sums."""

    def __init__(self, drawn: Sequence[int], exponent: float, chance: random.Random) -> None:
        self._drawn = drawn
        self._chance = chance
        self._sums = list(accumulate((n + 1) ** -exponent for n in range(len(drawn))))

    def __call__(self) -> int:
        return self._drawn[bisect(self._sums, self._chance.random() * self._sums[-1])]


class Popularity:
    """Which objects are asked for how often: all of them, those with edges, and those without."""

    def __init__(self, world: World, exponent: float, chance: random.Random) -> None:
        popular = world.popular
        self.any = Zipf(popular, exponent, chance)
        self.full = Zipf([place for place in popular if world.edges[place]], exponent, chance)
        self.empty = Zipf([place for place in popular if not world.edges[place]], exponent, chance)


class Steps:
    """Draws the steps of a mix over a world."""

    def __init__(self, mix: Mix, world: World, seed: int = SEED) -> None:
        self._mix = mix
        self._world = world
        self._chance = chance = random.Random(seed)
        exponents = {op: mix.exponents.get(op, mix.exponent) for op in mix.shares}
        made = {each: Popularity(world, each, chance) for each in set(exponents.values())}
        self._popularity = {op: made[exponent] for op, exponent in exponents.items()}
        self._among = Zipf(range(CANDIDATES), mix.exponent, chance)
        self._ops = list(mix.shares)
        self._sums = list(accumulate(mix.shares.values()))
        self._draws: dict[Op, Callable[[Op], Step]] = {
            Op.ASSOC_RANGE: self._list,
            Op.ASSOC_COUNT: self._list,
            Op.ASSOC_TIME_RANGE: self._time_range,
            Op.ASSOC_GET: self._pair,
            Op.ASSOC_ADD: self._new_edge,
            Op.ASSOC_UPDATE: self._edge,
        }

    def take(self, amount: int) -> list[Step]:
        """The next ones."""
        return list(self.iterate(amount))

    def iterate(self, amount: int) -> Iterator[Step]:
        """The same, one by one."""
        for _ in range(amount):
            yield self._step()

    def _step(self) -> Step:
        op = self._ops[bisect(self._sums, self._chance.random() * self._sums[-1])]
        draw = self._draws.get(op)
        return draw(op) if draw else Step(op, self._popularity[op].any())

    def _found(self, op: Op) -> bool | None:
        """Whether there shall be something; None: as it comes."""
        share = self._mix.found.get(op)
        return None if share is None else self._chance.random() < share

    def _list(self, op: Op) -> Step:
        found, of = self._found(op), self._popularity[op]
        return Step(op, (of.any if found is None else of.full if found else of.empty)())

    def _time_range(self, op: Op) -> Step:
        """What has come since the newest that is known; or since before it."""
        return Step(op, self._popularity[op].full(), int(bool(self._found(op))))

    def _pair(self, op: Op) -> Step:
        if self._found(op) is False:
            first = self._popularity[op].any()
            return Step(op, first, _candidate(self._world, first, self._among()))
        return self._edge(op)

    def _edge(self, op: Op) -> Step:
        """One that there is from the beginning, the newest most often."""
        first = self._popularity[op].full()
        ends = self._world.edges[first]
        return Step(op, first, ends[int(len(ends) * self._chance.random() ** 2)])

    def _new_edge(self, op: Op) -> Step:
        """Where ratios are given, lists that are empty stay so: the most asked-for would not be for long."""
        of = self._popularity[op]
        draw = of.full if self._mix.found else of.any
        return Step(op, draw(), self._chance.randrange(len(self._world.edges)))


def _candidate(world: World, first: int, number: int) -> int:
    """One of those who ask whether they are at the other end of an edge from this object: always the same ones."""
    return (first * 7_919 + number * 104_729 + 1) % len(world.edges)
