"""What is read from a profile: the dearest functions, what differs between two, and the boxes of a flame graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import nlargest
from typing import Literal, NamedTuple

from calotype.efficiency.profiler.profile import (
    CallPath,
    Function,
    Profile,
    callees,
    check_same,
    totals,
)

By = Literal["self", "total"]

BOX_SHARE = 0.001
"""Of a flame graph's width: what is narrower cannot be seen."""

CHANGES = 1_000
"""Functions and paths of a difference, those that changed most."""


class Hot(NamedTuple):
    """A function in all its paths. Amounts are of one request, in the profile's unit."""

    function: Function
    calls: float
    own: float
    total: float
    """With what it calls. Where it calls itself, again or by others, that is in it once."""


class Change(NamedTuple):
    """A function, or a path, in one request before and after; 0 where it was not called."""

    name: tuple[str, ...]
    """`module:qualified name`, of each function of the path. Files and lines are not compared: every release moves them."""
    own_before: float
    own_after: float
    total_before: float
    total_after: float


class Difference(NamedTuple):
    """Both by how much they changed, most first: functions and paths by their own amount."""

    functions: list[Change]
    paths: list[Change]


class Box(NamedTuple):
    """Of a flame graph. It lies in the box of the last one before it whose depth is one less."""

    name: str
    where: str
    """`file:line`"""
    calls: float
    value: float
    """With what it calls, of one request."""
    share: float
    """Of the whole request: its width."""
    left: float
    """Where it begins, as a share too."""
    depth: int


def hottest(profile: Profile, by: By = "total") -> list[Hot]:
    """All functions, dearest first; the request as a whole is none of them."""
    figures = _by_function(profile, profile.functions)
    figures.pop(profile.functions[profile.paths[0].function])
    made = [Hot(function, *each) for function, each in figures.items()]
    return sorted(made, key=lambda each: (-(each.own if by == "self" else each.total), each.function.name))


def difference(before: Profile, after: Profile) -> Difference:
    """Raises `ProfilesDiffer`."""
    check_same(before, after)
    names = _by_function(before, _names(before)), _by_function(after, _names(after))
    functions = [
        _change((name,), *(each.get(name, _NEVER) for each in names)) for name in names[0] | names[1]
    ]
    return Difference(_most_changed(functions), _most_changed(_path_changes(before, after)))


def flame(profile: Profile, least: float = BOX_SHARE) -> list[Box]:
    """Boxes of at least this share, each after the one it lies in, siblings by how much they cost."""
    paths, amounts = profile.paths, totals(profile.paths)
    whole, requests = amounts[0] or 1, profile.requests or 1
    boxes: list[Box] = []
    lefts = [0.0] * len(paths)
    depths = [0] * len(paths)
    below = callees(paths)
    for number in walk(paths):
        share = amounts[number] / whole
        if number < 0 or share < least:
            continue
        function, left = profile.functions[paths[number].function], lefts[number]
        calls, value = paths[number].calls / requests, amounts[number] / requests
        boxes.append(Box(_name(function), _where(function), calls, value, share, left, depths[number]))
        for callee in sorted(below[number], key=lambda callee: -amounts[callee]):
            lefts[callee], depths[callee] = left, depths[number] + 1
            left += amounts[callee] / whole
    return boxes


def walk(paths: Sequence[CallPath]) -> Iterator[int]:
    """Depth first: the number of each path when it begins, and `~number` when all that it calls is over."""
    below, waiting = callees(paths), [0]
    while waiting:
        number = waiting.pop()
        yield number
        if number >= 0:
            waiting.append(~number)
            waiting += below[number][::-1]


_NEVER = 0.0, 0.0, 0.0


def _by_function[K](profile: Profile, keys: Sequence[K]) -> dict[K, tuple[float, float, float]]:
    """Calls, own and total of one request, by a key of each function."""
    amounts, requests = totals(profile.paths), profile.requests or 1
    open_, calls = Counter[K](), Counter[K]()
    own, total = Counter[K](), Counter[K]()
    for number in walk(profile.paths):
        path = profile.paths[number if number >= 0 else ~number]
        key = keys[path.function]
        if number < 0:
            open_[key] -= 1
            continue
        calls[key] += path.calls
        own[key] += path.amount
        if not open_[key]:  # the outermost one has the inner ones in it
            total[key] += amounts[number]
        open_[key] += 1
    return {key: (calls[key] / requests, own[key] / requests, total[key] / requests) for key in open_}


def _path_changes(before: Profile, after: Profile) -> list[Change]:
    """Of the paths of both, laid over each other."""
    numbers: dict[tuple[int, str], int] = {}
    sides = [_laid_over(profile, numbers) for profile in (before, after)]
    keys = list(numbers)
    deltas = [abs(sides[1].get(n, (0.0, 0.0))[0] - sides[0].get(n, (0.0, 0.0))[0]) for n in range(len(keys))]
    chosen = nlargest(CHANGES, range(len(keys)), key=lambda number: deltas[number])
    return [
        _change(_path_name(keys, number), *((0.0, *each.get(number, (0.0, 0.0))) for each in sides))
        for number in chosen
    ]


def _laid_over(profile: Profile, numbers: dict[tuple[int, str], int]) -> dict[int, tuple[float, float]]:
    """Own and total by number; paths that have none yet get one."""
    names, amounts, requests = _names(profile), totals(profile.paths), profile.requests or 1
    found: dict[int, tuple[float, float]] = {}
    mine: list[int] = []
    for path, amount in zip(profile.paths, amounts, strict=True):
        key = -1 if path.caller < 0 else mine[path.caller], names[path.function]
        mine.append(number := numbers.setdefault(key, len(numbers)))
        own, total = found.get(number, (0.0, 0.0))  # two functions of one name
        found[number] = own + path.amount / requests, total + amount / requests
    return found


def _path_name(keys: Sequence[tuple[int, str]], number: int) -> tuple[str, ...]:
    names: list[str] = []
    while number >= 0:
        number, name = keys[number]
        names.append(name)
    return tuple(names[::-1])


type _Figures = tuple[float, float, float]


def _change(name: tuple[str, ...], before: _Figures, after: _Figures) -> Change:
    return Change(name, before[1], after[1], before[2], after[2])


def _most_changed(changes: list[Change]) -> list[Change]:
    return sorted(changes, key=lambda one: (-abs(one.own_after - one.own_before), one.name))[:CHANGES]


def _names(profile: Profile) -> list[str]:
    return [_name(function) for function in profile.functions]


def _name(function: Function) -> str:
    return f"{function.module}:{function.name}" if function.module else function.name


def _where(function: Function) -> str:
    return f"{function.file}:{function.line}" if function.file else ""
