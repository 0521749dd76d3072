"""The embedded cluster: initialised once, private, durable, and started again after any end."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from calotype.infra.engines import postgres, sockets
from calotype.infra.engines.postgres import Cluster, PostgresUnusable, binaries, start
from tests.site import RunningCluster, Site


@pytest.fixture(scope="module")
def initialised(short_directory: Path) -> Cluster:
    cluster = Cluster("pg", Path(tempfile.mkdtemp(dir=short_directory)) / "pg", {"fsync": "off"})
    cluster.initialise()
    return cluster


@pytest.fixture
def cluster(initialised: Cluster, short_directory: Path) -> Cluster:
    """A copy of one that was initialised but never started."""
    root = Path(tempfile.mkdtemp(dir=short_directory)) / "pg"
    shutil.copytree(initialised.root, root)
    return Cluster("pg", root, initialised.settings)


@pytest.fixture
def started(cluster: Cluster) -> Iterator[RunningCluster]:
    running = RunningCluster(cluster)
    yield running
    running.stop()


async def test_only_its_owner_can_reach_it_and_only_with_the_password(started: RunningCluster) -> None:
    cluster = started.cluster
    for path in (cluster.root, cluster.data, cluster.socket_directory):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert stat.S_IMODE((cluster.root / "password").stat().st_mode) == 0o600
    connection = await asyncpg.connect(cluster.dsn())
    assert await connection.fetchval("show listen_addresses") == ""
    assert await connection.fetchval("select current_user") == "calotype"
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            cluster.dsn().replace(":", ":not-", 2).replace("postgresql:not-", "postgresql:")
        )


async def test_it_keeps_what_is_acknowledged_on_disk_and_writes_a_log_that_can_be_decoded(site: Site) -> None:
    assert Cluster("x", Path("/x")).settings == {}
    assert "fsync" not in postgres.SETTINGS
    connection = await asyncpg.connect(site.control_dsn)
    assert await connection.fetchval("show wal_level") == "logical"
    assert await connection.fetchval("show max_slot_wal_keep_size") == "1GB"
    assert await connection.fetchval("show idle_replication_slot_timeout") == "0"
    assert await connection.fetchval("show server_encoding") == "UTF8"
    assert await connection.fetchval("select lower('ÄÉ')") == "äé"
    assert await connection.fetchval("show timezone") == "UTC"
    await connection.close()


@pytest.mark.fault
async def test_what_was_committed_is_there_after_a_kill(started: RunningCluster) -> None:
    connection = await asyncpg.connect(started.cluster.dsn())
    await connection.execute("create table kept as select 7 as n")
    started.kill()
    connection.terminate()
    started.start()
    connection = await asyncpg.connect(started.cluster.dsn())
    assert await connection.fetchval("select n from kept") == 7
    await connection.close()


def test_to_initialise_again_changes_nothing(initialised: Cluster) -> None:
    password = (initialised.root / "password").read_text()
    version = (initialised.data / "PG_VERSION").stat()
    initialised.initialise()
    assert (initialised.root / "password").read_text() == password
    assert (initialised.data / "PG_VERSION").stat() == version


def test_a_cluster_that_was_left_half_made_is_made_anew(short_directory: Path) -> None:
    cluster = Cluster("pg", Path(tempfile.mkdtemp(dir=short_directory)) / "pg", {"fsync": "off"})
    (cluster.root / "data.new").mkdir(parents=True)
    (cluster.root / "data.new" / "rubbish").touch()
    assert not cluster.initialised()
    cluster.initialise()
    assert cluster.initialised()
    assert not (cluster.data / "rubbish").exists()


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(tmp_path: Path) -> None:
    cluster = Cluster("pg", tmp_path / ("x" * 120))
    assert len(str(cluster.socket_directory)) <= sockets.SOCKET_PATH_LIMIT
    assert cluster.socket_directory != Cluster("pg", tmp_path / ("y" * 120)).socket_directory
    assert Cluster("pg", Path("/short")).socket_directory == Path("/short")


def test_a_server_that_does_not_start_says_so_at_once(cluster: Cluster, tmp_path: Path) -> None:
    broken = Cluster("pg", cluster.root, {"shared_buffers": "nonsense"})
    with pytest.raises(PostgresUnusable, match="pg ended with status 1 before it was ready"):
        start(broken, tmp_path / "log")
    assert "nonsense" in (tmp_path / "log").read_text()


def test_initdb_that_fails_is_reported_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    (bin_directory / "initdb").write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    (bin_directory / "initdb").chmod(0o755)
    bin_directory.parent.chmod(0o755)
    monkeypatch.setenv("CALOTYPE_POSTGRES_BIN", str(bin_directory))
    assert binaries() == bin_directory
    with pytest.raises(PostgresUnusable, match="initdb of pg failed: no space left"):
        Cluster("pg", tmp_path / "pg").initialise()


def test_missing_binaries_are_an_error_that_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALOTYPE_POSTGRES_BIN", raising=False)
    monkeypatch.setattr(postgres, "find_spec", lambda name: None)
    with pytest.raises(PostgresUnusable, match="CALOTYPE_POSTGRES_BIN"):
        binaries()


def test_root_without_user_namespaces_is_told_to_be_somebody_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PostgresUnusable, match="run as another user"):
        postgres.as_nobody()
    unshare = tmp_path / "unshare"
    unshare.write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    unshare.chmod(0o755)
    with pytest.raises(PostgresUnusable, match=r"forbids user namespaces \(Operation not permitted\)"):
        postgres.as_nobody()


def test_who_is_not_root_needs_no_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert postgres.as_nobody() == []
