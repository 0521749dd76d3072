"""A bench as the command line runs it, on a tenth of its data or less."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from benchmarks.report import Report
from tests.running_site import SOURCE


def bench(name: str, data: Path) -> Report:
    """What it reports. Fails with the end of what it said unless it succeeds, within 250 s."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "calotype.cli", "bench", name, "--quick", "--json", "--data", str(data)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return msgspec.json.decode(ran.stdout, type=Report)
