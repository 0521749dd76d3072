"""Each bench runs to its end on a tenth of its data and prints what it shall."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.requirements import missing
from tests.benchmarks.trial import bench

pytestmark = pytest.mark.bench

BASELINES = not missing()


def test_ids(data: Path) -> None:
    made = bench("ids", data)
    assert made.bench == "ids"
    assert {row.baseline for row in made.rows} == {"sequence"}
    assert all(row.value > 0 for row in made.rows if "wall" in row.name)


@pytest.mark.skipif(not BASELINES, reason="needs requirements-bench.lock and memcached")
def test_graph(data: Path) -> None:
    made = bench("graph", data)
    mixes = [row for row in made.rows if "mix" in row.name]
    operations = [row for row in made.rows if row not in mixes]
    assert {row.name.split(",")[0] for row in operations} == {
        "obj_get",
        "assoc_range(20)",
        "assoc_count",
        "assoc_add",
    }
    assert {row.baseline for row in operations} == {"asyncpg", "orm", "orm, async"}
    targets = {row.name: row.target for row in operations if row.target is not None}
    assert set(targets.values()) == {1.5}
    assert all(name.startswith("obj_get") for name in targets)
    assert {row.name.split(",")[0] for row in mixes} == {"TAO's mix", "LinkBench's mix"}
    assert {"calotype without a cache", "orm+memcached"} <= {row.baseline for row in mixes}
    (missed,) = [row for row in mixes if row.limit is not None]
    assert missed.limit == pytest.approx(3.6)
    assert missed.unit == "% of reads"


def test_fanout(data: Path) -> None:
    made = bench("fanout", data)
    assert {row.baseline for row in made.rows} == {"asyncpg"}
    with_target = [row.name.split(" to ")[0] for row in made.rows if row.target is not None]
    assert with_target == ["push", "fan-out"]
    assert all(row.value > 0 for row in made.rows if "wall" in row.name)


@pytest.mark.cassandra
@pytest.mark.skipif(not BASELINES, reason="needs requirements-bench.lock and memcached")
def test_timelines(data: Path) -> None:
    made = bench("timelines", data)
    by_engine = {(row.name.split(",")[0], row.baseline) for row in made.rows if "CPU" in row.name}
    assert {("Cassandra", "acsylla"), ("PostgreSQL", "asyncpg")} <= by_engine
    grown = [row for row in made.rows if row.name.startswith("the same page")]
    assert [(row.baseline, row.target) for row in grown] == [("who follows 5", 1.3)] * 2
    pages = [row for row in made.rows if row.baseline == "drf"]
    assert len(pages) == 6


def test_counters(data: Path) -> None:
    made = bench("counters", data)
    assert {row.baseline for row in made.rows} == {"spread", "row update", "one a transaction"}
    with_target = [row.name for row in made.rows if row.target is not None]
    assert with_target == ["one photo, 1 process, wall", "one photo, 2 processes, wall"]
    (of_list,) = [row for row in made.rows if row.limit is not None]
    assert of_list.name == "inverses of one list, 64 a transaction, wall"
    crowd = {row.baseline: row for row in made.rows if "1 process, transactions" in row.name}
    assert crowd["spread"].baseline_value == 1
    assert crowd["spread"].value < 0.5


def test_jobs(data: Path) -> None:
    made = bench("jobs", data)
    assert {row.baseline for row in made.rows} == {"celery"}
    brokers = [row.name.split(",")[0] for row in made.rows]
    assert brokers[:6] == ["pgmq"] * 6
    assert all(row.value > 0 for row in made.rows)


@pytest.mark.skipif(not BASELINES, reason="needs requirements-bench.lock and memcached")
def test_profiler(data: Path) -> None:
    made = bench("profiler", data)
    by_name = {(row.name, row.baseline): row for row in made.rows}
    assert by_name["page, calotype by CPU", "yappi by CPU"].target == 1
    assert by_name["page, calotype by CPU", "cProfile by CPU"].target == 1
    assert {"bare", "cProfile", "yappi", "pyinstrument", "signal timer"} <= {
        row.baseline for row in made.rows
    }
    bounded = {row.name: row.limit for row in made.rows if row.limit is not None}
    assert bounded["page, error of calotype by CPU"] == bounded["request of 10 steps, error"] == 20
    assert by_name["functions of one page that are seen", "cProfile"].value > 50
    assert all(row.value > 0 for row in made.rows if row.unit == "ms")


def test_upload(data: Path) -> None:
    made = bench("upload", data)
    by_name = {(row.name, row.baseline): row for row in made.rows}
    assert by_name["POST /new/, server CPU", "pillow"].target == 1.1
    assert by_name["process, CPU", "pillow"].met is not None


@pytest.mark.memcached
def test_invalidation(data: Path) -> None:
    made = bench("invalidation", data)
    assert {row.baseline for row in made.rows} == {"bare stream"}
    bounded = [row for row in made.rows if row.limit is not None]
    assert [row.name for row in bounded] == [
        "commit to deleted in the other region, 1,000 commits/s, p99",
        "commit to covered by the position, 1,000 commits/s, p99",
    ]
    assert {(row.limit, row.unit) for row in bounded} == {(100, "ms")}
    assert all(row.value > 0 for row in made.rows)


@pytest.mark.skipif(not BASELINES, reason="needs requirements-bench.lock and memcached")
def test_cache(data: Path) -> None:
    made = bench("cache", data)
    assert {row.baseline for row in made.rows} == {
        "pylibmc",
        "emcache",
        "aiomcache",
        "pymemcache",
        "get_many",
    }
    targets = {row.target for row in made.rows if row.baseline in ("emcache", "aiomcache")}
    assert targets == {None, 0.8}
    assert {row.target for row in made.rows if row.name.startswith("obj_get")} == {1.5}


@pytest.mark.skipif(not BASELINES, reason="needs requirements-bench.lock and memcached")
def test_feed(data: Path) -> None:
    made = bench("feed", data)
    figures = {(row.name, row.baseline): row for row in made.rows}
    assert {baseline for _, baseline in figures} == {"drf", "tuned", "tuned+memcached"}
    assert figures["home feed, app CPU", "drf"].target == 0.1
    assert figures["home feed, app CPU", "tuned+memcached"].target == 0.25
    queries = {row.baseline: row for row in made.rows if row.name == "home feed, database queries"}
    assert {name: row.baseline_value for name, row in queries.items()} == {
        "drf": 4,
        "tuned": 2,
        "tuned+memcached": 1,
    }
    assert all(row.value <= 2 for row in queries.values())


@pytest.mark.memcached
def test_site(data: Path) -> None:
    made = bench("site", data)
    rows = {row.name: row for row in made.rows}
    assert {row.baseline for row in made.rows} == {"published", None}
    bounded = {name: row.limit for name, row in rows.items() if row.limit is not None}
    assert set(bounded) == {"mix app", "mix engines"}
    share = rows["mix, share of the published one that has a route"].value
    assert (share == 100) == (made.versions["pages left out"] == "none")
    for name in ("own posts", "home feed", "notifications", "read markers"):
        assert rows[f"{name}, app CPU"].value > 0
        assert rows[f"{name}, wall p50"].value > 0
        assert rows[f"{name}, size"].value > 50


@pytest.mark.memcached
def test_patches(data: Path) -> None:
    made = bench("patches", data)
    garbage = {row.name: row for row in made.rows if "garbage" in row.name}
    costs = {row.name: row for row in made.rows if row.baseline == "django" and row.name not in garbage}
    assert all(row.value > 0 for row in costs.values())
    for page, least in (("feed as JSON", 10), ("feed as a page", 100)):
        objects = garbage[f"{page}, objects that are garbage"]
        assert objects.value < 1
        assert (objects.baseline_value or 0) > least
        assert f"{page}, collecting garbage, CPU" in garbage
    from calotype.web.patches import PATCHES

    for page in ("feed as JSON", "feed as a page"):
        assert {f"{page}, {patch.name}, CPU" for patch in PATCHES} < set(costs)
        assert f"{page}, all, CPU" in costs
    claimed = [row.name.split(", ")[1] for row in costs.values() if row.target == 0.99]
    assert sorted(claimed) == sorted([patch.name for patch in PATCHES] + ["static files", "locale"])
    memory = [row for row in made.rows if row.unit == "MB"]
    assert {row.baseline for row in memory} == {"granian", "preloaded"}
    shared = next(row for row in memory if row.target == 0.75)
    assert 0 < shared.value < (shared.baseline_value or 0)


@pytest.mark.skipif(not BASELINES, reason="needs requirements-bench.lock and memcached")
def test_meter(data: Path) -> None:
    made = bench("meter", data)
    pages = {row.name: row for row in made.rows if row.unit == "us/request"}
    assert set(pages) == {
        f"{page}, {way}, CPU"
        for page in ("feed page", "feed page as JSON", "empty page")
        for way in ("without, again", "metered")
    }
    assert {name: row.target for name, row in pages.items() if row.target is not None} == {
        "feed page, metered, CPU": 1.03,
        "feed page as JSON, metered, CPU": 1.03,
    }
    steps = [row for row in made.rows if row.name.startswith("a metered step")]
    assert "a metered step, thread-cpu" in {row.name for row in steps}
    assert all(row.value > (row.baseline_value or 0) > 0 for row in steps)
    errors = {(row.name, row.baseline): row for row in made.rows if "attribution error" in row.name}
    assert {baseline for _, baseline in errors} == {"process delta", "yappi"}
    of_fifty = errors["attribution error, 50 at once, median", "process delta"]
    assert of_fifty.value < 20
    assert (of_fifty.baseline_value or 0) > 1_000, "a delta of the process has all that others burn"


@pytest.mark.memcached
@pytest.mark.skipif(not BASELINES, reason="needs requirements-bench.lock and memcached")
def test_dynostats(data: Path) -> None:
    made = bench("dynostats", data)
    rows = {row.name: row for row in made.rows}
    for sampling in ("every request", "1 in 10", "1 in 100", "1 in 100, others not metered"):
        assert rows[f"feed page, {sampling}, CPU"].value > 0
        assert rows[f"empty page, {sampling}, CPU"].value > 0
    assert rows["feed page, 1 in 100, others not metered, CPU"].target == 1.005
    tools = ("dynostats", "django-silk", "opentelemetry", "sentry-sdk", "django-prometheus")
    for page in ("tuned feed page", "empty view"):
        assert all(rows[f"{page}, {tool}, CPU"].value > 0 for tool in tools)
    (told,) = [row for name, row in rows.items() if name.startswith("smallest change told apart")]
    assert (told.limit, told.unit) == (1, "%")
    assert [
        rows[f"a change of {percent}%, difference found"].baseline_value for percent in ("0.5", "1", "2")
    ] == [
        0.5,
        1,
        2,
    ]
