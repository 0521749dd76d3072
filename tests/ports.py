"""Ports for servers of tests: below those that the system hands out itself, and each handed out once."""

from __future__ import annotations

import os
import socket

FIRST, LAST = 13_000, 32_767
PROCESSES = 3
"""How many share the tests at most; each has a range of its own, so that none takes what another has found free and not bound yet."""


def range_of(process: int) -> range:
    size = (LAST + 1 - FIRST) // PROCESSES
    begin = FIRST + process % PROCESSES * size
    return range(begin, begin + size)


_mine = range_of(int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))
_handed_out = 7 * os.getpid()
"""Another run on this machine is likely to be elsewhere in the range."""


def free_ports(amount: int) -> range:
    """So many in a row that nobody uses now and that this process was not given before, until its range is used up."""
    global _handed_out
    for _ in _mine:
        first = _mine[_handed_out % len(_mine)]
        found = range(first, first + amount)
        if found[-1] in _mine and all(map(can_be_bound, found)):
            _handed_out += amount
            return found
        _handed_out += 1
    raise AssertionError(f"there are no {amount} free ports in {_mine}")


def free_port() -> int:
    """One whose successor, a second region's, is free too."""
    return free_ports(2)[0]


def can_be_bound(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
