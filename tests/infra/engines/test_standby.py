"""The standby: made from a running primary, follows it through restarts, and is made anew when it no longer can."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from calotype.infra.engines.postgres import Cluster, PostgresUnusable, binaries
from calotype.infra.engines.standby import Standby
from tests.site import NOT_DURABLE, RunningCluster

SMALL_LOG = NOT_DURABLE | {"wal_keep_size": "0", "min_wal_size": "32MB", "max_wal_size": "32MB"}


@pytest.fixture(scope="module")
def primary(short_directory: Path) -> Iterator[RunningCluster]:
    root = Path(tempfile.mkdtemp(dir=short_directory, prefix="it's "))
    running = RunningCluster(Cluster("pg-1", root / "pg-1", SMALL_LOG))
    execute(running.cluster, "create table kept (n int)")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def made(primary: RunningCluster) -> Standby:
    standby = Standby("pg-1-b", primary.cluster.root.parent / "pg-1-b", primary=primary.cluster)
    standby.initialise()
    return standby


@pytest.fixture
def standby(made: Standby) -> Iterator[RunningCluster]:
    """The same for all tests, each of which leaves it able to follow; started for each."""
    running = RunningCluster(made)
    yield running
    running.stop()


def execute(cluster: Cluster, statement: str) -> None:
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(statement.encode())


def value(cluster: Cluster, statement: str) -> object:
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return None if row is None else row[0]


def written_and_read(primary: RunningCluster, standby: RunningCluster, n: int) -> bool:
    """Write on the primary; whether the standby has it, once it has caught up."""
    execute(primary.cluster, f"insert into kept values ({n})")
    assert isinstance(standby.cluster, Standby)
    assert standby.cluster.wait_until_caught_up(30)
    return value(standby.cluster, f"select count(*) from kept where n = {n}") == 1


def test_what_is_written_on_the_primary_arrives_and_cannot_be_written_there(
    primary: RunningCluster, standby: RunningCluster
) -> None:
    assert written_and_read(primary, standby, 1)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        execute(standby.cluster, "insert into kept values (0)")


def test_it_is_private_and_its_password_is_in_no_command_line(standby: RunningCluster) -> None:
    cluster = standby.cluster
    password = cluster.password_file.read_text().strip()
    assert not any(password in word for word in cluster.command())
    assert stat.S_IMODE((cluster.root / "passfile").stat().st_mode) == 0o600
    assert stat.S_IMODE(cluster.data.stat().st_mode) == stat.S_IMODE(cluster.root.stat().st_mode) == 0o700
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(cluster.dsn().replace(f":{password}@", ":wrong@"))


def test_its_slot_holds_what_it_needs_and_its_own_log_can_be_decoded(
    primary: RunningCluster, standby: RunningCluster
) -> None:
    held = "select slot_type || ' ' || active from pg_replication_slots where slot_name = 'calotype_standby_pg_1_b'"
    assert written_and_read(primary, standby, 2)
    assert value(primary.cluster, held) == "physical true"
    assert value(standby.cluster, "show wal_level") == "logical"
    assert value(standby.cluster, "show hot_standby_feedback") == "on"
    assert value(standby.cluster, "select count(*) from pg_replication_slots") == 0


@pytest.mark.fault
def test_it_follows_on_after_either_of_the_two_was_killed(
    primary: RunningCluster, standby: RunningCluster
) -> None:
    standby.kill()
    execute(primary.cluster, "insert into kept values (3)")
    standby.start()
    assert written_and_read(primary, standby, 4)
    assert value(standby.cluster, "select count(*) from kept where n = 3") == 1
    primary.kill()
    assert value(standby.cluster, "select count(*) from kept where n = 4") == 1
    primary.start()
    assert written_and_read(primary, standby, 5)


def test_to_make_it_again_changes_nothing(made: Standby) -> None:
    before = (made.data / "PG_VERSION").stat()
    made.initialise()
    assert (made.data / "PG_VERSION").stat() == before


@pytest.mark.fault
def test_with_its_primary_away_it_is_taken_as_it_is(primary: RunningCluster, made: Standby) -> None:
    primary.kill()
    assert made.can_follow() is None
    made.initialise()
    with pytest.raises(PostgresUnusable, match="pg-1 does not answer"):
        Standby("other", made.root.with_name("other"), primary=primary.cluster).initialise()
    primary.start()
    assert made.can_follow() is True


def test_one_whose_slot_is_gone_is_made_anew(primary: RunningCluster, made: Standby) -> None:
    execute(primary.cluster, f"select pg_drop_replication_slot('{made.slot}')")
    execute(primary.cluster, "insert into kept values (6)")
    assert made.can_follow() is False
    assert follows(primary, made, 7)


def test_one_whose_slot_was_lost_to_the_limit_is_made_anew(primary: RunningCluster, made: Standby) -> None:
    limited = replace(primary.cluster, settings=primary.cluster.settings | {"max_slot_wal_keep_size": "1MB"})
    primary.stop()
    narrow = RunningCluster(limited)
    for _ in range(4):
        execute(limited, "select pg_logical_emit_message(false, 'x', repeat('x', 1000))")
        execute(limited, "select pg_switch_wal()")
    execute(limited, "checkpoint")
    assert value(limited, "select wal_status from pg_replication_slots") == "lost"
    assert made.can_follow() is False
    narrow.stop()
    primary.start()
    assert follows(primary, made, 8)
    assert value(primary.cluster, "select wal_status from pg_replication_slots") == "reserved"


def follows(primary: RunningCluster, standby: Standby, n: int) -> bool:
    """Whether, made and started now, it follows; it is stopped again."""
    running = RunningCluster(standby)
    try:
        return written_and_read(primary, running, n)
    finally:
        running.stop()


def test_one_that_was_left_half_made_is_made_anew(primary: RunningCluster) -> None:
    standby = Standby("half", primary.cluster.root.parent / "half", primary=primary.cluster)
    (standby.root / "data.new").mkdir(parents=True)
    (standby.root / "data.new" / "PG_VERSION").write_text("18")
    assert not standby.initialised()
    assert follows(primary, standby, 9)
    standby.remove()


def test_one_that_is_removed_holds_back_no_log(primary: RunningCluster) -> None:
    standby = Standby("brief", primary.cluster.root.parent / "brief", primary=primary.cluster)
    standby.initialise()
    slots = "select count(*) from pg_replication_slots where slot_name = 'calotype_standby_brief'"
    assert value(primary.cluster, slots) == 1
    standby.remove()
    assert value(primary.cluster, slots) == 0
    assert not standby.root.exists()
    standby.remove()


def test_a_promoted_one_is_never_deleted(primary: RunningCluster) -> None:
    standby = Standby("promoted", primary.cluster.root.parent / "promoted", primary=primary.cluster)
    standby.initialise()
    (standby.data / "standby.signal").unlink()
    execute(primary.cluster, f"select pg_drop_replication_slot('{standby.slot}')")
    with pytest.raises(PostgresUnusable, match="was promoted: move it elsewhere"):
        standby.initialise()
    assert standby.initialised()


def test_the_copy_of_a_primary_that_was_lost_is_never_deleted(
    primary: RunningCluster, short_directory: Path
) -> None:
    standby = Standby("orphan", primary.cluster.root.parent / "orphan", primary=primary.cluster)
    standby.initialise()
    execute(primary.cluster, f"select pg_drop_replication_slot('{standby.slot}')")
    new = RunningCluster(Cluster("new", Path(tempfile.mkdtemp(dir=short_directory)) / "new", NOT_DURABLE))
    with pytest.raises(PostgresUnusable, match="that copy may be all there is"):
        replace(standby, primary=new.cluster).initialise()
    new.stop()
    assert standby.initialised()


def test_a_copy_that_fails_is_reported_with_its_own_words(
    primary: RunningCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in binaries().iterdir():
        (programs / program.name).symlink_to(program)
    (programs / "pg_basebackup").unlink()
    (programs / "pg_basebackup").write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    (programs / "pg_basebackup").chmod(0o755)
    monkeypatch.setenv("CALOTYPE_POSTGRES_BIN", str(programs))
    standby = Standby("full", primary.cluster.root.parent / "full", primary=primary.cluster)
    with pytest.raises(PostgresUnusable, match="the copy of pg-1 for full failed: no space left"):
        standby.initialise()
    assert not standby.data.exists()
    monkeypatch.undo()
    standby.remove()
    shutil.rmtree(programs)
