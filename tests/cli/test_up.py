"""`up`, `status`, `logs` and `down` with real PostgreSQL clusters and no memcached; see `stand_in` for the rest."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from calotype.cli import state
from calotype.cli.process import alive, marked, send
from calotype.config.site import read
from tests.cli.command_line import CommandLine, eventually


@pytest.fixture(scope="module")
def initialised() -> Iterator[Path]:
    """A site that was started once and is down: what most tests begin with, without paying for `initdb`."""
    with tempfile.TemporaryDirectory(prefix="calotype up ") as directory:
        command = CommandLine(Path(directory) / "data")
        first = command.up()
        assert first.returncode == 0, first.stdout + first.stderr
        assert command("down").returncode == 0
        yield command.places.data


@pytest.fixture
def site(initialised: Path) -> Iterator[CommandLine]:
    command = CommandLine(initialised)
    command.places.demo.unlink(missing_ok=True)
    yield command
    assert command("down").returncode == 0
    assert marked(initialised) == []


def test_the_first_start_makes_everything_and_the_second_finds_it(tmp_path: Path) -> None:
    command = CommandLine(tmp_path / "a new site")
    begun = time.monotonic()
    first = command.up()
    assert first.returncode == 0, first.stdout + first.stderr
    assert time.monotonic() - begun < 60
    assert (
        f"Calotype is at http://127.0.0.1:{command.port}\n  sign in as jan, password contemplative\n"
        in first.stdout
    )
    assert "making the PostgreSQL clusters" in first.stdout
    assert "prepared --demo" in first.stdout
    assert "memcached is not on PATH: pages come without a cache" in first.stdout
    made = read(command.places.data)
    assert (list(made.servers), list(made.databases)) == (["pg-1", "pg-2"], ["default", "sessions"])
    for dsn in (*made.servers.values(), *made.databases.values()):
        psycopg.connect(dsn).close()
    assert (command.places.data / "calotype.toml").stat().st_mode & 0o777 == 0o600

    assert command("down").returncode == 0
    begun = time.monotonic()
    assert command.up().returncode == 0
    assert time.monotonic() - begun < 5
    assert read(command.places.data) == made
    assert command("down").returncode == 0


def test_status_tells_what_runs(site: CommandLine) -> None:
    assert site.up("--no-demo").returncode == 0
    said = site.status()
    assert said["running"] is True
    assert said["url"] == f"http://127.0.0.1:{site.port}"
    assert said["health"] == {"ok": True, "status": 200, "detail": {"ok": True}}
    children = said["children"]
    assert isinstance(children, list)
    assert [(child["name"], child["state"]) for child in children] == [
        ("pg-1", "running"),
        ("pg-2", "running"),
        ("relay", "running"),
        ("web", "running"),
        ("worker-interactive", "running"),
        ("worker-bulk", "running"),
    ]
    assert said["regions"] == [{"name": "a", "url": said["url"], "memcached": [], "health": said["health"]}]
    text = site("status")
    assert text.returncode == 0
    assert "cache       none: pages come without it" in text.stdout
    assert not site.places.demo.exists()


def test_a_second_up_says_what_runs(site: CommandLine) -> None:
    assert site.up().returncode == 0
    supervisor = site.state().supervisor
    for again in (site.up(), site("up", "--port", str(site.port))):
        assert again.returncode == 0
        assert f"already running at http://127.0.0.1:{site.port}" in again.stdout
    assert site.state().supervisor == supervisor


def test_two_starts_at_once_are_one(site: CommandLine) -> None:
    first, second = site.foreground(), site.foreground()
    eventually(lambda: first.poll() is not None or second.poll() is not None)
    eventually(lambda: site.status()["health"] == {"ok": True, "status": 200, "detail": {"ok": True}})
    assert [first.poll(), second.poll()].count(0) == 1
    assert site("down").returncode == 0
    for process in (first, second):
        assert process.wait(20) == 0
        process.communicate()


def test_ctrl_c_stops_all_of_it_in_order(site: CommandLine) -> None:
    with site.foreground() as process:
        eventually(lambda: state.supervisor(site.places) is not None and site.state().phase == "running")
        children = [child.process for child in site.state().children]
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said.index("stopping web") < said.index("stopping relay") < said.index("stopping pg-1, pg-2")
    assert not any(child is not None and alive(child) for child in children)
    assert "database system is shut down" in site.places.log("pg-1").read_text()


def test_options_of_a_later_start_hold_for_that_run_only(site: CommandLine) -> None:
    written = read(site.places.data)
    site.port += 1
    assert site.up("--workers", "3").returncode == 0
    assert f":{site.port}" in str(site.status()["url"])
    assert read(site.places.data) == written
    assert written.web.port != site.port


def test_a_taken_port_is_refused_before_anything_starts(site: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", site.port)):
        refused = site.up()
    assert refused.returncode == 1
    assert f"port {site.port} on 127.0.0.1 is taken" in refused.stdout
    assert state.supervisor(site.places) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's directory")
def test_the_data_of_another_user_is_left_alone(tmp_path: Path) -> None:
    command = CommandLine(tmp_path / "theirs")
    command.places.data.mkdir()
    os.chown(command.places.data, 65534, 65534)
    refused = command("up")
    assert refused.returncode == 1
    assert "belongs to user 65534" in refused.stderr
    assert list(command.places.data.iterdir()) == []


def test_a_failed_prepare_fails_the_start_and_leaves_nothing_running(site: CommandLine) -> None:
    failed = site.up(STAND_IN_PREPARE_STATUS="7")
    assert failed.returncode == 1
    assert "prepare ended with status 7" in failed.stdout
    assert state.supervisor(site.places) is None
    assert marked(site.places.data) == []


def test_logs_print_the_last_lines_of_one_or_of_all(site: CommandLine) -> None:
    assert site.up().returncode == 0
    assert site("logs", "relay", "--lines", "1").stdout == "relaying\n"
    everything = site("logs").stdout
    assert "pg-1       | " in everything
    unknown = site("logs", "nobody")
    assert unknown.returncode == 1
    assert (
        "there is no log of nobody; there is pg-1, pg-2, prepare, relay, supervisor, web, worker-bulk, worker-interactive"
        in unknown.stderr
    )


def test_a_data_directory_may_be_moved_while_the_site_is_down(site: CommandLine, initialised: Path) -> None:
    moved = CommandLine(initialised.with_name("moved to a place with spaces, and a long name " + "x" * 60))
    initialised.rename(moved.places.data)
    try:
        up = moved.up()
        assert up.returncode == 0, up.stdout + up.stderr
        for dsn in read(moved.places.data).databases.values():
            psycopg.connect(dsn).close()
        assert moved("down").returncode == 0
    finally:
        moved.places.data.rename(initialised)


def test_other_servers_than_those_of_the_file_are_refused(site: CommandLine) -> None:
    refused = site.up("--postgres", "postgresql://nobody@127.0.0.1:1/")
    assert refused.returncode == 1
    assert "already names the servers" in refused.stdout


def test_existing_servers_are_used_instead_of_embedded_ones(site: CommandLine, tmp_path: Path) -> None:
    assert site.up().returncode == 0
    server = read(site.places.data).servers["pg-1"].replace("/shards?", "/postgres?")
    other = CommandLine(tmp_path / "other")
    other.port = site.port + 1
    up = other.up(CALOTYPE_POSTGRES=f"{server} {server}")
    assert up.returncode == 0, up.stdout + up.stderr
    made = read(other.places.data)
    assert not made.embedded_postgres
    assert made.servers["pg-1"] != made.servers["pg-2"]
    for dsn in (*made.servers.values(), *made.databases.values()):
        psycopg.connect(dsn).close()
    assert [child.name for child in other.state().children] == [
        "relay",
        "web",
        "worker-interactive",
        "worker-bulk",
    ]
    assert other("down").returncode == 0


@pytest.mark.fault
def test_a_crashed_process_is_started_again(site: CommandLine) -> None:
    assert site.up().returncode == 0
    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    connection.request("POST", "/crash")
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()
    first = next(child for child in site.state().children if child.name == "pg-2").process
    assert first is not None
    send(first, signal.SIGKILL)
    eventually(
        lambda: {child.name: child.restarts for child in site.state().children if child.restarts}
        == {"web": 1, "pg-2": 1}
    )
    eventually(lambda: all(child.state == "running" for child in site.state().children))
    assert site("status").returncode == 0
    psycopg.connect(read(site.places.data).servers["pg-2"]).close()


@pytest.mark.fault
def test_up_works_after_the_supervisor_was_killed(site: CommandLine) -> None:
    assert site.up().returncode == 0
    before = site.state()
    send(before.supervisor, signal.SIGKILL)
    eventually(lambda: not alive(before.supervisor))
    assert site("status").returncode == 3
    up = site.up()
    assert up.returncode == 0, up.stdout
    assert site("status").returncode == 0
    assert not any(child.process is not None and alive(child.process) for child in before.children)


@pytest.mark.fault
def test_down_ends_what_a_killed_supervisor_left_behind(site: CommandLine) -> None:
    assert site.up().returncode == 0
    send(site.state().supervisor, signal.SIGKILL)
    assert site("down").returncode == 0
    assert marked(site.places.data) == []


@pytest.mark.fault
def test_a_stale_lock_file_of_postgres_does_not_keep_it_from_starting(site: CommandLine) -> None:
    """As after a reboot: the number in it belongs to a process that has nothing to do with PostgreSQL."""
    with subprocess.Popen(["sleep", "600"]) as stranger:
        lock = site.places.cluster("pg-1") / "data" / "postmaster.pid"
        lock.write_text(
            f"{stranger.pid}\n{lock.parent}\n1700000000\n5432\n{lock.parent.parent}\n\n  1 1\nready\n"
        )
        up = site.up()
        assert stranger.poll() is None
        stranger.kill()
    assert up.returncode == 0, up.stdout


def test_the_state_file_can_be_read_by_others(site: CommandLine) -> None:
    assert site.up().returncode == 0
    plain = msgspec.json.decode(site.places.state.read_bytes())
    assert plain["supervisor"]["pid"] == site.state().supervisor.pid
    assert {child["name"] for child in plain["children"]} == {
        "pg-1",
        "pg-2",
        "relay",
        "worker-interactive",
        "worker-bulk",
        "web",
    }
