"""What the tools of others read from an export."""

from __future__ import annotations

import gzip
import json
import pstats
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from calotype.efficiency.profiler import Profile, pprof, pstats_of, speedscope
from calotype.efficiency.profiler.profile import totals
from tests.efficiency.burning import MS
from tests.efficiency.profiler.profiles import Nested, made, paths
from tests.efficiency.profiler.test_profile import profiles

FEED: Nested = {
    "feed": (1, 10 * MS, {"photo": (4, 40 * MS, {"likes": (4, 100 * MS, {})}), "likes": (1, 25 * MS, {})}),
}


def chain(depth: int) -> Profile:
    """A recursion so deep."""
    callees: Nested = {}
    for _ in range(depth):
        callees = {"deeper": (1, 1, callees)}
    return made(callees)


# speedscope


def read_speedscope(data: bytes) -> dict[tuple[str, ...], int]:
    """Own amounts by path, by the rules of its format: events in order, each closed while it is the innermost."""
    file: dict[str, Any] = json.loads(data)
    (profile,) = file["profiles"]
    assert file["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert profile["type"] == "evented"
    found: dict[tuple[str, ...], int] = defaultdict(int)
    stack: list[str] = []
    at = profile["startValue"]
    for event in profile["events"]:
        assert event["at"] >= at
        found[tuple(stack[1:])] += event["at"] - at
        at = event["at"]
        name = file["shared"]["frames"][event["frame"]]["name"].rpartition(":")[2]
        if event["type"] == "O":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    assert at == profile["endValue"]
    return found


@given(profiles)
def test_speedscope_reads_all_amounts_by_path(profile: Profile) -> None:
    wanted = {path: amount for path, (_, amount) in paths(profile).items() if amount}
    assert {path: amount for path, amount in read_speedscope(speedscope(profile)).items() if amount} == wanted


def test_speedscope_has_files_lines_and_units() -> None:
    file = json.loads(speedscope(made(FEED)))
    assert {"name": "m:photo", "file": "/m.py", "line": 7} in file["shared"]["frames"]
    assert file["profiles"][0]["unit"] == "nanoseconds"


# pprof


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """A decoder of the encoding that Protocol Buffers have on the wire, for the two kinds of field that are used."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            assert key & 7 == 2
            size = varint()
            at += size
            yield key >> 3, message[at - size : at]


def numbers(packed: int | bytes) -> list[int]:
    assert isinstance(packed, bytes)
    found, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value)
            value = shift = 0
    return found


def message(data: int | bytes) -> dict[int, list[int | bytes]]:
    assert isinstance(data, bytes)
    found: dict[int, list[int | bytes]] = defaultdict(list)
    for field, value in fields(data):
        found[field].append(value)
    return found


def number(of: dict[int, list[int | bytes]], field: int) -> int:
    (value,) = of[field]
    assert isinstance(value, int)
    return value


def read_pprof(data: bytes) -> dict[tuple[str, ...], tuple[int, ...]]:
    """By path, as profile.proto says: sample 2, location 4, function 5, strings 6."""
    profile = message(gzip.decompress(data))
    texts = [text.decode() for text in profile[6] if isinstance(text, bytes)]
    assert texts[0] == ""
    functions = {number(one, 1): texts[number(one, 2)] for one in map(message, profile[5])}
    locations: dict[int, str] = {}
    for one in map(message, profile[4]):
        (line,) = one[4]
        locations[number(one, 1)] = functions[number(message(line), 1)]
    found = {}
    for sample in map(message, profile[2]):
        names = [locations[location].rpartition(":")[2] for location in numbers(sample[1][0])]
        found[tuple(names[::-1][1:])] = tuple(numbers(sample[2][0]))
    return found


@given(profiles)
def test_pprof_reads_all_stacks(profile: Profile) -> None:
    wanted = {path: figures for path, figures in paths(profile).items() if any(figures)}
    assert {path: figures for path, figures in read_pprof(pprof(profile)).items() if path} == wanted


# pstats


def test_pstats_reads_functions_and_callers(tmp_path: Path) -> None:
    file = tmp_path / "feed.pstats"
    file.write_bytes(pstats_of(made(FEED)))
    stats: dict[Any, Any] = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]  # typeshed has not all of it
    feed, photo, likes = (("/m.py", 7, name) for name in ("feed", "photo", "likes"))
    assert stats[likes][:4] == pytest.approx((5, 5, 0.125, 0.125))
    assert stats[feed][:4] == pytest.approx((1, 1, 0.010, 0.175))
    assert stats[likes][4][photo] == pytest.approx((4, 4, 0.1, 0.1))
    assert stats[likes][4][feed] == pytest.approx((1, 1, 0.025, 0.025))


def test_a_recursion_in_pstats_counts_its_outermost_calls(tmp_path: Path) -> None:
    file = tmp_path / "chain.pstats"
    file.write_bytes(pstats_of(chain(3)))
    stats: dict[Any, Any] = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]  # typeshed has not all of it
    assert stats[("/m.py", 7, "deeper")][:4] == pytest.approx((1, 3, 3e-9, 3e-9))


# Depth


def test_a_recursion_of_1000_is_exported_whole(tmp_path: Path) -> None:
    deep = chain(1_000)
    deepest = ("deeper",) * 1_000
    assert read_speedscope(speedscope(deep))[deepest] == 1
    assert read_pprof(pprof(deep))[deepest] == (1, 1)
    file = tmp_path / "deep.pstats"
    file.write_bytes(pstats_of(deep))
    assert pstats.Stats(str(file)).total_calls == 1_001  # type: ignore[attr-defined]  # typeshed has not all of it
    assert totals(deep.paths)[0] == 1_000
