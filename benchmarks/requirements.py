"""What the baselines need beyond Calotype's own requirements: found, installed where that can be done, or named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

from calotype.cli.places import checkout
from calotype.cli.test_engines import can_install
from calotype.std.errors import CalotypeError

LOCK = "requirements-bench.lock"
MODULES = (
    "rest_framework",
    "gunicorn",
    "orjson",
    "pylibmc",
    "emcache",
    "aiomcache",
    "pymemcache",
    "yappi",
    "silk",
    "django_prometheus",
    "opentelemetry.sdk",
    "opentelemetry.instrumentation.django",
    "sentry_sdk",
    "pyinstrument",
)
PACKAGES = ("memcached", "gcc", "libc6-dev", "libmemcached-dev", "zlib1g-dev")
"""Of Debian: the server, and what uWSGI and pylibmc are compiled with."""


class BaselineMissing(CalotypeError):
    code = "baseline_missing"


def ensure() -> None:
    """Have all of it, or raise `BaselineMissing` with the commands that get it.

    On Debian and Ubuntu as root, missing system packages are installed; Python's go into this environment in any case.
    """
    system, python = missing_system(), missing_python()
    if not system and not python:
        return
    if can_install():
        print(f"installing {', '.join(PACKAGES)} ...", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run(["apt-get", "-q", "update"], quiet)
        _run(["apt-get", "-q", "install", "-y", "--no-install-recommends", *PACKAGES], quiet)
    elif system:
        raise BaselineMissing(f"the baselines need memcached on PATH. {_how()}")
    if python:
        print(f"installing {', '.join(python)} from {LOCK} ...", flush=True)
        _run([*_installer(), "--require-hashes", "-r", str(checkout() / LOCK)], dict(os.environ))


def missing() -> list[str]:
    return missing_system() + missing_python()


def missing_system() -> list[str]:
    return [] if shutil.which("memcached") else ["memcached"]


def missing_python() -> list[str]:
    invalidate_caches()  # some may have been installed since this process began
    return [name for name in MODULES if not _installed(name)] + ([] if uwsgi() else ["uwsgi"])


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it is part of
        return False


def uwsgi() -> str | None:
    """The uWSGI of this environment."""
    own = Path(sys.prefix) / "bin" / "uwsgi"
    return str(own) if own.exists() else None


def _installer() -> list[str]:
    """uv as the bootstrap left it or on PATH, else pip."""
    for uv in (checkout() / ".tools" / "uv" / "bin" / "uv", shutil.which("uv")):
        if uv is not None and Path(uv).exists():
            return [str(uv), "pip", "install", "--quiet", "--python", sys.executable]
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet"]
    raise BaselineMissing(f"found neither uv nor pip to install the baselines with. {_how()}")


def _run(command: list[str], environment: dict[str, str]) -> None:
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        tail = "\n".join((ended.stdout + ended.stderr).splitlines()[-10:])
        raise BaselineMissing(f"`{' '.join(command)}` failed:\n{tail}\n{_how()}")


def _how() -> str:
    return f"Debian, Ubuntu: apt install {' '.join(PACKAGES)}; then: uv pip install --python {sys.executable} -r {LOCK}"
