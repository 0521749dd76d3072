"""Profiles in a directory that several processes write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from calotype.efficiency.profiler import Profile, read, stored
from calotype.efficiency.profiler.store import SUFFIX, ProfileUnreadable, Writer, _decode
from tests.efficiency.profiler.profiles import Nested, made, paths

ROOT = Path(__file__).parents[3]
FEED: Nested = {"feed": (1, 10, {"photo": (4, 40, {})})}

PROGRAM = """
import sys
from pathlib import Path
from calotype.efficiency.profiler.store import Writer
from tests.efficiency.profiler.profiles import made

writer = Writer(Path(sys.argv[1]))
for _ in range(20):
    writer.add(made({"feed": (1, 10, {sys.argv[2]: (1, 1, {})})}))
"""


def the_one(directory: Path) -> Profile:
    (of,) = stored(directory)
    profile = read(directory, of)
    assert profile is not None
    return profile


def test_what_is_stored_adds_up(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for _ in range(3):
        writer.add(made(FEED))
    assert len(list(tmp_path.iterdir())) == 1
    profile = the_one(tmp_path)
    assert profile.requests == 3
    assert paths(profile) == {("feed",): (3, 30), ("feed", "photo"): (12, 120)}


def test_processes_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), name],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        )
        for name in ("a", "b", "c")
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    profile = the_one(tmp_path)
    assert profile.requests == 60
    assert paths(profile) == {("feed",): (60, 600)} | {("feed", name): (20, 20) for name in "abc"}
    assert len(list(tmp_path.iterdir())) == 3


def test_endpoints_releases_and_clocks_are_kept_apart(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for one in (
        made(FEED, endpoint="feed/../home", release="r1"),
        made(FEED, endpoint="feed/../home", release="r2"),
        made(FEED, endpoint="feed/../home", release="r2", clock="wall"),
        made(FEED, endpoint="a", release="r1"),
    ):
        writer.add(one)
    found = [(each.endpoint, each.clock, each.release, each.requests) for each in stored(tmp_path)]
    assert found[0] == ("a", "cpu", "r1", 1)
    assert set(found[1:3]) == {("feed/../home", "cpu", "r1", 1), ("feed/../home", "cpu", "r2", 1)}
    assert found[3] == ("feed/../home", "wall", "r2", 1)
    assert {path.parent for path in tmp_path.iterdir()} == {tmp_path}


def test_the_release_that_was_profiled_last_comes_first(tmp_path: Path) -> None:
    for number, release in enumerate(("new", "old")):
        Writer(tmp_path).add(made(FEED, release=release))
        for path in tmp_path.iterdir():
            os.utime(path, (1_000 - number, 1_000 - number))
    for path in tmp_path.iterdir():
        if b"new" in path.read_bytes():
            os.utime(path, (2_000, 2_000))
    assert [each.release for each in stored(tmp_path)] == ["new", "old"]


def test_the_oldest_files_make_room(tmp_path: Path) -> None:
    (tmp_path / "not ours").write_text("stays")
    for number in range(5):
        Writer(tmp_path, files=3).add(made(FEED, endpoint=f"view {number}"))
        for path in tmp_path.glob(f"*{SUFFIX}"):
            if f"view {number}".encode() in path.read_bytes():
                os.utime(path, (number, number))
    assert [each.endpoint for each in stored(tmp_path)] == ["view 2", "view 3", "view 4"]
    Writer(tmp_path, size_bytes=1).add(made(FEED, endpoint="view 5"))
    assert [each.endpoint for each in stored(tmp_path)] == ["view 5"]
    assert (tmp_path / "not ours").exists()


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x28\xb5\x2f\xfd\x00 no zstd"])
def test_a_damaged_file_is_passed_over_and_replaced(tmp_path: Path, damage: bytes) -> None:
    writer = Writer(tmp_path)
    writer.add(made(FEED, endpoint="whole"))
    writer.add(made(FEED, endpoint="damaged"))
    (path,) = [path for path in tmp_path.iterdir() if b"damaged" in path.read_bytes()]
    path.write_bytes(damage)
    with pytest.raises(ProfileUnreadable, match=path.name):
        _decode(path, Profile)
    assert [each.endpoint for each in stored(tmp_path)] == ["whole"]
    writer.add(made(FEED, endpoint="damaged"))
    assert [(each.endpoint, each.requests) for each in stored(tmp_path)] == [("damaged", 1), ("whole", 1)]


def test_paths_that_do_not_fit_together_are_not_read(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.add(made(FEED))
    (path,) = tmp_path.iterdir()
    whole = msgspec.msgpack.decode(path.read_bytes(), type=Profile)
    for broken in (
        whole.paths[1:],
        (),
        (*whole.paths, type(whole.paths[0])(99, 0, 1, 1)),
        (*whole.paths, type(whole.paths[0])(0, 99, 1, 1)),
    ):
        path.write_bytes(msgspec.msgpack.encode(msgspec.structs.replace(whole, paths=broken)))
        (of,) = stored(tmp_path)
        assert read(tmp_path, of) is None


def test_a_directory_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert stored(tmp_path / "none") == []
