"""The engines that some tests need and pip cannot install: which are missing, and how to get them.

Some have packages, some are fetched: Cassandra by Maven, versitygw by Go, into `.tools` of the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from calotype.cli.log_files import append
from calotype.cli.places import tools
from calotype.infra.engines import cassandra, versitygw
from calotype.infra.engines.rabbitmq import binary
from calotype.std.errors import CalotypeError

FONT_DIRECTORIES = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts")


class Engine(NamedTuple):
    """`marker` is the pytest marker of the tests that need it."""

    name: str
    marker: str
    how: str
    """What somebody does who has to get it by hand."""
    present: Callable[[], bool]
    package: str = ""
    """Its name on Debian and Ubuntu, if they have it."""
    fetch: Callable[[Path], bool] | None = None
    """Brings it where there is no package, saying in a log what happened; whether that went well."""


def chromium() -> str | None:
    """The browser that the tests drive: `$CALOTYPE_CHROMIUM`, else the first of the usual names on PATH. The headless shell
    is the same browser without windows, and its tests take two thirds of the time."""
    names = (
        os.environ.get("CALOTYPE_CHROMIUM", ""),
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
        "chrome",
    )
    return next((found for name in names if name and (found := shutil.which(name))), None)


def has_noto() -> bool:
    """Whether there is a font for the scripts that the pages are tested in."""
    return any(
        next(Path(place).rglob("NotoSans*"), None) for place in FONT_DIRECTORIES if Path(place).is_dir()
    )


def has_memcached() -> bool:
    """Whether there is a memcached as the site itself would find it: `$CALOTYPE_MEMCACHED_BIN`, else on PATH."""
    return shutil.which(os.environ.get("CALOTYPE_MEMCACHED_BIN") or "memcached") is not None


def has_rabbitmq() -> bool:
    return binary() is not None


def has_prometheus() -> bool:
    return all(shutil.which(program) for program in ("prometheus", "promtool"))


def has_cassandra() -> bool:
    return cassandra.fetched(tools()) and cassandra.java() is not None


def has_versitygw() -> bool:
    return versitygw.binary(tools()) is not None


def fetch_cassandra(log: Path) -> bool:
    try:
        cassandra.fetch(tools(), log)
    except CalotypeError as error:
        append(log, error.message)
    return has_cassandra()


def build_versitygw(log: Path) -> bool:
    return versitygw.install(tools(), log)


ENGINES = (
    Engine(
        "Chromium",
        "browser",
        "have `chromium` or `chromium-headless-shell` on PATH",
        lambda: bool(chromium()),
        "chromium-headless-shell",
    ),
    Engine("memcached", "memcached", "have `memcached` on PATH", has_memcached, "memcached"),
    Engine("RabbitMQ", "rabbitmq", "have `rabbitmq-server` on PATH", has_rabbitmq, "rabbitmq-server"),
    Engine(
        "Prometheus", "prometheus", "have `prometheus` and `promtool` on PATH", has_prometheus, "prometheus"
    ),
    Engine("Noto fonts", "browser", "install the Noto Sans fonts", has_noto, "fonts-noto-core"),
    Engine(
        "Cassandra",
        "cassandra",
        "install Java 17 and Maven, which fetches it",
        has_cassandra,
        fetch=fetch_cassandra,
    ),
    Engine("versitygw", "s3", "install Go, which builds it", has_versitygw, fetch=build_versitygw),
)


def missing() -> list[Engine]:
    return [engine for engine in ENGINES if not engine.present()]


def install(engines: list[Engine], log: Path) -> bool:
    """Install those that have packages, if this is Debian or Ubuntu and we are root; whether that was tried and went well."""
    packages = [engine.package for engine in engines if engine.package]
    if not can_install() or not packages:
        return False
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("ab") as out:
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            ran = subprocess.run(
                ["apt-get", "-q", *command],
                env=quiet,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=False,
            )
            if ran.returncode != 0:
                return False
    return True


def can_install() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None
