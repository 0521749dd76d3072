"""What `calotype test` makes of pytest's report, and of engines that are missing."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from calotype.cli import test_engines
from calotype.cli.test import (
    OF_THE_INTERPRETER,
    SHARED,
    Counts,
    Ran,
    _environment,
    _sum,
    _without,
    read_counts,
)
from calotype.cli.test import PARTS as WHOLE
from tests.conftest import COMPUTES, PARTS, WAITS, group_of, turn_of
from tests.ports import PROCESSES, free_ports, range_of
from tests.running_site import SOURCE

ROOT = Path(__file__).parents[2]

SUITE = """
import pytest
def test_passes(): pass
def test_fails(): assert False
def test_fails_too(): assert False
@pytest.fixture
def broken(): raise OSError
def test_errs(broken): pass
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.xfail
def test_expected_to_fail(): assert False
"""


def engine(name: str, marker: str) -> test_engines.Engine:
    return test_engines.Engine(name, marker, "install it", lambda: False, name.lower())


def test_the_counts_are_those_of_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    report = tmp_path / "junit.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        f"--junitxml={report}",
        "-p",
        "no:cacheprovider",
        str(tmp_path),
    ]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 failed, 1 passed, 1 skipped, 1 xfailed, 1 error" in said.stdout
    assert read_counts(report) == Counts(
        passed=1, failed=3, skipped=2
    )  # JUnit has no word for an expected failure


def test_no_report_means_that_nothing_ran(tmp_path: Path) -> None:
    assert read_counts(tmp_path / "absent.xml") == Counts(0, 0, 0)


def test_the_last_line_is_plain() -> None:
    assert str(Counts(412, 0, 3)) == "412 passed, 0 failed, 3 skipped"


def test_groups_whose_engines_are_missing_are_left_out() -> None:
    lacking = [engine("Chromium", "browser"), engine("Fonts", "browser"), engine("Cassandra", "cassandra")]
    assert _without(lacking, ("tests",)) == ["-m", "not browser and not cassandra", "tests"]
    assert _without([], ("tests",)) == ["tests"]


@pytest.mark.parametrize("arguments", [("-m", "fault"), ("tests", "-m", "browser")])
def test_a_choice_of_the_caller_is_kept(arguments: tuple[str, ...]) -> None:
    assert _without([engine("Chromium", "browser")], arguments) == list(arguments)


def test_a_browser_elsewhere_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = tmp_path / "my browser"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    monkeypatch.setenv("CALOTYPE_CHROMIUM", str(browser))
    assert test_engines.chromium() == str(browser)


@pytest.mark.parametrize(("required", "status", "said"), [("1", 1, "FAILED"), ("", 0, "left out")])
def test_a_missing_engine_fails_only_where_it_is_required(
    tmp_path: Path, required: str, status: int, said: str
) -> None:
    (tmp_path / "test_suite.py").write_text("def test_passes(): pass\n")
    ran = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "calotype.cli",
            "test",
            "--no-check",
            "-p",
            "no:cacheprovider",
            str(tmp_path),
        ],
        env={"PATH": str(tmp_path), "PYTHONPATH": str(SOURCE), "CALOTYPE_REQUIRE_ENGINES": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{said} for want of Chromium, memcached" in ran.stdout, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1] == "1 passed, 0 failed, 0 skipped"
    assert ran.returncode == status


def test_each_test_is_in_one_part() -> None:
    """Two processes share what computes and what waits; what watches the clock has the machine for itself."""
    some = (
        "tests/std",
        "tests/cli/test_port.py",
        "tests/efficiency/sketches",
        "tests/efficiency/profiler",
        "tests/infra/blobs",  # whose conftest.py has a marker
    )

    def collected(*part: str) -> list[str]:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--collect-only",
            "-p",
            "no:cacheprovider",
            *some,
            *part,
        ]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
        return [line for line in said.splitlines() if "::" in line]

    together, sites, alone = (collected("--part", part) for part in PARTS)
    assert sorted(together + sites + alone) == sorted(collected())
    files = [{test.split("::")[0] for test in part} for part in (together, sites, alone)]
    assert {"tests/std/test_errors.py", "tests/efficiency/profiler/test_recording.py"} <= files[0]
    assert {"tests/cli/test_port.py", "tests/infra/blobs/test_conformance.py"} <= files[1]
    assert not any(file.startswith(("tests/std", "tests/efficiency")) for file in files[1])
    assert "tests/efficiency/profiler/test_clocks.py" in files[2]


def test_the_whole_is_every_part_in_their_order() -> None:
    """And what watches the clock is shared by nobody."""
    assert [arguments[:2] for arguments in WHOLE] == [("--part", part) for part in PARTS]
    assert ["-n" in arguments for arguments in WHOLE] == [True, True, False]


@pytest.mark.parametrize("directory", OF_THE_INTERPRETER)
def test_what_runs_again_on_the_oldest_python_is_there(directory: str) -> None:
    assert list((ROOT / directory).rglob("test_*.py"))


def test_all_parts_count_and_one_that_fails_fails_the_whole() -> None:
    first, second = Ran(True, Counts(5, 0, 1)), Ran(False, Counts(2, 1, 0))
    assert _sum([first, second, first]) == Ran(False, Counts(12, 1, 2))
    assert _sum(iter([first, first])) == Ran(True, Counts(10, 0, 2))


def test_two_processes_share_files_and_not_the_tests_of_one() -> None:
    """Else each would make all that the tests of a file share."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-p",
        "no:cacheprovider",
        "-n",
        "2",
        *SHARED,
        *("tests/std/test_errors.py", "tests/cli/test_port.py"),
    ]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    ran = re.findall(r"\[(gw\d)\].* PASSED ([^:]+)::", said)
    assert len(ran) >= 6, said
    by_file = {(file, process) for process, file in ran}
    assert sorted(file for file, _ in by_file) == ["tests/cli/test_port.py", "tests/std/test_errors.py"]
    assert {process for _, process in by_file} == {"gw0", "gw1"}


def test_tests_that_share_a_ring_or_a_file_stay_in_one_process() -> None:
    assert group_of("tests/e2e/test_keys.py::test_a[light]") == "tests/e2e/test_keys.py"
    ring = {group_of(f"tests/infra/timelines/test_{name}.py::test_c") for name in ("cassandra", "postgres")}
    assert len(ring) == 1
    assert group_of("tests/cli/test_up.py::test_d[tests/e2e/]") == "tests/cli/test_up.py"


def test_what_computes_for_minutes_is_first_and_what_waits_for_minutes_last() -> None:
    assert all((ROOT / path).exists() for path in (*COMPUTES, *WAITS))
    computes, waits = ([turn_of(f"{path}x.py::test_it") for path in paths] for paths in (COMPUTES, WAITS))
    others = turn_of("tests/std/test_errors.py::test_it")
    assert [*computes, others, *waits] == list(range(len(computes) + 1 + len(waits)))


def test_tests_start_on_bytecode_that_is_kept_and_at_no_site_of_somebody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment says: a process that compiles all it imports takes twice as long to start."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "kept"))
    monkeypatch.setenv("CALOTYPE_DATA", "/srv/somebody")
    (tmp_path / "imported.py").write_text("")
    program = "import os, imported; print(os.environ.get('CALOTYPE_DATA'))"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "None\n"
    assert len(list((tmp_path / "kept").rglob("imported.*.pyc"))) == 1
    monkeypatch.delenv("PYTHONPYCACHEPREFIX")
    assert _environment()["PYTHONPYCACHEPREFIX"] == str(ROOT / ".tools" / "bytecode")


def test_somebody_s_options_of_java_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-Dmine=1")
    assert _environment()["JDK_JAVA_OPTIONS"] == "-Dmine=1 -XX:TieredStopAtLevel=1"


def test_processes_that_share_the_tests_have_ports_of_their_own() -> None:
    ranges = [range_of(process) for process in range(PROCESSES)]
    numbers = [port for each in ranges for port in each]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < 32_768, "below those that the system hands out itself"
    assert range_of(PROCESSES) == ranges[0]


def test_a_port_is_handed_out_once() -> None:
    some = [port for amount in (1, 2, 3, 4) * 10 for port in free_ports(amount)]
    assert len(set(some)) == len(some) == 100
    with socket.create_server(("127.0.0.1", some[-1] + 2)):
        assert some[-1] + 2 not in free_ports(3)
