"""`up` with memcached and with a second region: real PostgreSQL, standbys and memcached; see `stand_in` for the rest."""

from __future__ import annotations

import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from calotype.cli import state
from calotype.cli.process import alive, marked, send
from calotype.config.site import Region, read, save
from tests.cli.command_line import CommandLine, eventually, path_without_memcached

pytestmark = pytest.mark.memcached

LOGS = ("pg-1", "pg-2", "sessions")
WORKERS = ("worker-interactive", "worker-bulk")
ONE_REGION = ["pg-1", "pg-2", "memcached", "relay", *(f"invalidator-{log}" for log in LOGS), "web", *WORKERS]
TWO_REGIONS = [
    *("pg-1", "pg-2", "memcached", "memcached-b", "pg-1-b", "pg-2-b", "relay"),
    *(f"invalidator-{log}" for log in LOGS),
    *(f"invalidator-{log}-b" for log in LOGS),
    *("web", "web-b"),
    *WORKERS,
]


@pytest.fixture(scope="module")
def initialised() -> Iterator[Path]:
    """A site of one region that was started once, without a cache, and is down."""
    with tempfile.TemporaryDirectory(prefix="calotype regions ") as directory:
        command = CommandLine(Path(directory) / "data")
        first = command.up("--no-demo")
        assert first.returncode == 0, first.stdout + first.stderr
        assert command("down").returncode == 0
        yield command.places.data


@pytest.fixture
def site(initialised: Path) -> Iterator[CommandLine]:
    command = CommandLine(initialised, memcached=True)
    yield command
    assert command("down").returncode == 0
    assert marked(initialised) == []


@pytest.fixture
def two(site: CommandLine) -> CommandLine:
    """The site, running in two regions."""
    up = site.up("--regions", "2")
    assert up.returncode == 0, up.stdout + up.stderr
    return site


def children(site: CommandLine) -> list[str]:
    return [child.name for child in site.state().children]


def answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(address)
        connection.sendall(b"mn\r\n")
        return connection.recv(16) == b"MN\r\n"


def value(dsn: str, statement: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return None if row is None else row[0]


def test_a_memcached_that_is_found_is_used_from_the_next_start_on(site: CommandLine) -> None:
    assert read(site.places.data).regions["a"].memcached == ()
    assert site.up().returncode == 0
    assert children(site) == ONE_REGION
    (address,) = read(site.places.data).regions["a"].memcached
    assert answers(address)
    assert f"cache       {address}" in site("status").stdout
    eventually(lambda: "following pg-1 in region a" in site.places.log("invalidator-pg-1").read_text())
    assert site("down").returncode == 0

    up = site.up(PATH=path_without_memcached())
    assert up.returncode == 0
    assert "pages come without a cache" in up.stdout
    assert children(site) == ["pg-1", "pg-2", "relay", "web", *WORKERS]
    assert read(site.places.data).regions["a"].memcached == ()


def test_the_slots_of_a_region_without_a_cache_hold_back_no_log(site: CommandLine) -> None:
    assert site.up().returncode == 0
    sessions = read(site.places.data).databases["sessions"]
    for name in ("calotype_a_m4x", "calotype_b_m4x"):
        value(sessions, f"select pg_create_logical_replication_slot('{name}', 'pgoutput')")
    assert site("down").returncode == 0
    assert site.up(PATH=path_without_memcached()).returncode == 0
    assert value(sessions, "select string_agg(slot_name, ',') from pg_replication_slots") == "calotype_b_m4x"
    value(sessions, "select pg_drop_replication_slot('calotype_b_m4x')")


def test_addresses_written_by_hand_stay_and_no_memcached_is_started(site: CommandLine) -> None:
    written = read(site.places.data)
    regions = {"a": Region(memcached=("cache1:11211", "cache2:11211"))}
    by_hand = msgspec.structs.replace(written, embedded_memcached=False, regions=regions)
    save(site.places.data, by_hand)
    assert site.up().returncode == 0
    assert read(site.places.data) == by_hand
    assert children(site) == [name for name in ONE_REGION if name != "memcached"]
    save(site.places.data, written)


def test_a_second_region_has_servers_of_its_own_and_is_kept(two: CommandLine) -> None:
    assert children(two) == TWO_REGIONS
    made = read(two.places.data)
    assert list(made.regions) == ["a", "b"]
    assert made.regions["a"].standbys == {}
    assert set(made.regions["b"].standbys) == set(LOGS)
    assert made.regions["a"].memcached != made.regions["b"].memcached
    for region in made.regions.values():
        assert all(map(answers, region.memcached))
    for log, dsn in made.regions["b"].standbys.items():
        assert value(dsn, "select pg_is_in_recovery()") is True, log
    eventually(
        lambda: "following sessions in region b" in two.places.log("invalidator-sessions-b").read_text()
    )

    said = two.status()
    assert said["url"] == f"http://127.0.0.1:{two.port}"
    healthy = {"ok": True, "status": 200, "detail": {"ok": True}}
    assert said["regions"] == [
        {"name": name, "url": url, "memcached": list(made.regions[name].memcached), "health": healthy}
        for name, url in (("a", said["url"]), ("b", f"http://127.0.0.1:{two.port + 1}"))
    ]
    assert f"region b at http://127.0.0.1:{two.port + 1}" in two.up().stdout
    assert two("down").returncode == 0
    again = two.up()
    assert f"region b is at http://127.0.0.1:{two.port + 1}\n" in again.stdout
    assert children(two) == TWO_REGIONS


def test_what_is_written_in_the_first_region_arrives_in_the_second(two: CommandLine) -> None:
    made = read(two.places.data)
    with psycopg.connect(made.databases["sessions"], autocommit=True) as connection:
        connection.execute("create table if not exists seen as select 7 as n")
    eventually(lambda: value(made.regions["b"].standbys["sessions"], "select to_regclass('seen')") == "seen")
    assert value(made.regions["b"].standbys["sessions"], "select n from seen") == 7


def test_all_of_it_stops_in_order(site: CommandLine) -> None:
    with site.foreground("--regions", "2") as running:
        eventually(lambda: state.supervisor(site.places) is not None and site.state().phase == "running", 60)
        started = [child.process for child in site.state().children]
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    stopped = [line for line in said.splitlines() if line.startswith("stopping ")]
    assert [line.split(" ...")[0].split(" (")[0].removeprefix("stopping ") for line in stopped] == [
        "worker-interactive, worker-bulk",
        "web, web-b",
        "relay, " + ", ".join(f"invalidator-{log}{suffix}" for suffix in ("", "-b") for log in LOGS),
        "pg-1-b, pg-2-b",
        "memcached, memcached-b",
        "pg-1, pg-2",
    ]
    assert not any(child is not None and alive(child) for child in started)
    assert "database system is shut down" in site.places.log("pg-1-b").read_text()


def test_going_back_to_one_region_leaves_nothing_of_the_second(two: CommandLine) -> None:
    servers = read(two.places.data).servers
    slots = "select count(*) from pg_replication_slots where slot_type = 'physical'"
    assert value(servers["pg-1"], slots) == 1
    assert two("down").returncode == 0
    assert two.up("--regions", "1").returncode == 0
    assert children(two) == ONE_REGION
    assert list(read(two.places.data).regions) == ["a"]
    assert value(servers["pg-1"], slots) == value(servers["pg-2"], slots) == 0
    assert not two.places.cluster("pg-1-b").exists()
    assert two("down").returncode == 0
    assert two.up().returncode == 0
    assert children(two) == ONE_REGION


def test_a_taken_port_of_the_second_region_is_refused_before_anything_starts(site: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", site.port + 1)):
        refused = site.up("--regions", "2")
    assert refused.returncode == 1
    assert f"port {site.port + 1} on 127.0.0.1, of region b, is taken" in refused.stdout
    assert "--port" in refused.stdout
    assert "[regions.b]" in refused.stdout
    assert state.supervisor(site.places) is None


def test_a_second_region_of_servers_of_ones_own_is_refused(tmp_path: Path) -> None:
    command = CommandLine(tmp_path / "own")
    refused = command.up("--postgres", "postgresql://nobody@127.0.0.1:1/", "--regions", "2")
    assert refused.returncode == 1
    assert "--regions 2 makes standbys of the embedded PostgreSQL" in refused.stdout
    assert not (command.places.data / "calotype.toml").exists()


def test_both_regions_follow_a_data_directory_that_was_moved(two: CommandLine, initialised: Path) -> None:
    assert two("down").returncode == 0
    moved = CommandLine(initialised.with_name("moved, and it's a long name " + "x" * 80), memcached=True)
    initialised.rename(moved.places.data)
    try:
        up = moved.up()
        assert up.returncode == 0, up.stdout + up.stderr
        made = read(moved.places.data)
        for region in made.regions.values():
            assert all(map(answers, region.memcached))
        for log, dsn in made.regions["b"].standbys.items():
            assert value(dsn, "select pg_is_in_recovery()") is True, log
        eventually(
            lambda: value(made.regions["b"].standbys["pg-1"], "select status from pg_stat_wal_receiver")
            == "streaming"
        )
        assert moved("down").returncode == 0
    finally:
        moved.places.data.rename(initialised)


@pytest.mark.fault
def test_each_crashed_process_of_either_region_is_started_again(two: CommandLine) -> None:
    crashed = {"memcached", "pg-1-b", "invalidator-pg-2-b", "web-b", "memcached-b"}
    for child in two.state().children:
        if child.name in crashed and child.process is not None:
            send(child.process, signal.SIGKILL)
    eventually(lambda: {child.name for child in two.state().children if child.restarts} == crashed, 30)
    eventually(lambda: all(child.state == "running" for child in two.state().children), 30)
    assert two("status").returncode == 0
    made = read(two.places.data)
    assert all(answers(address) for region in made.regions.values() for address in region.memcached)
    assert value(made.regions["b"].standbys["pg-1"], "select pg_is_in_recovery()") is True


@pytest.mark.fault
def test_a_standby_whose_slot_is_lost_while_it_runs_is_made_anew(two: CommandLine) -> None:
    made = read(two.places.data)
    version = two.places.cluster("pg-1-b") / "data" / "PG_VERSION"
    before = version.stat().st_ino
    # Its walsender ends when it is told to; what it reconnects to must be gone by then.
    lose = (
        "select pg_terminate_backend(active_pid, 1000) from pg_replication_slots where active;"
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active"
    )

    def lost() -> bool:
        with psycopg.connect(made.servers["pg-1"], autocommit=True) as connection:
            connection.execute(lose)
            return connection.execute("select 1 from pg_replication_slots").fetchone() is None

    eventually(lost)
    eventually(lambda: any(child.restarts for child in two.state().children if child.name == "pg-1-b"), 30)
    eventually(lambda: version.exists() and version.stat().st_ino != before, 30)
    eventually(lambda: all(child.state == "running" for child in two.state().children), 30)
    assert "pg-1-b can no longer do its work" in two.places.log("supervisor").read_text()


@pytest.mark.fault
def test_nothing_of_two_regions_survives_their_supervisor(two: CommandLine) -> None:
    before = two.state()
    send(before.supervisor, signal.SIGKILL)
    eventually(lambda: not any(child.process and alive(child.process) for child in before.children))
    assert two.up().returncode == 0
    assert two("status").returncode == 0
