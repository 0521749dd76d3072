"""A profile: what requests of one endpoint cost, by path of calls. Plain data, to be added up, stored and looked at."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import CodeType

import msgspec

from calotype.efficiency.profiler.calibration import Costs
from calotype.efficiency.profiler.clocks import ClockName, Unit
from calotype.efficiency.profiler.tree import OTHER, TOP, Tree
from calotype.std.errors import CalotypeError

NODES = 10_000
"""Of a stored profile, half a megabyte at most; the rarest branches beyond that are added up as "(other)"."""


class Function(msgspec.Struct, frozen=True, array_like=True):
    module: str
    """Empty for what stands for many."""
    name: str
    """Qualified."""
    file: str
    line: int


class CallPath(msgspec.Struct, frozen=True, array_like=True):
    caller: int
    """Number of the path that calls it; it is a smaller one. -1 for the first, which is the request itself."""
    function: int
    calls: int
    amount: int
    """Charged to the function itself when it was called so."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """`paths[0]` is the whole request. Amounts are sums over `requests`, in `unit`, less what recording them has cost."""

    endpoint: str
    release: str
    clock: ClockName
    unit: Unit
    requests: int
    functions: tuple[Function, ...]
    paths: tuple[CallPath, ...]
    events: int
    """Calls, returns and resumptions that were recorded."""
    event_cost: float
    """What one of them costs, in `unit`, as measured in the processes that recorded them: the mean."""
    subtracted: int
    """Less than `events * event_cost` where that was more than a path had."""

    @property
    def amount(self) -> int:
        return sum(path.amount for path in self.paths)


class ProfilesDiffer(CalotypeError):
    """Of other clocks or units: their sum or difference would mean nothing."""

    code = "profiles_differ"
    status = 400


class Builder:
    """Paths as they come, callers first; the same path again is added to."""

    def __init__(self) -> None:
        self._functions: dict[Function, int] = {}
        self._numbers: dict[tuple[int, int], int] = {}
        self._calls: list[int] = []
        self._amounts: list[int] = []

    def add(self, caller: int, function: Function, calls: int, amount: int) -> int:
        """Its number."""
        key = caller, self._functions.setdefault(function, len(self._functions))
        number = self._numbers.setdefault(key, len(self._numbers))
        if number == len(self._calls):
            self._calls.append(0)
            self._amounts.append(0)
        self.charge(number, amount)
        self._calls[number] += calls
        return number

    def charge(self, number: int, amount: int) -> None:
        self._amounts[number] += amount

    def functions(self) -> tuple[Function, ...]:
        return tuple(self._functions)

    def paths(self) -> tuple[CallPath, ...]:
        figures = zip(self._numbers, self._calls, self._amounts, strict=True)
        return tuple(CallPath(*key, calls, amount) for key, calls, amount in figures)


def totals(paths: Sequence[CallPath]) -> list[int]:
    """Of each path with all that it calls."""
    amounts = [path.amount for path in paths]
    for number in range(len(paths) - 1, 0, -1):
        amounts[paths[number].caller] += amounts[number]
    return amounts


def callees(paths: Sequence[CallPath]) -> list[list[int]]:
    """By number."""
    found: list[list[int]] = [[] for _ in paths]
    for number, path in enumerate(paths[1:], 1):
        found[path.caller].append(number)
    return found


# Made of a request


def of_tree(
    tree: Tree, *, endpoint: str, release: str, clock: ClockName, unit: Unit, costs: Costs
) -> Profile:
    """One request's."""
    builder, modules = Builder(), _modules()
    numbers: list[int] = []
    overheads: list[float] = []
    own: list[int] = []
    events = calibrated = 0.0
    for caller, nodes in tree.paths():
        code, calls = nodes[0].code, sum(node.calls for node in nodes if not node.hidden)
        resumed = sum(node.calls + node.resumed for node in nodes) - calls
        inner, outer = costs.of(code, calls, resumed)
        events += 2 * (calls + resumed)
        calibrated += inner + outer
        function = _function(code, modules)
        numbers.append(
            builder.add(-1, function, 1, 0)
            if caller < 0
            else builder.add(numbers[caller], function, calls, 0)
        )
        own.append(sum(node.own for node in nodes))
        overheads.append(inner)
        if caller >= 0:
            overheads[caller] += outer
    subtracted = 0
    for number, amount, overhead in zip(numbers, own, overheads, strict=True):
        less = min(amount, round(overhead))
        builder.charge(number, amount - less)
        subtracted += less
    return bounded(
        Profile(
            endpoint=endpoint,
            release=release,
            clock=clock,
            unit=unit,
            requests=1,
            functions=builder.functions(),
            paths=builder.paths(),
            events=int(events),
            event_cost=calibrated / events if events else 0.0,
            subtracted=subtracted,
        )
    )


def _modules() -> dict[str, str]:
    """By file: a code object knows no other name."""
    files = ((getattr(module, "__file__", None), name) for name, module in list(sys.modules.items()))
    return {file: name for file, name in files if file is not None}


def _function(code: CodeType, modules: dict[str, str]) -> Function:
    if code is OTHER or code is TOP:
        return Function("", code.co_name, "", 0)
    file = code.co_filename
    module = modules.get(file) or file.strip("<>").removeprefix("frozen ").rpartition("/")[2]
    return Function(module, code.co_qualname, file, code.co_firstlineno)


REQUEST, REST = Function("", TOP.co_name, "", 0), Function("", OTHER.co_name, "", 0)


# Made of profiles


def merged(profiles: Sequence[Profile]) -> Profile:
    """The sum, named as the first. Raises `ProfilesDiffer`; there must be one."""
    first = profiles[0]
    builder = Builder()
    for each in profiles:
        check_same(first, each)
        _add(builder, each)
    events = sum(each.events for each in profiles)
    cost = sum(each.events * each.event_cost for each in profiles)
    made = msgspec.structs.replace(
        first,
        requests=sum(each.requests for each in profiles),
        functions=builder.functions(),
        paths=builder.paths(),
        events=events,
        event_cost=cost / events if events else 0.0,
        subtracted=sum(each.subtracted for each in profiles),
    )
    return bounded(made)


def check_same(one: Profile, other: Profile) -> None:
    """Raises `ProfilesDiffer`."""
    if (one.clock, one.unit) != (other.clock, other.unit):
        raise ProfilesDiffer(
            f"one profile counts {one.unit} ({one.clock}) and the other {other.unit} ({other.clock})"
        )


def _add(builder: Builder, profile: Profile) -> None:
    numbers: list[int] = []
    for path in profile.paths:
        caller = -1 if path.caller < 0 else numbers[path.caller]
        numbers.append(builder.add(caller, profile.functions[path.function], path.calls, path.amount))


def bounded(profile: Profile, limit: int = NODES) -> Profile:
    """With at most so many paths, beside those called "(other)": the ones that cost most with all that they call, of
    which each one's callers are. Their number is at most `limit` too."""
    paths = profile.paths
    if len(paths) <= limit:
        return profile
    amounts = totals(paths)
    dearest = sorted(range(len(paths)), key=lambda number: (-amounts[number], number))[:limit]
    kept = bytearray(len(paths))
    for number in dearest:
        kept[number] = 1
    builder = Builder()
    numbers: list[int] = []
    for number, path in enumerate(paths):
        caller = -1 if path.caller < 0 else numbers[path.caller]
        if kept[number]:
            numbers.append(builder.add(caller, profile.functions[path.function], path.calls, path.amount))
        elif kept[path.caller]:
            numbers.append(builder.add(caller, REST, path.calls, path.amount))
        else:  # its caller is in "(other)" already
            builder.charge(caller, path.amount)
            numbers.append(caller)
    return msgspec.structs.replace(profile, functions=builder.functions(), paths=builder.paths())
