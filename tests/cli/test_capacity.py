"""Capacity on paper: the fleet against sums by hand, what goes into it, the command."""

from __future__ import annotations

import json
import subprocess
import sys
from math import inf
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from calotype.cli.capacity import costs as costs_module
from calotype.cli.capacity.assumptions import Assumptions, CapacityInvalid, Demand, assumed, check, stated
from calotype.cli.capacity.command import capacity
from calotype.cli.capacity.costs import FIGURES, MEASURED, Costs, costs, measured
from calotype.cli.capacity.degrees import mean
from calotype.cli.capacity.fleet import fleet, miss_s
from calotype.cli.capacity.loads import FOLLOWERS_AT_ONCE, PAGES_A_RUN, loads
from calotype.config.site import Feed
from tests import django_site
from tests.cli.capacity_defaults import PULLED_FROM, default_fleet, default_world, figures

ROOT = Path(__file__).parents[2]


def times(demand: Demand, factor: float) -> Demand:
    return Demand(
        people=demand.people * factor,
        daily=demand.daily * factor,
        uploads_per_day=demand.uploads_per_day * factor,
        likes_per_day=demand.likes_per_day * factor,
    )


# The fleet


@given(
    st.builds(
        lambda people, daily, uploads, likes: Demand(
            people=people,
            daily=people * daily,
            uploads_per_day=people * uploads,
            likes_per_day=people * likes,
        ),
        st.floats(1, 1e9),
        st.floats(0, 1),
        st.floats(0, 5),
        st.floats(0, 50),
    ),
    st.floats(1, 100),
)
def test_a_larger_site_never_needs_less(demand: Demand, factor: float) -> None:
    small, large = default_fleet(demand), default_fleet(times(demand, factor))
    for less, more in zip(small.engines, large.engines, strict=True):
        assert more.cores >= less.cores * (1 - 1e-9), more.engine
        assert more.servers >= less.servers, more.engine
        assert more.storage_tb >= less.storage_tb * (1 - 1e-9), more.engine


def test_twice_the_load_is_twice_the_cores() -> None:
    once, twice = default_fleet(Demand()), default_fleet(times(Demand(), 2))
    assert twice.cores == pytest.approx(2 * once.cores, rel=1e-3)
    assert twice.servers == pytest.approx(2 * once.servers, rel=0.01)


def test_web_cores_are_those_that_one_counts_by_hand() -> None:
    demand = Demand(people=86_400, daily=86_400, uploads_per_day=0, likes_per_day=0)
    assumptions = msgspec.structs.replace(Assumptions(), feed_pages=7, other_pages=0, follows=0)
    needed = default_fleet(demand, assumptions, pulled_from=inf)["web workers"]
    assert needed.mean_a_second == pytest.approx(7)
    assert needed.cores == pytest.approx(7 * figures().feed_page_app_s * 2 / 0.5)


def test_a_feed_page_pays_for_the_lists_that_are_merged_into_it() -> None:
    pushed, pulled = (default_fleet(Demand(), pulled_from=limit) for limit in (inf, 0.0))
    pages = Demand().daily * Assumptions().feed_pages / 86_400
    lists = pages * mean(default_world().law)
    more = pulled["web workers"].cores - pushed["web workers"].cores
    assert more == pytest.approx(lists * figures().list_read_app_s * 2 / 0.5)
    assert pulled["memcached"].mean_a_second - pushed["memcached"].mean_a_second == pytest.approx(lists)
    assert pulled["PostgreSQL media"].cores > pushed["PostgreSQL media"].cores


def test_a_cache_that_finds_nothing_leaves_every_read_to_postgresql() -> None:
    demand = Demand(people=86_400, daily=86_400, uploads_per_day=0, likes_per_day=0)
    assumptions = msgspec.structs.replace(Assumptions(), feed_pages=1, other_pages=0, follows=0, hit_rate=0)
    needed = default_fleet(demand, assumptions)["PostgreSQL comments"]
    assert needed.mean_a_second == pytest.approx(60)
    assert needed.cores == pytest.approx(60 * miss_s(figures()) * 2 / 0.5)


def test_a_small_site_is_bound_by_copies_alone() -> None:
    needed = default_fleet(Demand(people=100, daily=50, uploads_per_day=20, likes_per_day=500))
    assert {one.binds for one in needed.engines} == {"copies"}
    assert needed["broker"].servers == 6
    assert needed["web workers"].servers == 2


def test_what_is_kept_for_ever_grows_by_a_year_and_what_is_capped_does_not() -> None:
    needed = default_fleet(Demand())
    assert needed["blobs"].servers_in_a_year > needed["blobs"].servers
    assert needed["timelines, PostgreSQL"].servers_in_a_year == needed["timelines, PostgreSQL"].servers


def test_cassandra_takes_the_place_of_the_timelines_in_postgresql() -> None:
    assumptions = Assumptions()
    done = loads(Demand(), assumptions, default_world().law, PULLED_FROM)
    names = [one.engine for one in fleet(Demand(), assumptions, figures(), done, "cassandra").engines]
    assert "timelines, Cassandra" in names
    assert "timelines, PostgreSQL" not in names


def test_what_is_not_pushed_is_not_written() -> None:
    law = default_world().law
    none, all_of_it = (loads(Demand(), Assumptions(), law, limit) for limit in (0, law.top))
    assert all_of_it.entries - none.entries == pytest.approx(all_of_it.posts * mean(law))


# Costs and assumptions


def test_every_measured_figure_is_a_row_of_a_stored_report() -> None:
    assert FIGURES.keys() == set(Costs.__struct_fields__)
    for figure in FIGURES.values():
        report = json.loads((MEASURED / f"{figure.bench}.json").read_text())
        assert report["bench"] == figure.bench
        assert (figure.row, figure.unit) in {(row["name"], row["unit"]) for row in report["rows"]}


def test_a_report_of_ones_own_takes_the_place_of_the_stored_one_row_by_row(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    row = {"name": "home feed, app CPU", "value": 3.5, "unit": "ms/page"}
    own.write_text(json.dumps({"bench": "feed", "machine": {"processor": "mine", "cores": 4}, "rows": [row]}))
    found = measured([own])
    assert costs(found).feed_page_app_s == pytest.approx(0.0035)
    assert found["feed_page_app_s"].machine == "4 cores, mine"
    assert found["feed_page_postgres_s"] == measured()["feed_page_postgres_s"]


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        '{"bench": "feed"}',
        '{"bench": "ids", "machine": {"processor": "", "cores": 1}, "rows": []}',
        '{"bench": "feed", "machine": {"processor": "", "cores": 1}, "rows": [{"name": "", "unit": "", "value": -1}]}',
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(costs_module.ReportUnreadable, match=r"report\.json"):
        measured([tmp_path / "report.json"])


def test_a_report_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(costs_module.ReportUnreadable, match="No such file"):
        measured([tmp_path / "absent.json"])


def test_every_assumption_has_a_source() -> None:
    known = list(stated(Assumptions()))
    assert [one.name for one in known] == list(Assumptions.__struct_fields__)
    assert all(one.source and one.default for one in known)


def test_assumptions_are_those_of_the_product() -> None:
    django_site.set_up()
    from calotype.product.feed import actions

    assert (FOLLOWERS_AT_ONCE, PAGES_A_RUN) == (actions.FOLLOWERS_AT_ONCE, actions.PAGES_A_RUN)
    assert Assumptions().timeline_entries == Feed().kept
    assert Feed().pulled_from == PULLED_FROM


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("speed=2", "there is no assumption 'speed'; there are peak_to_mean,"),
        ("core_speed", "core_speed must be a number, not ''"),
        ("core_speed=fast", "core_speed must be a number, not 'fast'"),
        ("core_speed=nan", "core_speed must be a number, not 'nan'"),
        ("core_speed=0", ">= 1e-06"),
        ("utilisation=1.5", "<= 1"),
        ("regions=1.5", "regions"),
    ],
)
def test_an_assumption_that_cannot_be_is_refused_in_words(said: str, words: str) -> None:
    with pytest.raises(CapacityInvalid, match=words.replace("(", r"\(")):
        assumed([said])


def test_an_assumption_that_is_said_is_marked() -> None:
    (changed,) = [one for one in stated(assumed(["core_speed=1.5"])) if not one.default]
    assert (changed.name, changed.value) == ("core_speed", 1.5)


# The command


def run(*arguments: str) -> Result:
    return CliRunner().invoke(capacity, arguments)


def test_the_json_has_the_numbers_of_the_table() -> None:
    said = run("--json", "--posts", "500", "--people", "10e6", "--daily", "4e6")
    assert said.exit_code == 0, said.output
    made = json.loads(said.stdout)
    shown = run("--posts", "500", "--people", "10e6", "--daily", "4e6").stdout
    assert made["demand"]["people"] == 10e6
    assert made["servers"] == sum(one["servers"] for one in made["engines"])
    for one in made["engines"]:
        (line,) = [line for line in shown.splitlines() if line.startswith(f"{one['engine']}  ")]
        assert f"{one['servers']:,}" in line.split()
    assert [one["strategy"] for one in made["fan_out"]["simulated"]] == ["push", "pull", "hybrid"]
    assert {one["name"] for one in made["assumptions"]} == set(Assumptions.__struct_fields__)
    assert made["measured"].keys() == FIGURES.keys()


def test_without_the_simulation_the_fleet_is_the_same() -> None:
    made = json.loads(run("--json", "--no-simulation").stdout)
    assert made["fan_out"]["simulated"] == []
    assert made["servers"] == default_fleet(Demand()).servers


@pytest.mark.parametrize("arguments", [("--people", "1", "--daily", "1"), ("--uploads-per-day", "0")])
def test_a_site_with_next_to_nothing_is_counted_too(arguments: tuple[str, ...]) -> None:
    said = run("--posts", "100", "--likes-per-day", "0", *arguments)
    assert said.exit_code == 0, said.output
    assert "web workers" in said.stdout


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "many", "1e999"])
def test_what_is_no_amount_is_refused(value: str) -> None:
    said = run("--people", value)
    assert said.exit_code == 2
    assert f"{value} is not a number from 0 to 1e+15" in said.stderr


def test_a_simulation_that_would_take_minutes_is_refused() -> None:
    said = run("--people", "1e12", "--assume", "top_followers=1e12")
    assert isinstance(said.exception, CapacityInvalid)
    assert "1,000,006,000,000 entries" in str(said.exception)


@pytest.mark.parametrize("name", ["people", "uploads-per-day", "likes-per-day", "pulled-from"])
def test_the_largest_amounts_give_numbers(name: str) -> None:
    said = run("--json", "--posts", "100", f"--{name}", "1e15")
    assert said.exit_code == 0, said.output
    assert "null" not in said.stdout.replace('"value": null', "")


def test_more_people_on_a_day_than_there_are_is_a_sentence() -> None:
    with pytest.raises(CapacityInvalid, match="700 people cannot come on a day: 600 are registered"):
        check(Demand(people=600, daily=700))
    with pytest.raises(CapacityInvalid, match="at least one person"):
        check(Demand(people=0, daily=0))


def test_an_error_is_one_sentence_on_standard_error() -> None:
    command = [sys.executable, "-P", "-m", "calotype.cli", "capacity", "--people", "1e3", "--daily", "2e3"]
    said = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False
    )
    assert said.returncode == 1
    assert said.stderr == "calotype: 2,000 people cannot come on a day: 1,000 are registered\n"
