"""The benches that start a whole site of their own run to their end and print what they shall."""

from __future__ import annotations

from pathlib import Path

import pytest

from calotype.cli.test_engines import chromium
from tests.benchmarks.trial import bench

pytestmark = pytest.mark.bench


@pytest.mark.memcached
def test_2011(data: Path) -> None:
    made = bench("2011", data)
    rows = {row.name: row for row in made.rows}
    for action in ("photo", "like", "feed page", "comment"):
        assert rows[f"{action}, p99"].value >= rows[f"{action}, p50"].value >= 0
        assert rows[f"{action}, p99"].limit == 2000
    assert rows["feed page, answered"].value > 0
    assert rows["failed"].value == 0
    assert all(rows[f"CPU, {name}"].value > 0 for name in ("web server", "PostgreSQL", "generator"))
    assert sum(name.startswith("saturates first: ") for name in rows) == 1
    assert not (data / "2011").exists()


@pytest.mark.skipif(chromium() is None, reason="needs Chromium")
def test_pages(data: Path) -> None:
    rows = {row.name: row for row in bench("pages", data).rows}
    limits = {name: (row.limit, row.unit) for name, row in rows.items() if row.limit is not None}
    assert limits == {
        "feed, first load, largest contentful paint": (2500, "ms"),
        "feed, first load, cumulative layout shift": (0.02, ""),
        "feed, first load, total blocking time": (150, "ms"),
        "feed, first load, before images": (120, "kB"),
        "feed, first load, JavaScript": (40, "kB"),
        "like to the frame that shows it": (50, "ms"),
        "scroll, longest task": (100, "ms"),
    }
    assert all(rows[name].baseline == "server-rendered" for name in limits)
    scripts = rows["feed, first load, JavaScript"]
    assert scripts.value > 0
    assert scripts.baseline_value == 0
    assert rows["feed, first load, largest contentful paint"].value > 150, "a round trip at the least"
    assert rows["posts scrolled"].value >= 30
    for coding in ("zstd", "gzip"):
        assert rows[f"feed page, {coding}, CPU"].value > 0
        assert 0 < (rows[f"feed page, {coding}, size"].ratio or 1) < 0.5
    assert not (data / "pages").exists()
