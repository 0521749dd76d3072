"""Profiles to look at: recorded ones as plain dicts, and made-up ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from calotype.efficiency.meter import Account, Meter, counter
from calotype.efficiency.profiler import ClockName, Function, Probe, Profile, Unit
from calotype.efficiency.profiler.calibration import Cost, Costs
from calotype.efficiency.profiler.clocks import Clock, clock_named
from calotype.efficiency.profiler.profile import Builder, of_tree

FREE = Costs(Cost(0, 0), Cost(0, 0), Cost(0, 0))

type Nested = Mapping[str, tuple[int, int, Nested]]
"""By name of a function: calls, own amount, what it calls."""


async def serve(of: Callable[[], Awaitable[object]], clock: Clock | ClockName = "cpu") -> Profile:
    """What a request recorded that was served by it on the running loop."""
    clock = clock_named(clock) if isinstance(clock, str) else clock
    meter, account = Meter(counter("thread-cpu")), Account()
    meter.install()
    account.probe = probe = Probe(clock)

    async def coroutine() -> None:
        await of()

    try:
        await meter.run(account, coroutine())
    finally:
        meter.uninstall()
        probe.close()
        meter.close(account)
    return recorded(probe)


def call(of: Callable[[], object], clock: Clock | ClockName = "cpu") -> Profile:
    """The same, of a function that is called."""
    probe = Probe(clock_named(clock) if isinstance(clock, str) else clock)
    try:
        probe.at(None, of, ())
    finally:
        probe.close()
    return recorded(probe)


def recorded(probe: Probe, costs: Costs = FREE) -> Profile:
    clock = probe.clock
    return of_tree(
        probe.close(), endpoint="view", release="r1", clock=clock.name, unit=clock.unit, costs=costs
    )


def made(
    paths: Nested,
    requests: int = 1,
    endpoint: str = "view",
    release: str = "r1",
    clock: ClockName = "cpu",
    unit: Unit = "ns",
) -> Profile:
    """Functions are of module `m`, unless the name says another: `module:name`."""
    builder = Builder()
    top = builder.add(-1, Function("", "(request)", "", 0), 1, 0)

    waiting = [(top, paths)]
    while waiting:
        caller, nested = waiting.pop(0)
        for name, (calls, own, callees) in nested.items():
            module, _, function = name.rpartition(":")
            there = Function(module or "m", function, f"/{module or 'm'}.py", 7)
            waiting.append((builder.add(caller, there, calls, own), callees))
    return Profile(
        endpoint=endpoint,
        release=release,
        requests=requests,
        functions=builder.functions(),
        paths=builder.paths(),
        clock=clock,
        unit=unit,
        events=10,
        event_cost=100.0,
        subtracted=900,
    )


def paths(profile: Profile) -> dict[tuple[str, ...], tuple[int, int]]:
    """Calls and own amount by the names of the functions, without the request itself and what they are defined in."""
    names: list[tuple[str, ...]] = []
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for path in profile.paths:
        name = profile.functions[path.function].name.rpartition("<locals>.")[2]
        names.append((*names[path.caller], name) if path.caller > 0 else (name,) if path.caller == 0 else ())
        if not names[-1]:
            continue
        calls, amount = found.get(names[-1], (0, 0))
        found[names[-1]] = calls + path.calls, amount + path.amount
    return found


def calls(profile: Profile, *without: str) -> dict[tuple[str, ...], int]:
    """By path, without those in which one of these takes part."""
    return {path: times for path, (times, _) in paths(profile).items() if not set(path) & set(without)}
