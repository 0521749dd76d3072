"""A whole site as `calotype up` runs it: its own processes, its own data, reached over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calotype.cli import state
from calotype.cli.load.browser import Browser
from calotype.cli.places import Places
from calotype.cli.state import ChildState
from tests.ports import free_port

SOURCE = Path(__file__).parent.parent / "src"
START_SECONDS = 120


@dataclass(frozen=True)
class RunningSite:
    """A site, seen from one of its regions: `port` and `suffix` are those of that region."""

    data: Path
    port: int
    suffix: str = ""
    """Of the names of the region's own processes."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def second_region(self) -> RunningSite:
        """The same site, seen from its second region (of `--regions 2`)."""
        assert not self.suffix
        return replace(self, port=self.port + 1, suffix="-b")

    def calotype(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line against this site."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "calotype.cli", *arguments],
            env={**os.environ, "PYTHONPATH": str(SOURCE), "CALOTYPE_DATA": str(self.data)},
            capture_output=True,
            text=True,
            check=check,
            timeout=START_SECONDS,
        )

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.calotype("status", "--json", check=False).stdout)
        return answer

    def children(self) -> dict[str, ChildState]:
        """Those of the supervisor, by name, as it has written it down: a command would take longer than many a wait for it."""
        known = state.read(Places(self.data))
        assert known is not None, self.data
        return {each.name: each for each in known.children}

    def pid(self, child: str) -> int:
        """The process of a child of the supervisor."""
        process = self.children()[child].process
        assert process is not None, child
        return process.pid

    def web_workers(self) -> list[int]:
        """The processes that answer requests."""
        web = self.pid(f"web{self.suffix}")
        children = Path(f"/proc/{web}/task/{web}/children").read_text()
        return [int(pid) for pid in children.split() if not _tracks_resources(int(pid))]

    def wait_until_healthy(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                with Browser(self.url) as browser:
                    if browser.get("/healthz").status == 200:
                        return
            except OSError:
                pass
            assert time.monotonic() < until, self.calotype("logs", check=False).stdout[-4000:]
            time.sleep(0.1)


def _tracks_resources(pid: int) -> bool:
    """Whether it is multiprocessing's own child, which it has beside those that it spawns."""
    try:
        return "resource_tracker" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


@contextmanager
def running_site(data: Path, *options: str) -> Iterator[RunningSite]:
    """`calotype up --detach` with these options; `calotype down` at the end."""
    site = RunningSite(data, free_port())
    started = site.calotype("up", "--detach", "--port", str(site.port), *options, check=False)
    assert started.returncode == 0, started.stdout + started.stderr
    try:
        yield site
    finally:
        site.calotype("down", check=False)


def kill(pid: int) -> None:
    """`kill -9` of one process that a site of ours started."""
    os.kill(pid, signal.SIGKILL)
