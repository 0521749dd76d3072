from __future__ import annotations

import subprocess
from pathlib import Path

from calotype.cli.log_files import Follower, append, last_lines, rotate


def test_a_long_file_is_rotated_under_the_feet_of_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab") as out:
        writer = ["sh", "-c", "read x; echo before; read x; echo after"]
        with subprocess.Popen(writer, stdin=subprocess.PIPE, stdout=out) as process:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
            while not log.read_bytes():
                pass
            assert rotate(log, limit_bytes=3)
            process.stdin.write(b"\n")
    assert log.read_text() == "after\n"
    assert (tmp_path / "web.log.1").read_text() == "before\n"


def test_no_more_files_are_kept_than_said(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    for number in range(6):
        log.write_text(f"{number}\n")
        rotate(log, limit_bytes=1, kept=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["web.log", "web.log.1", "web.log.2"]
    assert (tmp_path / "web.log.1").read_text() == "5\n"
    assert (tmp_path / "web.log.2").read_text() == "4\n"


def test_a_short_or_absent_file_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    assert not rotate(log)
    log.write_text("short\n")
    assert not rotate(log)


def test_the_last_lines_of_a_file_longer_than_a_block(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("".join(f"line {number}\n" for number in range(50_000)))
    assert last_lines(log, 3) == ["line 49997", "line 49998", "line 49999"]
    assert len(last_lines(log, 20_000)) == 20_000
    assert last_lines(log, 0) == []
    assert last_lines(tmp_path / "absent.log", 3) == []


def test_following_shows_complete_lines_and_survives_truncation(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("old\n")
    follower = Follower(log, offset=4)
    with log.open("a") as out:
        out.write("one\ntw")
    assert list(follower.new_lines()) == ["one"]
    with log.open("a") as out:
        out.write("o\n")
    assert list(follower.new_lines()) == ["two"]
    log.write_text("new\n")
    assert list(follower.new_lines()) == ["new"]


def test_lines_carry_the_time(tmp_path: Path) -> None:
    log = tmp_path / "supervisor.log"
    append(log, "started")
    assert log.read_text().endswith("Z started\n")
    append(tmp_path / "absent" / "x.log", "lost, but nobody is hurt")
