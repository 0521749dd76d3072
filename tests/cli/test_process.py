from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from calotype.cli.process import (
    MARKER,
    Process,
    alive,
    end,
    identify,
    marked,
    ourselves,
    send,
    wait_until,
    working_in,
)


def test_a_process_is_its_number_and_its_start() -> None:
    us = ourselves()
    assert alive(us)
    assert not alive(Process(us.pid, "long ago"))


def test_no_signal_reaches_a_later_process_of_the_same_number() -> None:
    with subprocess.Popen(["sleep", "60"]) as later:
        assert not send(Process(later.pid, "long ago"), signal.SIGKILL)
        assert later.poll() is None
        same = identify(later.pid)
        assert same is not None
        assert send(same, signal.SIGKILL)


def test_a_process_that_has_ended_is_not_alive_even_if_nobody_has_noticed() -> None:
    with subprocess.Popen(["sleep", "60"]) as zombie:
        process = identify(zombie.pid)
        assert process is not None
        zombie.kill()
        assert wait_until(lambda: not alive(process), 5)  # not waited for: it is a zombie


def test_ending_is_asking_then_killing(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    with subprocess.Popen(
        ["sh", "-c", f"trap '' TERM; touch '{flag}'; while :; do sleep 0.05; done"]
    ) as deaf:
        assert wait_until(flag.exists, 5)
        process = identify(deaf.pid)
        assert process is not None
        assert end(process, signal.SIGTERM, 0.2) is False
        assert deaf.wait() == -signal.SIGKILL


def test_marked_processes_are_found_with_their_descendants(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & wait"], env={MARKER: str(tmp_path), "PATH": "/bin:/usr/bin"}
    ) as one:
        assert wait_until(lambda: len(marked(tmp_path)) == 2, 5)
        for process in marked(tmp_path):
            send(process, signal.SIGKILL)
        one.wait()
    assert marked(tmp_path / "another") == []


def test_processes_are_found_by_their_directory(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path) as one:
        assert wait_until(lambda: [process.pid for process in working_in(tmp_path)] == [one.pid], 5)
        one.kill()
