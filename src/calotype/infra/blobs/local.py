"""Blobs in a local directory: `root/blobs` holds them by key, `root/staging` what is being written.

Reads go through `obstore` (its own threads, no file descriptor in Python); writes and removals through `durable`, which says
why. Any number of processes may use one directory at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import obstore
from obstore.store import LocalStore

from calotype.infra.blobs import durable
from calotype.infra.blobs.failures import failures_named
from calotype.infra.blobs.types import (
    DEFAULT_CHUNK_BYTES,
    BlobExists,
    BlobInfo,
    BlobKey,
    BlobKeyInvalid,
    BlobMissing,
    BlobStream,
    BlobsUnavailable,
    blob_key,
    blob_prefix,
    checked_content_type,
    checked_range,
)
from calotype.std.deadline import remaining_s

WRITERS = 8
"""Threads that write and fsync: their own, so that a slow disk cannot take the event loop's default executor."""

STALE_STAGING_S = 24 * 3600.0
"""No write takes this long: an older file in `staging` belongs to a process that was killed."""

MIN_FREE_BYTES = 256 * 1024 * 1024
"""With less room than this the store says it is not healthy, while it can still take what is under way."""

log = logging.getLogger(__name__)


class LocalBlobs:
    """A `BlobStore` in the directory `root`, which is made when missing (0700). Needs a file system with hard links."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve() / "blobs"
        self._staging = root.resolve() / "staging"
        with failures_named("open", str(root)):
            for directory in (self._root, self._staging):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.sweep(self._staging, STALE_STAGING_S)
            self._store = LocalStore(self._root)
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="blob-writer")

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        path = self._path(blob_key(key))
        checked_content_type(content_type)
        with failures_named("put", key, size_bytes=len(data)):
            try:
                await self._write(lambda: durable.create(path, data, root=self._root, staging=self._staging))
            except FileExistsError:
                raise BlobExists(f"the blob {key} exists", key=key) from None

    async def get(self, key: str) -> bytes:
        checked = blob_key(key)
        with self._missing_named(key):
            async with asyncio.timeout(remaining_s()):
                found = await obstore.get_async(self._store, checked)
                return bytes(await found.bytes_async())

    async def open(
        self, key: str, *, start: int = 0, end: int | None = None, chunk_bytes: int = DEFAULT_CHUNK_BYTES
    ) -> BlobStream:
        size_bytes = (await self.head(key)).size_bytes
        first, stop = checked_range(size_bytes, start, end)
        chunks = self._chunks(BlobKey(key), first, stop, chunk_bytes)
        return BlobStream(size_bytes=size_bytes, start=first, end=stop, chunks=chunks)

    async def head(self, key: str) -> BlobInfo:
        checked = blob_key(key)
        with self._missing_named(key):
            async with asyncio.timeout(remaining_s()):
                found = await obstore.head_async(self._store, checked)
        return BlobInfo(checked, found["size"], found["last_modified"])

    async def delete(self, key: str) -> bool:
        path = self._path(blob_key(key))
        with failures_named("delete", key):
            return await self._write(lambda: durable.remove(path, root=self._root))

    async def delete_prefix(self, prefix: str) -> int:
        checked = blob_prefix(prefix)
        if not checked:
            raise BlobKeyInvalid("delete_prefix needs a prefix: the empty one would remove every blob")
        with failures_named("delete", checked):
            return await self._write(lambda: durable.remove_tree(self._root / checked, root=self._root))

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        checked = blob_prefix(prefix)
        with failures_named("list", checked):
            async for found in obstore.list(self._store, checked or None, chunk_size=1000):
                for meta in found:
                    yield BlobInfo(BlobKey(meta["path"]), meta["size"], meta["last_modified"])

    async def healthy(self) -> bool:
        probe = self._staging / f"probe-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with failures_named("probe", str(self._staging)):
                await self._write(lambda: self._probe(probe))
        except BlobsUnavailable as failure:
            log.warning("%s", failure.message)
            return False
        return True

    def _probe(self, path: Path) -> None:
        durable.create(path, b"probe", root=self._staging, staging=self._staging)
        if path.read_bytes() != b"probe" or not self._root.is_dir():
            raise OSError(f"{self._root} is gone or returns other bytes than were written")
        path.unlink()
        free = os.statvfs(self._root)
        if free.f_bavail * free.f_frsize < MIN_FREE_BYTES:
            raise OSError(f"{free.f_bavail * free.f_frsize} bytes free, fewer than {MIN_FREE_BYTES}")

    def _path(self, key: BlobKey) -> Path:
        return self._root / key

    async def _chunks(self, key: BlobKey, start: int, stop: int, chunk_bytes: int) -> AsyncIterator[bytes]:
        if start == stop:
            return
        with self._missing_named(key):
            # One positioned read a chunk: obstore's own stream reads 8 KB at a time, for four times the CPU.
            for first in range(start, stop, chunk_bytes):
                end = min(first + chunk_bytes, stop)
                yield bytes(await obstore.get_range_async(self._store, key, start=first, end=end))

    async def _write[T](self, work: Callable[[], T]) -> T:
        """Run blocking `work` on a writer thread. On a deadline or a cancellation it goes on, unacknowledged."""
        context = copy_context()  # as asyncio.to_thread does, so that metering follows the work
        future = asyncio.get_running_loop().run_in_executor(self._writers, lambda: context.run(work))
        async with asyncio.timeout(remaining_s()):
            return await future

    @contextlib.contextmanager
    def _missing_named(self, key: str) -> Iterator[None]:
        try:
            with failures_named("get", key):
                yield
        except BlobsUnavailable as failure:
            # An unmounted disk has no files either, but then nothing is known to be missing.
            if isinstance(failure.__cause__, FileNotFoundError) and self._root.is_dir():
                raise BlobMissing(f"there is no blob {key}", key=key) from None
            raise
