"""The engines that some tests need and pip cannot install: which are missing, and how to get them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from calotype.infra.engines.rabbitmq import binary

FONT_DIRECTORIES = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts")


class Engine(NamedTuple):
    """`marker` is the pytest marker of the tests that need it."""

    name: str
    marker: str
    package: str
    """Its name on Debian and Ubuntu."""
    elsewhere: str
    present: Callable[[], bool]


def chromium() -> str | None:
    """The browser that the tests drive: `$CALOTYPE_CHROMIUM`, else the first of the usual names on PATH."""
    names = (
        os.environ.get("CALOTYPE_CHROMIUM", ""),
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


ENGINES = (
    Engine(
        "Chromium", "browser", "chromium", "install it and have `chromium` on PATH", lambda: bool(chromium())
    ),
    Engine("memcached", "memcached", "memcached", "install it and have `memcached` on PATH", has_memcached),
    Engine(
        "RabbitMQ",
        "rabbitmq",
        "rabbitmq-server",
        "install it and have `rabbitmq-server` on PATH",
        has_rabbitmq,
    ),
    Engine("Noto fonts", "browser", "fonts-noto-core", "install the Noto Sans fonts", has_noto),
)


def missing() -> list[Engine]:
    return [engine for engine in ENGINES if not engine.present()]


def install(engines: list[Engine], log: Path) -> bool:
    """Install them with apt, if this is Debian or Ubuntu and we are root; whether that was tried and went well."""
    if not can_install():
        return False
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = [engine.package for engine in engines]
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
