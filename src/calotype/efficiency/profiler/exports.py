"""Profiles for the tools that people know. Pure: what is returned is what the file holds."""

from __future__ import annotations

import gzip
import marshal
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from calotype.efficiency.profiler.clocks import Unit
from calotype.efficiency.profiler.profile import CallPath, Function, Profile, totals
from calotype.efficiency.profiler.views import walk

SPEEDSCOPE_UNITS: dict[Unit, str] = {"ns": "nanoseconds", "bytes": "bytes", "instructions": "none"}
PPROF_UNITS: dict[Unit, str] = {"ns": "nanoseconds", "bytes": "bytes", "instructions": "count"}


def speedscope(profile: Profile) -> bytes:
    """JSON of https://www.speedscope.app/file-format-schema.json, the evented kind: its size does not grow with the depth.
    All requests in one; callees come before what their caller does itself, since an order of time is not kept.
    """
    events, end = [], 0
    for number in walk(profile.paths):
        path = profile.paths[number if number >= 0 else ~number]
        if number < 0:
            end += path.amount
        events.append({"type": "O" if number >= 0 else "C", "frame": path.function, "at": end})
    frames = [
        {"name": _name(function), "file": function.file, "line": function.line}
        for function in profile.functions
    ]
    name = _title(profile)
    one = {
        "type": "evented",
        "name": name,
        "unit": SPEEDSCOPE_UNITS[profile.unit],
        "startValue": 0,
        "endValue": end,
        "events": events,
    }
    return msgspec.json.encode(
        {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "shared": {"frames": frames},
            "profiles": [one],
            "name": name,
            "exporter": "calotype",
        }
    )


# pstats


class _Figures(NamedTuple):
    """As `cProfile` counts: calls less those from within itself, calls, own and total seconds."""

    outermost: int
    calls: int
    own_s: float
    total_s: float

    def plus(self, other: _Figures) -> _Figures:
        return _Figures(
            self.outermost + other.outermost,
            self.calls + other.calls,
            self.own_s + other.own_s,
            self.total_s + other.total_s,
        )


type _Key = tuple[str, int, str]
"""File, line, name."""

_NONE = _Figures(0, 0, 0.0, 0.0)


@dataclass
class _Stats:
    figures: _Figures = _NONE
    callers: dict[_Key, _Figures] = field(default_factory=dict)

    def plain(self) -> tuple[int, int, float, float, dict[_Key, tuple[int, int, float, float]]]:
        return (*self.figures, {key: (*each,) for key, each in self.callers.items()})


def pstats_of(profile: Profile) -> bytes:
    """A file for `pstats.Stats`. Its seconds are 1e9 of the unit, as they are of nanoseconds.

    It knows functions and who calls them, and no longer paths.
    """
    amounts, stats = totals(profile.paths), dict[_Key, _Stats]()
    open_, stack = Counter[_Key](), list[_Key]()
    for number in walk(profile.paths):
        path = profile.paths[number if number >= 0 else ~number]
        key = _key(profile.functions[path.function])
        if number < 0:
            open_[key] -= 1
            stack.pop()
            continue
        own = stats.setdefault(key, _Stats())
        figures = _figures(path, amounts[number], outermost=not open_[key])
        own.figures = own.figures.plus(figures)
        if stack:
            own.callers[stack[-1]] = own.callers.get(stack[-1], _NONE).plus(figures)
        open_[key] += 1
        stack.append(key)
    return marshal.dumps({key: each.plain() for key, each in stats.items()})


def _key(function: Function) -> _Key:
    return function.file, function.line, function.name


def _figures(path: CallPath, amount: int, *, outermost: bool) -> _Figures:
    return _Figures(
        path.calls if outermost else 0, path.calls, path.amount / 1e9, amount / 1e9 if outermost else 0.0
    )


# pprof


def pprof(profile: Profile) -> bytes:
    """profile.proto of https://github.com/google/pprof, gzipped: for each path its calls and amount, with the full stack."""
    texts = _Texts()
    types = [_value_type(texts, "calls", "count")]
    types.append(_value_type(texts, profile.clock, PPROF_UNITS[profile.unit]))
    message = bytearray()
    for each in types:
        message += _bytes(1, each)
    for stack, path in _stacks(profile.paths):
        message += _bytes(2, _packed(1, stack) + _packed(2, (path.calls, path.amount)))
    for number, function in enumerate(profile.functions, 1):
        message += _bytes(4, _location(number, function.line))
        message += _bytes(5, _function(texts, number, function))
    comment = texts.number(_title(profile))
    default = texts.number(profile.clock)
    for text in texts.all():
        message += _bytes(6, text.encode())
    message += _bytes(11, types[1]) + _number(12, 1) + _number(13, comment) + _number(14, default)
    return gzip.compress(bytes(message), mtime=0)


class _Texts:
    """Of the string table, whose first is empty."""

    def __init__(self) -> None:
        self._numbers = {"": 0}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def all(self) -> Iterable[str]:
        return self._numbers


def _stacks(paths: Sequence[CallPath]) -> Iterable[tuple[list[int], CallPath]]:
    """Locations, innermost first; there is one for each function, numbered from 1."""
    stack: list[int] = []
    for number in walk(paths):
        if number < 0:
            stack.pop()
            continue
        path = paths[number]
        stack.append(path.function + 1)
        if path.calls or path.amount:
            yield stack[::-1], path


def _value_type(texts: _Texts, kind: str, unit: str) -> bytes:
    return _number(1, texts.number(kind)) + _number(2, texts.number(unit))


def _location(number: int, line: int) -> bytes:
    return _number(1, number) + _bytes(4, _number(1, number) + _number(2, line))


def _function(texts: _Texts, number: int, function: Function) -> bytes:
    name, file = texts.number(_name(function)), texts.number(function.file)
    return (
        _number(1, number)
        + _number(2, name)
        + _number(3, name)
        + _number(4, file)
        + _number(5, function.line)
    )


# Protocol Buffers' encoding, as far as it is needed (https://protobuf.dev/programming-guides/encoding/)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field_: int, value: int) -> bytes:
    return _varint(field_ << 3) + _varint(value)


def _bytes(field_: int, value: bytes) -> bytes:
    return _varint(field_ << 3 | 2) + _varint(len(value)) + value


def _packed(field_: int, values: Iterable[int]) -> bytes:
    return _bytes(field_, b"".join(map(_varint, values)))


def _name(function: Function) -> str:
    return f"{function.module}:{function.name}" if function.module else function.name


def _title(profile: Profile) -> str:
    return f"{profile.endpoint} at {profile.release}: {profile.clock} of {profile.requests} requests"
