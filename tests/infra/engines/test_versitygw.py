"""The embedded S3 server: private, durable where the file system can be, and told apart from a missing one."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from calotype.infra.blobs import S3Blobs
from calotype.infra.engines import versitygw as engine
from calotype.infra.engines.versitygw import Versitygw, VersitygwUnusable, binary, install, start
from tests.versitygw import RunningVersitygw, running_versitygw


def program(directory: Path, text: str = "#!/bin/sh\n") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "versitygw"
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_program_is_named_or_built_or_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALOTYPE_VERSITYGW_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert binary(tmp_path / "tools") is None
    on_path = program(tmp_path / "path")
    assert binary() == binary(tmp_path / "tools") == str(on_path)
    built = program(tmp_path / "tools" / "bin")
    assert binary(tmp_path / "tools") == str(built)
    named = program(tmp_path / "named")
    monkeypatch.setenv("CALOTYPE_VERSITYGW_BIN", str(named))
    assert binary(tmp_path / "tools") == str(named)
    named.unlink()
    with pytest.raises(VersitygwUnusable, match="no program that can be run"):
        binary(tmp_path / "tools")


def test_a_missing_program_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALOTYPE_VERSITYGW_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VersitygwUnusable, match="not on PATH"):
        Versitygw("s3", tmp_path / "s3", 19_000).command()


def test_it_is_built_with_everything_below_the_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for Go, which would take two minutes and the network."""
    script = '#!/bin/sh\necho "$@" HOME-free "$GOPATH" "$GOCACHE"\n/bin/cp "$0" "$GOBIN/versitygw"\n'
    go = program(tmp_path / "path", script).rename(tmp_path / "path" / "go")
    tools = tmp_path / "tools"
    (tools / "bin").mkdir(parents=True)
    monkeypatch.delenv("CALOTYPE_VERSITYGW_BIN", raising=False)
    monkeypatch.setenv("PATH", str(go.parent))
    assert install(tools, tmp_path / "log") is True
    assert binary(tools) == str(tools / "bin" / "versitygw")
    assert [path.name for path in tools.iterdir()] == ["bin"], "what was downloaded is removed"
    said = (tmp_path / "log").read_text()
    assert said.startswith("install ")
    assert f" {engine.PACKAGE} HOME-free" in said
    assert said.count(str(tools)) == 2

    go.write_text("#!/bin/sh\necho cannot download >&2\nexit 1\n")
    assert install(tools, tmp_path / "log") is False
    assert "cannot download" in (tmp_path / "log").read_text()
    go.unlink()
    monkeypatch.setattr(engine, "GO", str(tmp_path / "nowhere"))
    assert install(tools, tmp_path / "log") is False
    assert "neither on PATH nor at" in (tmp_path / "log").read_text()


def test_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    server = Versitygw("s3", tmp_path / "s3", 19_000)
    keys = server.keys
    assert Versitygw("s3", tmp_path / "s3", 19_001).keys == keys
    assert stat.S_IMODE((tmp_path / "s3" / "keys.json").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "s3").iterdir()] == ["keys.json"]
    assert Versitygw("s3", tmp_path / "other", 19_000).keys != keys


@pytest.mark.s3
def test_its_secret_is_not_on_its_command_line(versitygw: RunningVersitygw) -> None:
    keys = json.loads((versitygw.server.root / "keys.json").read_text())
    assert keys["secret_key"] not in " ".join(versitygw.server.command())
    assert versitygw.server.ready()


@pytest.mark.s3
def test_a_port_that_is_taken_is_said(versitygw: RunningVersitygw, tmp_path: Path) -> None:
    second = Versitygw("s3-2", tmp_path / "s3", versitygw.server.port, versitygw.server.tools)
    with pytest.raises(VersitygwUnusable, match=f"s3-2 ended .* port {second.port} taken"):
        start(second, tmp_path / "log")


@pytest.mark.s3
async def test_only_its_owner_can_read_its_files(versitygw: RunningVersitygw) -> None:
    await S3Blobs(versitygw.bucket()).put("engine/a.jpg", b"1", "image/jpeg")
    objects = versitygw.server.objects
    assert (objects / "calotype" / "engine" / "a.jpg").read_bytes() == b"1"
    for path in (objects, objects / "calotype", objects / "calotype" / "engine" / "a.jpg"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.s3
@pytest.mark.skipif(sys.platform != "linux", reason="reads the attributes that Linux has")
async def test_what_it_makes_is_written_through_where_the_file_system_can(short_directory: Path) -> None:
    with running_versitygw(short_directory, write_through=True) as running:
        if not running.server.durable:
            pytest.skip("this file system has no attributes of chattr")
        await S3Blobs(running.bucket()).put("through/deep/a.jpg", b"1", "image/jpeg")
        top = running.server.objects / "calotype" / "through"
        for directory in (top, top / "deep"):
            assert engine._flags(directory) & engine._DIRECTORY_SYNC, "its names are written at once"
        assert engine._flags(top / "deep" / "a.jpg") & engine._SYNC, "its bytes are written at once"


def test_a_file_system_without_attributes_is_said_to_be_not_durable(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        pytest.skip("there is no file system in memory")
    root = memory / f"calotype-{os.getpid()}"
    server = Versitygw("s3", root, 19_000)
    try:
        server.objects.mkdir(parents=True)
        engine.have_written_through(server.objects)
        assert server.durable is False
    finally:
        server.objects.rmdir()
        root.rmdir()


@pytest.mark.s3
def test_it_stops_when_told(own_versitygw: RunningVersitygw) -> None:
    own_versitygw.process.send_signal(signal.SIGTERM)
    try:
        assert own_versitygw.process.wait(5) == 0
    except subprocess.TimeoutExpired:
        pytest.fail("it still runs 5 s after SIGTERM")
    assert not own_versitygw.server.ready()
