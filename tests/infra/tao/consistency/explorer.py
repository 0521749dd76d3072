"""A breadth-first explorer: every state that a protocol can reach, and a shortest way to one that it must not reach."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass

type Rules = frozenset[str]
"""The names of those that are switched on."""
type Steps[S] = Iterator[tuple[str, S]]


@dataclass(frozen=True)
class Protocol[S: Hashable]:
    """What is explored: `steps` are all that can happen next, `broken` is the sentence of the invariant that a state breaks, or nothing."""

    name: str
    rules: Mapping[str, str]
    start: S
    steps: Callable[[S, Rules], Steps[S]]
    broken: Callable[[S, Rules], str]

    def explore(self, without: str = "") -> Exploration:
        """With all rules, or all but one. Breadth first, so that the first counterexample is a shortest."""
        rules = frozenset(self.rules) - {without}
        came_from: dict[S, tuple[S, str] | None] = {self.start: None}
        queue = deque([self.start])
        while queue:
            state = queue.popleft()
            if violation := self.broken(state, rules):
                return Exploration(len(came_from), violation, _way(state, came_from))
            for what, after in self.steps(state, rules):
                if after not in came_from:
                    came_from[after] = (state, what)
                    queue.append(after)
        return Exploration(len(came_from), "", ())


@dataclass(frozen=True)
class Exploration:
    """`violation` is empty when there is none; else `way` is a shortest one to it."""

    states: int
    violation: str
    way: tuple[str, ...]


def _way[S: Hashable](state: S, came_from: Mapping[S, tuple[S, str] | None]) -> tuple[str, ...]:
    way: list[str] = []
    while (step := came_from[state]) is not None:
        state, what = step
        way.append(what)
    return tuple(reversed(way))
