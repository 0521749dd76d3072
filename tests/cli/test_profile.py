"""`calotype profile` on profiles that were stored."""

from __future__ import annotations

import json
import os
import pstats
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calotype.cli.places import Places
from calotype.cli.profile import profile
from calotype.efficiency.profiler.store import Writer
from calotype.std.errors import CalotypeError
from tests.efficiency.burning import MS
from tests.efficiency.profiler.profiles import Nested, made

GET = "functools:cached_property.__get__"
OLD: Nested = {"feed": (1, 1 * MS, {GET: (1, MS // 2, {"photo": (20, 4 * MS, {})})})}
NEW: Nested = {"feed": (1, 1 * MS, {GET: (1, MS // 2, {"photo": (20, 2 * MS, {})})})}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two releases of one endpoint, the newer one with another clock as well, and another endpoint."""
    writer, directory = Writer(Places(tmp_path).profiles), Places(tmp_path).profiles
    for number, one in enumerate(
        [
            made(OLD, endpoint="feed", release="r1"),
            made(NEW, endpoint="feed", release="r2"),
            made(NEW, endpoint="feed", release="r2", clock="memory", unit="bytes"),
            made(NEW, endpoint="photo", release="r2"),
        ]
    ):
        before = set(directory.glob("*"))
        writer.add(one)
        (path,) = set(directory.glob("*")) - before
        os.utime(path, (1_000 + number, 1_000 + number))
    return tmp_path


def run(data: Path, *options: str) -> Result:
    return CliRunner().invoke(profile, [*options, "--data", str(data)])


def shown(data: Path, *options: str) -> str:
    ran = run(data, *options)
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return ran.output


def refused(data: Path, *options: str) -> str:
    error = run(data, *options).exception
    assert isinstance(error, CalotypeError), error
    return error.message


def test_without_a_name_it_lists_what_there_is(data: Path) -> None:
    rows = [line.split()[:4] for line in shown(data).splitlines()]
    assert rows == [
        ["endpoint", "clock", "release", "requests"],
        ["feed", "cpu", "r2", "1"],
        ["feed", "cpu", "r1", "1"],
        ["feed", "memory", "r2", "1"],
        ["photo", "cpu", "r2", "1"],
    ]


def test_an_endpoint_shows_its_hottest_functions_of_the_last_release(data: Path) -> None:
    lines = shown(data, "--endpoint", "feed").splitlines()
    assert lines[0] == "feed at r2: 3,500 us (cpu) a request, of 1"
    by_self, by_total = lines.index("by self"), lines.index("by total")
    assert lines[by_self + 2].split()[:5] == ["2,000.0", "57.1%", "2,000.0", "57.1%", "20.0"]
    assert lines[by_self + 2].endswith("m:photo (/m.py:7)")
    assert lines[by_total + 2].split()[:5] == ["1,500.0", "42.9%", "3,500.0", "100.0%", "1.0"]


def test_wrappers_are_shown_when_they_are_asked_for(data: Path) -> None:
    assert "cached_property" not in shown(data, "--endpoint", "feed")
    assert "functools:cached_property.__get__" in shown(data, "--endpoint", "feed", "--unfolded")


def test_so_many_functions_as_asked_for(data: Path) -> None:
    assert shown(data, "--endpoint", "feed", "--hottest", "1").count("(/m.py:7)") == 2


def test_another_clock_has_its_own_unit(data: Path) -> None:
    assert "bytes (memory)" in shown(data, "--clock", "memory", "--release", "r2")


def test_a_difference_says_what_changed(data: Path) -> None:
    said = shown(data, "--endpoint", "feed", "--release", "r2", "--diff", "r1")
    assert "-2,000.0       4,000.0       2,000.0  m:photo" in said
    assert "(request) > m:feed > m:photo" in said
    assert "m:feed\n" not in said.partition("by path")[0], "it did not change"


@pytest.mark.parametrize("kind", ["speedscope", "pprof", "pstats"])
def test_an_export_is_a_file_of_its_kind(kind: str, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "out"
    assert str(file) in shown(data, "--endpoint", "feed", "--export", kind, "--output", str(file))
    if kind == "speedscope":
        assert json.loads(file.read_bytes())["profiles"][0]["endValue"] == 3.5 * MS
    elif kind == "pprof":
        assert file.read_bytes()[:2] == b"\x1f\x8b"
    else:
        assert pstats.Stats(str(file)).total_tt == pytest.approx(0.0035)  # type: ignore[attr-defined]  # typeshed has not all of it


def test_what_is_wrong_is_said_with_what_there_is(data: Path, tmp_path: Path) -> None:
    assert refused(data, "--release", "r2") == "say --endpoint, one of: feed, photo"
    assert "there is feed, photo" in refused(data, "--endpoint", "fed")
    assert "not profiled at r3; there is r1, r2" in refused(data, "--endpoint", "feed", "--release", "r3")
    assert "not profiled at r3; there is r1, r2" in refused(data, "--endpoint", "feed", "--diff", "r3")
    assert "nothing was profiled by wall; there is cpu, memory" in refused(
        data, "--endpoint", "feed", "--clock", "wall"
    )
    assert "go together" in refused(data, "--endpoint", "feed", "--export", "pprof")
    assert "go together" in refused(data, "--endpoint", "feed", "--output", "x")
    assert "both r1" in refused(data, "--endpoint", "feed", "--release", "r1", "--diff", "r1")
    assert "not exported" in refused(
        data, "--diff", "r1", "--export", "pprof", "--output", str(tmp_path / "out")
    )


def test_a_site_without_profiles_says_so(tmp_path: Path) -> None:
    assert shown(tmp_path) == "no request of this site was profiled yet\n"
    assert refused(tmp_path, "--endpoint", "feed") == "no request of this site was profiled yet"
