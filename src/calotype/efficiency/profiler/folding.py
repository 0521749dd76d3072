"""Wrappers folded away when a profile is looked at. It is recorded with all of them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import msgspec

from calotype.efficiency.profiler.profile import Builder, Function, Profile


class Rule(NamedTuple):
    """Patterns as of `fnmatch`, of a function's module and of its qualified name."""

    module: str
    name: str


RULES = (
    Rule("functools", "*"),  # cached_property, partialmethod, singledispatch
    Rule("contextlib", "*"),
    Rule("*", "*.<locals>.*wrapper*"),  # what is written around a function with functools.wraps
    Rule("*", "*.<locals>.*wrapped*"),
    Rule("*", "*.<locals>.inner"),
    Rule("*", "*.<locals>._inner"),
    Rule("django.utils.decorators", "*"),
    Rule("django.utils.functional", "*"),
    Rule("asgiref.sync", "*"),
    Rule("asgiref.current_thread_executor", "*"),
)


def folded(profile: Profile, rules: Sequence[Rule] = RULES) -> Profile:
    """What a wrapper itself costs goes to its caller, and what it calls is called by its caller: a path stays the
    path that it was, less the wrapper, so that what two callers reach through one wrapper is not mixed up."""
    wrapper = [_folds(function, rules) for function in profile.functions]
    builder = Builder()
    numbers: list[int] = []
    for path in profile.paths:
        caller = -1 if path.caller < 0 else numbers[path.caller]
        if wrapper[path.function] and caller >= 0:
            builder.charge(caller, path.amount)
            numbers.append(caller)
        else:
            numbers.append(builder.add(caller, profile.functions[path.function], path.calls, path.amount))
    return msgspec.structs.replace(profile, functions=builder.functions(), paths=builder.paths())


def _folds(function: Function, rules: Sequence[Rule]) -> bool:
    return any(
        fnmatchcase(function.module, rule.module) and fnmatchcase(function.name, rule.name) for rule in rules
    )
