"""The report as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from calotype.cli.capacity.fleet import Servers, Shape
from calotype.cli.capacity.report import Report
from calotype.cli.capacity.simulation import Outcome
from calotype.cli.capacity.strategies import Sums

WIDTH = 150
"""Of tables that go to a file, and at least."""

NONE, LEAST = "–", 0.01


def show(made: Report) -> None:
    """On standard output. A narrow terminal breaks lines: better than tables that leave digits out."""
    console = Console(highlight=False)
    if not console.is_terminal or console.width < WIDTH:
        console = Console(highlight=False, width=WIDTH)
    for part in _parts(made):
        console.print(part)
        console.print()


def _parts(made: Report) -> Iterable[RenderableType]:
    yield _fleet(made)
    yield _shapes(made.shapes)
    if made.fan_out.simulated:
        yield _simulated(made)
    yield _sweep(made)
    yield _measured(made)
    yield _assumptions(made)


def _fleet(made: Report) -> Group:
    demand = made.demand
    table = _table(
        "engine|", "what|", "a second", "at the peak", "cores", "memory GB", "stored TB", "+1 year", "Gbit/s"
    )
    _add_columns(table, "server|", "servers", "+1 year", "bound by|")
    for one in made.engines:
        table.add_row(*_engine(one))
    totals = (f"{made.servers:,}", f"{made.servers_in_a_year:,}")
    table.add_row("all", *[""] * 3, figure(made.cores), *[""] * 5, *totals)
    return _titled(
        f"{demand.people:,.0f} people, {demand.daily:,.0f} on a day, {demand.uploads_per_day:,.0f} photographs "
        f"and {demand.likes_per_day:,.0f} likes a day",
        table,
    )


def _engine(one: Servers) -> Sequence[str]:
    figures = (one.mean_a_second, one.peak_a_second, one.cores, one.memory_gb, one.storage_tb)
    return (
        one.engine,
        one.does,
        *map(figure, (*figures, one.storage_in_a_year_tb, one.network_gbit)),
        one.shape,
        f"{one.servers:,}",
        f"{one.servers_in_a_year:,}",
        one.binds,
    )


def _shapes(shapes: Iterable[Shape]) -> str:
    return "Servers: " + "; ".join(map(_shape, shapes)) + "."


def _shape(one: Shape) -> str:
    disks = f" on {one.disks} disks" if one.disks else ""
    stored = f", {one.disk_tb:g} TB{disks}" if one.disk_tb else ""
    return f"{one.name} {one.cores:g} cores, {one.memory_gb:g} GB{stored}, {one.network_gbit:g} Gbit/s"


def _simulated(made: Report) -> Group:
    outcomes, graph = made.fan_out.simulated, made.graph
    first = outcomes[0]
    table = _table("|", *(_name(one, made.asked.pulled_from) for one in outcomes))
    for title, cell in _MEASURES:
        table.add_row(title, *map(cell, outcomes))
    return _titled(
        f"Fan-out, simulated: {first.posts:,} posts in {duration(first.seconds)} at the peak of "
        f"{graph.accounts:,.0f} accounts, {first.workers} workers; the largest, with {graph.top:,.0f} followers, posts once",
        table,
    )


_MEASURES: tuple[tuple[str, Callable[[Outcome], str]], ...] = (
    ("entries written a second, mean", lambda one: figure(one.entries_a_second)),
    ("in the busiest second, with the largest account's", lambda one: figure(one.entries_peak)),
    ("lists merged into a page", lambda one: figure(one.lists_a_page)),
    ("a page, app CPU", lambda one: duration(one.page_app_s)),
    ("a page, PostgreSQL CPU", lambda one: duration(one.page_postgres_s)),
    ("cores for writing and merging", lambda one: figure(one.cores)),
    ("post to visible, followers of all but the largest, p50", lambda one: duration(one.visible_p50_s)),
    ("post to visible, the same, p99", lambda one: duration(one.visible_p99_s)),
    ("post to visible, followers of the largest, p50", lambda one: duration(one.top_p50_s)),
    ("post to visible, the last follower of the largest", lambda one: duration(one.top_last_s)),
    ("workers are busy", lambda one: f"{one.busy:.0%}"),
    ("jobs that waited at once", lambda one: figure(one.backlog)),
)


def _name(one: Outcome, pulled_from: float) -> str:
    return f"hybrid, {pulled_from:,.0f}" if one.strategy == "hybrid" else one.strategy


def _sweep(made: Report) -> Group:
    table = _table(
        "pulled from", "entries/s", "lists a page", "page, app CPU", "page, PostgreSQL CPU", "cores"
    )
    _add_columns(table, "last follower of the largest who is pushed")
    for one in made.fan_out.sweep:
        table.add_row(*_threshold(one, made.graph.top))
    return _titled("The threshold, by formulas: whoever has more followers is pulled", table)


def _threshold(one: Sums, top: float) -> Sequence[str]:
    name = {0: "0 (pull)", top: f"{top:,.0f} (push)"}.get(one.pulled_from, f"{one.pulled_from:,.0f}")
    return (
        name,
        figure(one.entries_a_second),
        figure(one.lists_a_page),
        duration(one.page_app_s),
        duration(one.page_postgres_s),
        figure(one.cores),
        duration(one.largest_s),
    )


def _measured(made: Report) -> Group:
    table = _table("bench|", "row|", "value", "unit|", "on|", "machine|")
    for one in made.measured.values():
        row = one.figure
        table.add_row(row.bench, row.row, exact(one.value), row.unit, one.on.isoformat(), one.machine)
    return _titled("Measured by `calotype bench`", table)


def _assumptions(made: Report) -> Group:
    table = _table("name|", "value", "unit|", "source|")
    for one in made.assumptions:
        value = "measured" if one.value is None else exact(one.value)
        table.add_row(one.name, value, one.unit, one.source if one.default else "said on the command line")
    return _titled("Assumed (`--assume NAME=VALUE`)", table)


def _titled(title: str, table: Table) -> Group:
    """A title of the table itself would be broken to its width."""
    return Group(Text(title, style="italic"), table)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    _add_columns(table, *headings)
    return table


def _add_columns(table: Table, *headings: str) -> None:
    """`name|`: of words, which begin at the left and are not broken."""
    for heading in headings:
        words = heading.endswith("|")
        table.add_column(heading.rstrip("|"), justify="left" if words else "right", no_wrap=words)


def figure(value: float) -> str:
    """Three digits that count, or all before the point."""
    if value < LEAST:
        return f"<{LEAST}" if value else NONE
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def exact(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:g}"


def duration(seconds: float) -> str:
    """As a person says it: 1.4 ms, 24 s, 17 min."""
    if seconds <= 0:
        return NONE
    for unit, size, least in (("min", 60.0, 120.0), ("s", 1.0, 1.0), ("ms", 1e-3, 1e-3)):
        if seconds >= least:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
