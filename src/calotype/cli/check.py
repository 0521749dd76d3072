"""`calotype check`: what must hold of the source before its tests are worth running."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import click

from calotype.cli import typescript
from calotype.cli.places import checkout

SOURCES = ("src", "tests", "benchmarks", "examples")


class Outcome(NamedTuple):
    name: str
    ok: bool
    seconds: float
    output: str


@click.command()
def check() -> None:
    """Check the source: black, ruff, mypy --strict, the import contracts, and the browser's modules with tsc.

    All are run, whatever the first ones say; the output of those that fail is printed. Nothing is changed:
    `.venv/bin/black .` and `.venv/bin/ruff check --fix` do that. TypeScript comes from npm the first time, into .tools.
    """
    sys.exit(0 if run_checks() else 1)


def run_checks() -> bool:
    """Run all, two at a time, and print each result as it comes; True when all of them passed."""
    root = checkout()
    passed = True
    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(_run, root, *tool) for tool in _tools(root)]
        running.append(threads.submit(_modules, root))
        for each in running:
            outcome = each.result()
            print(
                f"{outcome.name:13} {'ok' if outcome.ok else 'FAILED':6} {outcome.seconds:5.1f} s", flush=True
            )
            if not outcome.ok:
                print(_indented(outcome.output), flush=True)
                passed = False
    return passed


def _tools(root: Path) -> list[tuple[str, Sequence[str]]]:
    sources = [name for name in SOURCES if any((root / name).rglob("*.py"))]
    contracts = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    return [
        ("mypy", ["-m", "mypy", "--no-error-summary", *sources]),
        ("black", ["-m", "black", "--check", "--quiet", "--diff", *sources]),
        ("ruff", ["-m", "ruff", "check", "--quiet", *sources]),
        ("lint-imports", ["-c", contracts, "--no-logo"]),
    ]


def _modules(root: Path) -> Outcome:
    begun = time.monotonic()
    ok, output = typescript.check(root)
    return Outcome("tsc", ok, time.monotonic() - begun, output)


def _run(root: Path, name: str, arguments: Sequence[str]) -> Outcome:
    begun = time.monotonic()
    # The interpreter, not the scripts beside it: their first line breaks where the path has spaces or is long.
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(name, ran.returncode == 0, time.monotonic() - begun, (ran.stdout + ran.stderr).strip())


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
