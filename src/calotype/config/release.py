"""Which code this is."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DIGITS = 12


def release(checkout: Path = Path(__file__).parents[3]) -> str:
    """`$CALOTYPE_RELEASE`, else the commit of the checkout, else the version of the package."""
    return os.environ.get("CALOTYPE_RELEASE") or _commit(checkout / ".git") or _version()


def _commit(git: Path) -> str:
    """Empty if this is none. Read as it lies there: the program `git` need not be on the machine that serves."""
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:DIGITS]
        name = head.removeprefix("ref: ")
        if (loose := git / name).exists():
            return loose.read_text().strip()[:DIGITS]
        packed = (line.split() for line in (git / "packed-refs").read_text().splitlines())
        return next((parts[0][:DIGITS] for parts in packed if parts[1:] == [name]), "")
    except OSError:
        return ""


def _version() -> str:
    try:
        return version("calotype")
    except PackageNotFoundError:
        return "unknown"
