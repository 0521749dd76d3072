"""What holds for the local engine alone: what is on the disk, and when."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from calotype.infra.blobs import BlobExists, BlobMissing, BlobsUnavailable, LocalBlobs, durable

JPEG = "image/jpeg"

WRITER = """
import asyncio, sys
from pathlib import Path
from calotype.infra.blobs import LocalBlobs

async def main():
    store = LocalBlobs(Path(sys.argv[1]))
    body = bytes(int(sys.argv[2]))
    async def run(worker):
        n = 0
        while True:
            key = f"w{worker}/{n}.bin"
            await store.put(key, key.encode() + body, "application/octet-stream")
            print(key, flush=True)
            n += 1
    await asyncio.gather(*(run(worker) for worker in range(4)))

asyncio.run(main())
"""


def acknowledged_before_kill(directory: Path, body_bytes: int, after_s: float) -> set[str]:
    """The keys that a writer process had acknowledged when `kill -9` hit it, `after_s` after the first of them."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory), str(body_bytes)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert writer.stdout is not None
    with writer.stdout:
        acknowledged = [writer.stdout.readline().strip()]
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.stdout.read().split()
    writer.wait()
    return set(acknowledged)


@pytest.mark.fault
@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.15])
async def test_a_killed_writer_leaves_whole_blobs_and_loses_no_acknowledged_one(
    tmp_path: Path, after_s: float
) -> None:
    acknowledged = acknowledged_before_kill(tmp_path, 3_000_000, after_s)
    assert acknowledged

    store = LocalBlobs(tmp_path)
    visible = [info.key async for info in store.list()]
    assert acknowledged <= set(visible)
    for key in visible:
        assert await store.get(key) == key.encode() + bytes(3_000_000)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file a descriptor is")
async def test_bytes_are_on_disk_before_the_name_and_the_name_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    sync, link = os.fsync, os.link

    def noting_sync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append(
            "sync " + ("bytes" if target.parent.name == "staging" else str(target.relative_to(tmp_path)))
        )
        sync(descriptor)

    def noting_link(*arguments: Any, **options: Any) -> None:
        events.append("link")
        link(*arguments, **options)

    store = LocalBlobs(tmp_path)
    monkeypatch.setattr(os, "fsync", noting_sync)
    monkeypatch.setattr(os, "link", noting_link)
    monkeypatch.setattr(durable, "_FULL_FSYNC", None)
    await store.put("a/b/c.jpg", b"1", JPEG)
    assert events == ["sync bytes", "link", "sync blobs/a/b", "sync blobs/a", "sync blobs"]

    events.clear()
    with pytest.raises(BlobExists):
        await store.put("a/b/c.jpg", b"1", JPEG)
    assert events[-3:] == [
        "sync blobs/a/b",
        "sync blobs/a",
        "sync blobs",
    ], "a blob that exists is durable too"


async def test_nothing_is_left_in_staging(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path)
    await store.put("a.jpg", b"1", JPEG)
    with pytest.raises(BlobExists):
        await store.put("a.jpg", b"2", JPEG)
    assert await store.healthy()
    assert list((tmp_path / "staging").iterdir()) == []


async def test_what_a_killed_writer_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path)
    old, young = tmp_path / "staging" / "1-old", tmp_path / "staging" / "1-young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (time.time() - 100_000,) * 2)
    LocalBlobs(tmp_path)
    assert [info async for info in store.list()] == []
    assert [path.name for path in (tmp_path / "staging").iterdir()] == ["1-young"]


async def test_only_its_owner_may_read_the_files(tmp_path: Path) -> None:
    await LocalBlobs(tmp_path / "store").put("a/b.jpg", b"1", JPEG)
    for path in (tmp_path / "store").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


async def test_empty_directories_go_with_their_last_blob(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path)
    for key in ("a/b/c/1.jpg", "a/2.jpg"):
        await store.put(key, b"1", JPEG)
    await store.delete("a/b/c/1.jpg")
    assert sorted(path.name for path in (tmp_path / "blobs").rglob("*")) == ["2.jpg", "a"]
    await store.delete_prefix("a")
    assert list((tmp_path / "blobs").iterdir()) == []


async def test_a_blob_is_counted_by_one_removal_alone(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path)
    for start in range(0, 120, 6):
        for n in range(start, start + 6):
            await store.put(f"a/b/{n}.jpg", b"1", JPEG)
        assert sum(await asyncio.gather(*(store.delete_prefix("a/b") for _ in range(3)))) == 6


async def test_a_lost_disk_is_unavailable_not_missing(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path / "store")
    await store.put("a.jpg", b"1", JPEG)
    (tmp_path / "store").rename(tmp_path / "unmounted")
    for call in (store.get("a.jpg"), store.head("a.jpg"), store.put("b.jpg", b"1", JPEG)):
        with pytest.raises(BlobsUnavailable):
            await call
    assert await store.healthy() is False
    (tmp_path / "unmounted").rename(tmp_path / "store")
    assert await store.get("a.jpg") == b"1"
    with pytest.raises(BlobMissing):
        await store.get("b.jpg")


async def test_a_full_disk_is_a_503_with_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: Any) -> int:
        raise OSError(28, "No space left on device")

    store = LocalBlobs(tmp_path)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(BlobsUnavailable, match=r"cannot put a\.jpg \(5 bytes\): No space left on device"):
        await store.put("a.jpg", b"12345", JPEG)
    monkeypatch.undo()
    assert [info async for info in store.list()] == []
    assert list((tmp_path / "staging").iterdir()) == []


async def test_a_foreign_file_where_a_directory_belongs_is_said(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path)
    (tmp_path / "blobs" / "a").write_text("not ours")
    with pytest.raises(BlobsUnavailable, match="directory"):
        await store.put("a/b.jpg", b"1", JPEG)
    assert list((tmp_path / "staging").iterdir()) == []


async def test_a_root_that_cannot_be_used_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(BlobsUnavailable, match="cannot open"):
        LocalBlobs(tmp_path / "file" / "store")


async def test_two_stores_on_one_directory_agree(tmp_path: Path) -> None:
    first, second = LocalBlobs(tmp_path), LocalBlobs(tmp_path)
    outcomes = await asyncio.gather(
        *(store.put("a.jpg", b"1", JPEG) for store in (first, second) * 4), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert await second.get("a.jpg") == await first.get("a.jpg") == b"1"
