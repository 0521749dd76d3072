"""What every bench prints, and how it counts CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.processes import cpu_s, free_ports
from benchmarks.report import Report, encode, report, row, show


def test_a_row_says_whether_its_target_is_met() -> None:
    assert row("a", 10, "us", "asyncpg", 8, 1.5).met is True
    assert row("a", 15, "us", "asyncpg", 8, 1.5).met is False
    assert row("a", 15, "us", "asyncpg", 8).met is None
    assert row("a", 10, "us", "asyncpg", 8).ratio == 1.25


def test_a_limit_is_for_the_value_itself() -> None:
    assert row("a", 90, "ms", "bare", 10, limit=100).met is True
    assert row("a", 110, "ms", "bare", 1_000, limit=100).met is False


def test_a_row_without_a_baseline_has_neither_ratio_nor_verdict() -> None:
    found = row("a", 10, "bytes", target=1.0)
    assert (found.ratio, found.met) == (None, None)
    assert row("a", 10, "bytes", "drf", 0).ratio is None


def test_the_json_has_the_fields_of_every_bench() -> None:
    made = report(
        "feed", ("django", "no-such-package"), [row("a", 1, "ms", "drf", 2, 0.2)], {"postgresql": "18"}
    )
    found = json.loads(encode(made))
    assert list(found) == ["bench", "machine", "versions", "rows"]
    assert list(found["rows"][0]) == [
        "name",
        "value",
        "unit",
        "baseline",
        "baseline_value",
        "ratio",
        "target",
        "met",
        "limit",
    ]
    assert found["versions"]["no-such-package"] == "not installed"
    assert msgspec.json.decode(encode(made), type=Report) == made


def test_the_table_keeps_a_missed_row(capsys: object) -> None:
    show(report("feed", (), [row("a", 1, "ms", "drf", 2, 0.2)], {}))


def test_cpu_counts_a_process_and_its_children() -> None:
    work = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    child = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {work!r}]); {work}\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", child])
    try:
        until = time.monotonic() + 30
        while cpu_s(process.pid) < 0.35 and time.monotonic() < until:
            time.sleep(0.05)
        assert 0.35 <= cpu_s(process.pid) < 2
    finally:
        process.kill()
        process.wait()


def test_free_ports_lie_below_those_of_the_system() -> None:
    found = free_ports(3)
    assert len(set(found)) == 3
    assert max(found) < 32_768


def test_a_command_line_without_a_checkout_says_so(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    installed = tmp_path / "lib" / "python" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "calotype").symlink_to(root / "src" / "calotype")
    code = (
        "import sys, calotype.cli.bench as b; from pathlib import Path; from calotype.std.errors import CalotypeError\n"
        f"b.checkout = lambda: Path({str(tmp_path)!r})\n"
        "try: b.benchmark_module('report')\nexcept CalotypeError as error: print(error.code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    assert ran.stdout.strip() == "benchmarks_missing"
