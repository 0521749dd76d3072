"""What is charged for recording itself, in each clock, on this machine and now.

A recorded call is two events. What each uses before its first reading of the clock is charged to who was running (the
caller at the call, the callee at the return), and what it uses after its last to who runs then. So a call has an inner cost,
in the callee, and an outer one, in the caller. Both are taken from a program of many small functions: calling only one
keeps all caches warm, and finds a fifth less than there is in a page.
"""

from __future__ import annotations

import builtins
import functools
import types
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import median
from types import CodeType, FunctionType

from calotype.efficiency.profiler.clocks import Clock
from calotype.efficiency.profiler.probe import Probe
from calotype.efficiency.profiler.recording import AWAITING
from calotype.efficiency.profiler.tree import Node

ROUNDS = 9
FUNCTIONS = 150
CALLS = 1_000
COROUTINES, RESUMPTIONS = 50, 20
KEPT = 99
"""Rounds."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one that begins and ends, in the unit of the clock."""

    inner: float
    outer: float


@dataclass(frozen=True, slots=True)
class Costs:
    call: Cost
    generator: Cost
    """That goes on."""
    coroutine: Cost
    """The same; its frame is looked up."""

    def of(self, code: CodeType, calls: int, resumed: int) -> tuple[float, float]:
        """Inner and outer, of so many."""
        again = self.coroutine if code.co_flags & AWAITING else self.generator
        return (
            calls * self.call.inner + resumed * again.inner,
            calls * self.call.outer + resumed * again.outer,
        )


class Calibration:
    """The median of many rounds: one alone is off by a tenth and more on a busy machine."""

    def __init__(self, clock: Clock) -> None:
        """Raises `ToolTaken`."""
        self._clock = replace(clock, waits=False)
        generating, awaiting = (functools.partial(_resuming, each) for each in (_generating, _awaiting))
        self._programs: list[Callable[[], None]] = [_calling, generating, awaiting]
        self._rounds: deque[list[Cost]] = deque(maxlen=KEPT)
        for _ in range(ROUNDS):
            self.again()

    def again(self) -> None:
        """One round more, of some 5 ms. Raises `ToolTaken`."""
        self._rounds.append([_round(self._clock, program) for program in self._programs])

    def costs(self) -> Costs:
        return Costs(*(_typical(each) for each in zip(*self._rounds, strict=True)))


def _typical(rounds: Sequence[Cost]) -> Cost:
    return Cost(median(each.inner for each in rounds), median(each.outer for each in rounds))


def _round(clock: Clock, program: Callable[[], None]) -> Cost:
    """Of functions that call nothing, all is inner cost but what they do themselves: about half of a bare call."""
    bare = _bare(clock, program)
    probe = Probe(clock)
    try:
        probe.at(None, program, ())
    finally:
        tree = probe.close()
    nodes = [node for _, each in tree.paths() for node in each]
    leaves = [node for node in nodes if not node.children and not node.hidden]
    times, charged = sum(map(_times, nodes)), sum(node.own for node in nodes)
    inner = sum(node.own for node in leaves) / sum(map(_times, leaves)) - bare / times / 2
    return Cost(max(0.0, inner), max(0.0, (charged - bare) / times - max(0.0, inner)))


def _times(node: Node) -> int:
    return node.calls + node.resumed


def _bare(clock: Clock, program: Callable[[], None]) -> int:
    ends = clock.begin()
    try:
        read = clock.used or clock.read
        before = read()
        program()
        return read() - before
    finally:
        if ends:
            clock.end()


# Programs. Frames of this package are hidden, so they are made as if they lay elsewhere.


def _calling() -> None:
    made = 0
    for function, calls in _functions():
        if made >= CALLS:
            break
        made += calls
        function()


@functools.cache
def _functions() -> list[tuple[FunctionType, int]]:
    """Each with how many calls it makes, its own among them. One calls up to three of those made before."""
    chance = Random(1)  # noqa: S311  # the same program each time
    made: list[tuple[FunctionType, int]] = []
    for number in range(FUNCTIONS):
        callees = [chance.choice(made) for _ in range(min(number, chance.randrange(4)))]
        calls = 1 + sum(each for _, each in callees)
        if calls > CALLS // 10:
            callees, calls = [], 1
        made.append((_copy(_template, number, tuple(function for function, _ in callees)), calls))
    return made[::-1]


def _template(callees: tuple[FunctionType, ...]) -> None:
    """Some work of the usual kind: what it needs of the caches, recording takes from it."""
    words = {"callees": callees, "count": len(callees)}
    assert words["callees"] is callees
    for callee in callees:
        callee()


def _resuming(suspended: Callable[[], Generator[None]]) -> None:
    generators = [_copy(suspended, number)() for number in range(COROUTINES)]
    for _ in range(RESUMPTIONS):
        for each in generators:
            each.send(None)


def _generating() -> Generator[None]:
    while True:
        yield


@types.coroutine
def _awaiting() -> Generator[None]:
    while True:
        yield


def _copy(function: FunctionType | Callable[..., object], number: int, *defaults: object) -> FunctionType:
    assert isinstance(function, FunctionType)
    code = function.__code__.replace(co_filename="<calibration>", co_name=f"{function.__name__}{number}")
    return FunctionType(code, {"__builtins__": builtins}, None, defaults)
