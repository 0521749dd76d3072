"""Where things lie: the checkout, and what the supervisor keeps in the data directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def checkout() -> Path:
    """The directory with the bootstrap and the locks; where Calotype is installed as a package, the current one."""
    here = Path(__file__).resolve().parents[3]
    return here if (here / "requirements.lock").exists() else Path.cwd()


def tools() -> Path:
    """Where programs are kept that we fetch ourselves: beside the checkout's own, else in the user's cache."""
    if (checkout() / "requirements.lock").exists():
        return checkout() / ".tools"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calotype"


@dataclass(frozen=True)
class Places:
    """The layout of a data directory (an absolute path)."""

    data: Path

    def __post_init__(self) -> None:
        assert self.data.is_absolute(), self.data

    @property
    def run(self) -> Path:
        return self.data / "run"

    @property
    def lock(self) -> Path:
        """Locked by the supervisor as long as it lives; holds its identity."""
        return self.run / "lock"

    @property
    def state(self) -> Path:
        return self.run / "state.json"

    @property
    def demo(self) -> Path:
        """There when the demo content is: then the demo login works."""
        return self.run / "demo"

    def invalidator(self, region: str, log: str) -> Path:
        """How far the invalidator of a log is, as it says itself."""
        return self.run / f"invalidator-{log}-{region}.json"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    @property
    def static(self) -> Path:
        return self.data / "static"

    def cluster(self, name: str) -> Path:
        return self.data / "pg" / name

    def engine(self, name: str) -> Places:
        """Of an engine that `calotype engines` runs beside the site: it has a supervisor of its own."""
        return Places(self.data / "engines" / name)

    @property
    def profiles(self) -> Path:
        """Of sampled requests, by whatever process served them."""
        return self.data / "dynostats" / "profiles"

    @property
    def memcached(self) -> Path:
        """Where the sockets of the embedded memcached servers lie."""
        return self.data / "memcached"

    def make(self) -> None:
        """Make the directories, private to their owner."""
        for directory in (self.data, self.run, self.logs, self.static):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
