"""The embedded memcached: private, on a Unix socket alone, and told apart from a missing one."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from calotype.infra.engines import memcached, sockets
from calotype.infra.engines.memcached import Memcached, MemcachedUnusable, binary, start


@pytest.fixture(scope="module")
def server(short_directory: Path) -> Memcached:
    return Memcached("memcached", Path(tempfile.mkdtemp(dir=short_directory)), memory_mb=8)


@pytest.fixture(scope="module")
def process(server: Memcached) -> Iterator[subprocess.Popen[bytes]]:
    running = start(server, server.root / "log")
    yield running
    running.terminate()
    running.wait()


def ask(server: Memcached, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(server.socket))
        connection.sendall(request)
        answer = b""
        while not answer.endswith((b"EN\r\n", b"HD\r\n", b"MN\r\n", b"END\r\n")):
            answer += connection.recv(65536)
        return answer


@pytest.mark.memcached
def test_it_speaks_the_meta_protocol(server: Memcached, process: subprocess.Popen[bytes]) -> None:
    assert server.ready()
    assert ask(server, b"ms key 5\r\nvalue\r\n") == b"HD\r\n"
    assert ask(server, b"mg key v\r\nmn\r\n") == b"VA 5\r\nvalue\r\nMN\r\n"


@pytest.mark.memcached
def test_only_its_owner_can_reach_it_and_it_opens_no_port(
    server: Memcached, process: subprocess.Popen[bytes]
) -> None:
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    assert listening(process.pid, "tcp") == listening(process.pid, "udp") == set()
    assert listening(process.pid, "unix") != set()


def listening(pid: int, family: str) -> set[str]:
    """The sockets of this family that the process has, by their inodes."""
    links: set[str] = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # a connection that has just been closed
            links.add(str(path.readlink()))
    rows = [line.split() for line in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]]
    column = 6 if family == "unix" else 9
    return {row[column] for row in rows if f"socket:[{row[column]}]" in links}


@pytest.mark.memcached
def test_it_has_the_memory_and_the_threads_that_it_was_given(
    server: Memcached, process: subprocess.Popen[bytes]
) -> None:
    settings = dict(line.split()[1:3] for line in ask(server, b"stats settings\r\n").splitlines()[:-1])
    assert settings[b"maxbytes"] == str(8 << 20).encode()
    assert settings[b"num_threads"] == b"1"
    assert settings[b"item_size_max"] == str(1 << 20).encode()


@pytest.mark.memcached
@pytest.mark.fault
def test_after_a_kill_it_takes_its_socket_again_and_is_empty(short_directory: Path) -> None:
    server = Memcached("memcached", Path(tempfile.mkdtemp(dir=short_directory)))
    first = start(server, server.root / "log")
    ask(server, b"ms key 5\r\nvalue\r\n")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert server.socket.exists()
    assert not server.ready()
    second = start(server, server.root / "log")
    assert ask(server, b"mg key v\r\n") == b"EN\r\n"
    second.terminate()
    assert second.wait() == 0


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(tmp_path: Path) -> None:
    long = Memcached("memcached-b", tmp_path / ("x" * 120))
    assert len(str(long.socket)) <= sockets.SOCKET_PATH_LIMIT
    assert long.socket.parent != Memcached("memcached-b", tmp_path / ("y" * 120)).socket.parent
    assert Memcached("memcached", Path("/short")).socket == Path("/short/memcached.sock")


def test_a_socket_directory_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    with pytest.raises(sockets.SocketDirectoryUnusable, match="belongs to user"):
        sockets.make_private(tmp_path)


def test_a_system_without_memcached_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALOTYPE_MEMCACHED_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binary() is None
    with pytest.raises(MemcachedUnusable, match="not on PATH"):
        Memcached("memcached", tmp_path).command()


def test_a_named_program_is_used_and_one_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "my memcached"
    program.write_text("#!/bin/sh\nexit 71\n")
    program.chmod(0o755)
    monkeypatch.setenv("CALOTYPE_MEMCACHED_BIN", str(program))
    assert binary() == str(program)
    with pytest.raises(MemcachedUnusable, match="memcached ended with status 71 before it was ready"):
        start(Memcached("memcached", tmp_path), tmp_path / "log")
    monkeypatch.setenv("CALOTYPE_MEMCACHED_BIN", str(tmp_path / "absent"))
    with pytest.raises(MemcachedUnusable, match="absent, which is no program"):
        binary()


def test_only_root_says_that_it_means_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memcached, "binary", lambda: "/usr/bin/memcached")
    monkeypatch.setattr(memcached, "make_private", lambda directory: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "--user=root" not in Memcached("memcached", tmp_path).command()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert "--user=root" in Memcached("memcached", tmp_path).command()
