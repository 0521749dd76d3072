"""The stand-in command line (see `stand_in`), for one data directory and port."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from calotype.cli import state
from calotype.cli.places import Places
from calotype.cli.process import wait_until
from tests.ports import free_port
from tests.site import root

STAND_IN = Path(__file__).with_name("stand_in.py")
SOURCE = Path(__file__).parents[2] / "src"


@cache
def path_without_memcached() -> str:
    """A PATH with all that the command line looks for, but for memcached."""
    programs = root() / "programs"
    programs.mkdir()
    for name in ("sh", "true", "setpriv", "unshare"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    return str(programs)


class CommandLine:
    """`memcached`: whether it finds one."""

    def __init__(self, data: Path, *, memcached: bool = False) -> None:
        self.places = Places(data)
        self.port = free_port()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CALOTYPE_")}
        self.environment = {**clean, "PYTHONPATH": str(SOURCE), "CALOTYPE_DATA": str(data)}
        if not memcached:
            self.environment["PATH"] = path_without_memcached()

    def __call__(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(STAND_IN), *arguments],
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def up(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self("up", "--detach", "--port", str(self.port), *arguments, **more)

    def foreground(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(STAND_IN), "up", "--port", str(self.port), *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def status(self) -> dict[str, object]:
        said: dict[str, object] = json.loads(self("status", "--json").stdout)
        return said

    def state(self) -> state.State:
        known = state.read(self.places)
        assert known is not None
        return known


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    assert wait_until(condition, seconds)
