"""What a bench finds: rows of figures, each beside its baseline, as a table and as JSON."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

WIDTH = 150
"""Of a table that goes to a file."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `ratio` is `value / baseline_value`; `target` is the highest ratio at which the claim is `met`."""

    name: str
    value: float
    unit: str
    baseline: str | None = None
    """One of a few stable names: `asyncpg`, `drf`, `orm`, `pillow`, `sequence`, `tuned`, `tuned+memcached`, ..."""
    baseline_value: float | None = None
    ratio: float | None = None
    target: float | None = None
    met: bool | None = None
    limit: float | None = None
    """Instead of a target for the ratio: the highest `value` at which the claim is `met`, in the row's own unit."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    system: str
    processor: str
    cores: int
    """Those that this process may use."""
    memory_mb: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    bench: str
    machine: Machine
    versions: dict[str, str]
    rows: list[Row]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says to a bench."""

    data: Path
    """Where servers keep their data between runs. Only what the benches make themselves is ever touched in it."""
    quick: bool = False
    """A tenth of the data and of the repetitions, or less: shows that a bench works, not what things cost."""


def row(
    name: str,
    value: float,
    unit: str,
    baseline: str | None = None,
    baseline_value: float | None = None,
    target: float | None = None,
    limit: float | None = None,
) -> Row:
    """A row with its ratio and, if a target or a limit is stated, whether it is met."""
    ratio = value / baseline_value if baseline_value else None
    met = None if target is None or ratio is None else ratio <= target
    return Row(
        name=name,
        value=_rounded(value),
        unit=unit,
        baseline=baseline,
        baseline_value=None if baseline_value is None else _rounded(baseline_value),
        ratio=None if ratio is None else round(ratio, 3),
        target=target,
        met=met if limit is None else value <= limit,
        limit=limit,
    )


def report(bench: str, packages: Sequence[str], rows: Sequence[Row], more: dict[str, str]) -> Report:
    """A report with the versions of Python, of these packages, and of what else took part (`more`)."""
    versions = {"python": platform.python_version()} | {name: _version(name) for name in packages} | more
    return Report(bench=bench, machine=machine(), versions=versions, rows=list(rows))


def machine() -> Machine:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=_processor(),
        cores=cores,
        memory_mb=memory >> 20,
    )


def show(made: Report) -> None:
    """The report as a table on standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    table = Table(title=f"calotype bench {made.bench}", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for heading in ("value", "unit", "baseline", "its value", "ratio", "target"):
        table.add_column(heading, justify="left" if heading in ("unit", "baseline") else "right")
    for each in made.rows:
        table.add_row(*_cells(each))
    console.print(table)
    console.print(f"[dim]{made.machine.cores} cores, {made.machine.processor}, {made.machine.system}[/dim]")
    console.print(f"[dim]{', '.join(f'{name} {text}' for name, text in made.versions.items())}[/dim]")


def encode(made: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(made)).decode()


def _cells(each: Row) -> list[str]:
    verdict = {None: "", True: "[green]met[/green]", False: "[red]missed[/red]"}[each.met]
    return [
        each.name,
        _figure(each.value),
        each.unit,
        each.baseline or "",
        "" if each.baseline_value is None else _figure(each.baseline_value),
        "" if each.ratio is None else _ratio(each.ratio),
        _bound(each, verdict),
    ]


def _bound(each: Row, verdict: str) -> str:
    if each.limit is not None:
        return f"<= {each.limit:g} {each.unit} {verdict}"
    return "" if each.target is None else f"<= {each.target:g} {verdict}"


def _ratio(ratio: float) -> str:
    """Near 1 a tenth of a percent counts."""
    return f"{ratio:.3f}" if 0.9 < ratio < 1.1 else f"{ratio:.2f}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def _rounded(value: float) -> float:
    return round(value, 3) if abs(value) < 1000 else round(value, 1)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
