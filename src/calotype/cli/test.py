"""`calotype test`: everything that must pass, on a machine that has only just seen this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import click

from calotype.cli import test_engines
from calotype.cli.bench import benchmark_module
from calotype.cli.check import run_checks
from calotype.cli.log_files import last_lines
from calotype.cli.places import checkout, tools
from calotype.std.errors import CalotypeError

OLDEST = (3, 12)

SHARED = ("--dist", "loadscope", "--no-loadscope-reorder")
"""By processes that each have PostgreSQL servers and ports of their own; who runs what is said by tests/conftest.py."""

TOGETHER = ("--part", "together", "-n", "3", *SHARED)
"""A third process uses what two leave of two cores while their tests wait. Beside whole sites, whose processes are many, it
would only be in their way."""

PARTS = (TOGETHER, ("--part", "sites", "-n", "2", *SHARED), ("--part", "alone"))
"""What computes, what mostly waits for the sites and engines that it starts, and what watches the clock."""

OF_THE_INTERPRETER = (
    "tests/std",
    "tests/config",
    "tests/efficiency",
    *(f"tests/infra/{name}" for name in ("cache", "jobs")),
)

AGAIN = ((*TOGETHER, *OF_THE_INTERPRETER), ("--part", "alone", *OF_THE_INTERPRETER))
"""What may differ between versions of Python: event loops, monitoring, processes, codecs. mypy sees to the rest, which it
checks against the oldest."""


JAVA_OPTIONS = "-XX:TieredStopAtLevel=1"
"""Nodes of Cassandra live for a minute here: the compiler whose code is worth it after ten would take two fifths of their CPU."""


class Counts(NamedTuple):
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Ran(NamedTuple):
    ok: bool
    counts: Counts


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--no-check", is_flag=True, help="Leave out `calotype check`.")
@click.option(
    "--report", type=click.Path(path_type=Path), hidden=True, help="Where pytest's JUnit file goes."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGUMENTS]...")
def test(no_check: bool, report: Path | None, arguments: tuple[str, ...]) -> None:
    """Run `check`, then all tests; the last line says how many passed and failed.

    On Debian and Ubuntu, as root, missing engines (Chromium, fonts, memcached, RabbitMQ, Prometheus) are installed first; Cassandra is
    fetched where Java and Maven are, an S3 server built where Go is (two minutes, once, while the checks run). The tests
    of an engine that is still missing are left out, and this says which and how to get it; with
    CALOTYPE_REQUIRE_ENGINES=1 a missing engine is a failure. Without arguments, two or three processes share all but what watches the
    clock, and what depends on the interpreter runs a second time on Python 3.12 if that is here.

    \b
    Examples:
      ./calotype test
      ./calotype test tests/infra -k lease
      ./calotype test --no-check -m "not browser"
    """
    required = os.environ.get("CALOTYPE_REQUIRE_ENGINES") == "1"
    _install_engines()
    second = None if arguments else _second_python()
    with ThreadPoolExecutor() as threads:
        fetching = _fetch_engines(threads)
        if second is not None:
            fetching.append(threads.submit(_make_environment, second))
        compared = bool(arguments) or _provide_baselines()
        checked = no_check or run_checks()
        lacking = _lacking(fetching)
    if arguments:
        full, oldest = _pytest(_without(lacking, arguments), report), Ran(True, Counts())
    else:
        full = _sum(_pytest(_without(lacking, part), None) for part in PARTS)
        oldest = _on_oldest_python(second)
    wanting = [engine.name for engine in lacking] + ([] if compared else ["the benchmarks' baselines"])
    ok = checked and full.ok and oldest.ok and not (required and wanting)
    for line in _verdict(checked, wanting, oldest, required=required):
        print(line)
    print(full.counts._replace(failed=full.counts.failed + oldest.counts.failed), flush=True)
    sys.exit(0 if ok else 1)


def _install_engines() -> None:
    """Install what is missing and has a package, where that is possible."""
    lacking = [engine for engine in test_engines.missing() if engine.package]
    if not lacking or not test_engines.can_install():
        return
    log = _log("apt")
    print(f"installing {', '.join(engine.package for engine in lacking)} (log: {log}) ...", flush=True)
    if not test_engines.install(lacking, log):
        print("\n".join(last_lines(log, 10)))


def _fetch_engines(threads: ThreadPoolExecutor) -> list[Future[None]]:
    """Begin to bring what is missing and has none, beside what else there is to do."""
    begun = []
    for engine in test_engines.missing():
        if engine.fetch is not None:
            log = _log(engine.name.lower())
            print(f"fetching {engine.name} meanwhile (log: {log}) ...", flush=True)
            begun.append(threads.submit(_fetch, engine.name, engine.fetch, log))
    return begun


def _fetch(name: str, fetch: Callable[[Path], bool], log: Path) -> None:
    if not fetch(log):
        print(f"{name} could not be fetched:", *last_lines(log, 5), sep="\n  ", flush=True)


def _lacking(fetching: Sequence[Future[None]]) -> list[test_engines.Engine]:
    """What is missing after all; said, with how to get it."""
    for each in fetching:
        each.result()
    lacking = test_engines.missing()
    for engine in lacking:
        print(
            f"missing: {engine.name}, so the tests marked `{engine.marker}` are left out. {_how_to_get(engine)}"
        )
    return lacking


def _log(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"calotype-{name}-{os.getpid()}.log"


def _provide_baselines() -> bool:
    """What the benchmarks compare with, where it can be installed; whether it is here. Their tests are skipped without."""
    try:
        if test_engines.can_install():
            benchmark_module("requirements").ensure()
    except CalotypeError as error:
        print(f"missing: baselines of the benchmarks, so their tests are left out. {error.message}")
    return not benchmark_module("requirements").missing()


def _how_to_get(engine: test_engines.Engine) -> str:
    by_apt = f"Debian, Ubuntu: apt install {engine.package}; elsewhere: " if engine.package else "To get it: "
    return by_apt + engine.how


def _without(lacking: Sequence[test_engines.Engine], arguments: Sequence[str]) -> list[str]:
    """The arguments of pytest, without the groups whose engines are missing. A `-m` of the caller is kept as it is."""
    left_out = _left_out(lacking)
    if not left_out or any(argument == "-m" or argument.startswith("-m=") for argument in arguments):
        return list(arguments)
    return ["-m", " and ".join(left_out), *arguments]


def _left_out(lacking: Sequence[test_engines.Engine]) -> list[str]:
    return [f"not {marker}" for marker in dict.fromkeys(engine.marker for engine in lacking)]


def _pytest(arguments: Sequence[str], report: Path | None) -> Ran:
    with tempfile.TemporaryDirectory(prefix="calotype-test-") as scratch:
        report = report or Path(scratch) / "junit.xml"
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *arguments]
        ran = subprocess.run(command, cwd=checkout(), env=_environment(), check=False)
        return Ran(ran.returncode == 0, read_counts(report))


def read_counts(report: Path) -> Counts:
    """From pytest's JUnit file; an error in a fixture counts as a failure. No file: nothing ran."""
    if not report.exists():
        return Counts()
    suite = next(ElementTree.parse(report).getroot().iter("testsuite"))  # noqa: S314  we have just written it
    total, failures, errors, skipped = (
        int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    return Counts(max(0, total - failed - skipped), failed, skipped)


def _second_python() -> str | None:
    """The oldest that there must be, when it is here and is not the one of this run."""
    if sys.version_info[:2] == OLDEST:
        return None
    find = [str(checkout() / "calotype"), "--which-python", ".".join(map(str, OLDEST))]
    found = subprocess.run(find, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def _make_environment(python: str) -> None:
    """The second one, in time; a failure is the second run's, which tries again and says why."""
    subprocess.run(
        [str(checkout() / "calotype"), "check", "--help"],
        env=_second_environment(python),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def _on_oldest_python(python: str | None) -> Ran:
    """What depends on it once more, in a second environment."""
    name = ".".join(map(str, OLDEST))
    if python is None:
        if sys.version_info[:2] != OLDEST:
            print(f"Python {name} is not here: the second run, on it, is left out")
        return Ran(True, Counts())
    print(f"\nwhat depends on the interpreter again, on Python {name}", flush=True)
    return _sum(_second(python, part) for part in AGAIN)


def _second(python: str, part: Sequence[str]) -> Ran:
    """A part of the tests, run by another interpreter in an environment of its own."""
    with tempfile.TemporaryDirectory(prefix="calotype-test-") as scratch:
        report = Path(scratch) / "junit.xml"
        command = [str(checkout() / "calotype"), "test", "--no-check", "--report", str(report), "-q", *part]
        ran = subprocess.run(command, env=_second_environment(python), check=False)
        return Ran(ran.returncode == 0, read_counts(report))


def _second_environment(python: str) -> Mapping[str, str]:
    venv = checkout() / f".venv-{'.'.join(map(str, OLDEST))}"
    return {**_environment(), "CALOTYPE_PYTHON": python, "CALOTYPE_VENV": str(venv)}


def _sum(parts: Iterable[Ran]) -> Ran:
    ran = list(parts)
    counts = (sum(numbers) for numbers in zip(*(each.counts for each in ran), strict=True))
    return Ran(all(each.ok for each in ran), Counts(*counts))


def _environment() -> Mapping[str, str]:
    """Ours, without what would point the tests at somebody's site, and with bytecode kept, in `.tools`: tests start some hundred
    processes, each of which compiled all that it imports, where PYTHONDONTWRITEBYTECODE is set."""
    site = (
        "DATA",
        "HOST",
        "PORT",
        "WORKERS",
        "POSTGRES",
        "REGIONS",
        "REGION",
        "BROKER",
        "TIMELINES",
        "BLOBS",
    )
    left_out = {"PYTHONDONTWRITEBYTECODE", *(f"CALOTYPE_{name}" for name in site)}
    ours = {key: value for key, value in os.environ.items() if key not in left_out}
    java = f"{ours.get('JDK_JAVA_OPTIONS', '')} {JAVA_OPTIONS}".strip()
    return {"PYTHONPYCACHEPREFIX": str(tools() / "bytecode"), **ours, "JDK_JAVA_OPTIONS": java}


def _verdict(checked: bool, wanting: list[str], oldest: Ran, *, required: bool) -> list[str]:
    lines = [] if checked else ["check FAILED (see above)"]
    if oldest.counts != Counts() or not oldest.ok:
        lines.append(
            f"on Python {'.'.join(map(str, OLDEST))}: {oldest.counts}{'' if oldest.ok else ' - FAILED'}"
        )
    if wanting:
        verb = "FAILED for want of" if required else "left out for want of"
        lines.append(f"{verb} {', '.join(wanting)}")
    return lines
