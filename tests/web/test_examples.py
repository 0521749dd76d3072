"""The examples run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.memcached import running_memcached

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.memcached
def test_the_example_of_the_cache_says_what_it_does(short_directory: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": os.environ["PATH"]}
    with running_memcached(short_directory, 2) as servers:
        run = subprocess.run(
            [sys.executable, "-W", "error", ROOT / "examples" / "django_cache" / "run.py"],
            env=environment | {"MEMCACHED": ";".join(one.address for one in servers)},
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        "visits: 42",
        "200 readers of two cold keys: 1 load, all equal: True",
        "after a write: 4 read again: ['tea']",
        "async: {'text': 'hello', 'times': [1, 2]}",
    ]
