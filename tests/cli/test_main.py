"""The command line as a person meets it: help, errors, speed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from calotype.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
BUILT = [name for name, entry in COMMANDS.items() if find_spec(entry.target.partition(":")[0]) is not None]


def calotype(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CALOTYPE_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "calotype.cli", *arguments],
        env={**clean, "PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_and_variable() -> None:
    said = calotype("--help")
    assert said.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in said.stdout
    for variable in ("DATA", "PORT", "HOST", "WORKERS", "POSTGRES", "PYTHON", "VENV"):
        assert f"CALOTYPE_{variable}" in said.stdout


@pytest.mark.parametrize("name", BUILT)
def test_every_command_explains_itself(name: str) -> None:
    said = calotype(name, "--help")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"Usage: calotype {name}")


def test_an_unknown_command_is_refused() -> None:
    said = calotype("fly")
    assert said.returncode == 2
    assert "No such command 'fly'" in said.stderr


def test_an_error_is_one_sentence(tmp_path: Path) -> None:
    said = calotype("logs", "--data", str(tmp_path))
    assert said.returncode == 1
    assert said.stderr == f"calotype: there are no logs in {tmp_path}/logs: the site was never started\n"


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = calotype("up", "--data", str(tmp_path / "file" / "var"))
    assert said.returncode == 1
    assert said.stderr.startswith(f"calotype: cannot use {tmp_path}/file/var as the data directory")
    assert said.stderr.count("\n") == 1


def test_a_relative_data_directory_is_one_of_the_current_directory(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "calotype.cli", "status", "--data", "my site"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3
    assert f"(data {tmp_path}/my site)" in ran.stdout


def test_what_does_not_run_is_said_by_status_and_harmless_to_down(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    assert calotype("status", CALOTYPE_DATA=absent).returncode == 3
    assert calotype("status", "--json", CALOTYPE_DATA=absent).returncode == 3
    assert calotype("down", CALOTYPE_DATA=absent).returncode == 0
    assert not (tmp_path / "absent").exists()


def test_status_starts_without_the_weight_of_the_site() -> None:
    program = "import sys, calotype.cli.status; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"django", "asyncio", "psycopg", "rich"}.isdisjoint(ran.stdout.split())


@pytest.mark.clock
def test_status_is_quick(tmp_path: Path) -> None:
    calotype("status", CALOTYPE_DATA=str(tmp_path))
    begun = time.monotonic()
    calotype("status", CALOTYPE_DATA=str(tmp_path))
    assert time.monotonic() - begun < 1
