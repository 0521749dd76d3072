"""What is loaded before a fork starts no thread and opens nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from calotype.std.forking import hindrance
from tests.running_site import SOURCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    kept: list[socket.socket] = []
    yield kept
    for each in kept:
        each.close()


def test_what_only_computes_hinders_nothing() -> None:
    program = "from calotype.std.forking import hindrance; print(repr(hindrance(lambda: sum(range(10)))))"
    ran = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True
    )
    assert ran.stdout == "''\n"


def test_what_was_open_before_hinders_nothing(opened: list[socket.socket]) -> None:
    opened.append(socket.socket())
    assert "socket:" not in hindrance(lambda: None)


def test_what_is_opened_hinders(opened: list[socket.socket]) -> None:
    assert "has opened {'socket:[" in hindrance(lambda: opened.append(socket.socket()))


def test_a_thread_that_is_started_hinders() -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    said = hindrance(thread.start)
    end.set()
    thread.join()
    assert "threads" in said
