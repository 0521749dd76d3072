"""Blobs in a bucket of a server that speaks S3: Amazon's, or a gateway before a directory (`infra.engines.versitygw`).

A blob is one object under its own key. `obstore` does the requests, without a thread or a socket in Python; what it cannot say is
in `s3_client` and `multipart`. Any number of processes on any number of machines may use one bucket at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from calotype.infra.blobs import multipart
from calotype.infra.blobs.failures import failures_named
from calotype.infra.blobs.s3_client import Bucket, Refused, make_bucket, refusal_in
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
from calotype.std.deadline import deadline, remaining_s

UPLOADERS = 4
"""Threads that send large blobs in parts; each holds one connection."""

READ_RETRIES = 2
"""Of what may be asked again: reads, lists, removals. Never of a put: see `S3Blobs.put`."""

CONFLICTS = 5
CONFLICT_WAIT_S = 0.02

CHUNK_S = 10.0
"""For one chunk of a stream. The stream itself may outlive its request's deadline: its reader may be slow."""

PROBE_KEY = ".probe"
"""No blob's key, so it is in nobody's way; overwritten at each probe."""

log = logging.getLogger(__name__)


class S3Blobs:
    """A `BlobStore` in a bucket that is there (`ensure_bucket`). To make one asks the server nothing.

    Durable is what the server has acknowledged, as far as the server keeps that promise; Amazon's does. Between `head` and
    the removal that follows it somebody else may have removed the blob as well: two concurrent `delete`, or `delete_prefix`, may both count it.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._store = _opened(bucket, retries=READ_RETRIES)
        self._creating = _opened(bucket, retries=0)
        self._uploaders = ThreadPoolExecutor(UPLOADERS, thread_name_prefix="blob-uploader")

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """As the interface says. It is asked once: after a repetition of its own, "it exists" could mean that the first
        one had arrived, and the caller would take their own blob for somebody else's. So a doubt is a `BlobsUnavailable`.
        """
        checked = blob_key(key)
        checked_content_type(content_type)
        with self._failures_named("put", key, size_bytes=len(data)):
            if len(data) > multipart.ABOVE_BYTES:
                await self._put_parts(checked, data, content_type)
            else:
                async with asyncio.timeout(remaining_s()):
                    await self._put_whole(checked, data, content_type)

    async def get(self, key: str) -> bytes:
        checked = blob_key(key)
        with self._failures_named("get", key):
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
        with self._failures_named("get", key):
            async with asyncio.timeout(remaining_s()):
                try:
                    found = await obstore.head_async(self._store, checked)
                except FileNotFoundError:
                    # The answer to a HEAD has no body to say what is missing: the blob, the bucket, or who asks.
                    found = (await obstore.get_async(self._store, checked)).meta
        return BlobInfo(checked, found["size"], found["last_modified"])

    async def delete(self, key: str) -> bool:
        """The server says the same whether there was one or not: so it is asked before."""
        try:
            await self.head(key)
        except BlobMissing:
            return False
        with self._failures_named("delete", key):
            async with asyncio.timeout(remaining_s()):
                await obstore.delete_async(self._store, key)
        return True

    async def delete_prefix(self, prefix: str) -> int:
        """Removes as well what uploads that never ended have left below the prefix."""
        checked = blob_prefix(prefix)
        if not checked:
            raise BlobKeyInvalid("delete_prefix needs a prefix: the empty one would remove every blob")
        with self._failures_named("delete", checked), deadline(remaining_s()):  # one end for all that follows
            await self._in_thread(lambda _: multipart.abort_below(self._bucket, checked))
            removed: set[str] = set()
            while keys := [info.key async for info in self.list(checked)]:
                removed.update(keys)
                async with asyncio.timeout(remaining_s()):
                    if await self._removed(keys):
                        break
            return len(removed)

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        checked = blob_prefix(prefix)
        pages = obstore.list(self._store, checked or None, chunk_size=1000)
        with self._failures_named("list", checked):
            while True:
                async with asyncio.timeout(remaining_s()):
                    page = await anext(pages, None)
                if page is None:
                    return
                for meta in page:
                    if meta["path"] != PROBE_KEY:
                        yield BlobInfo(BlobKey(meta["path"]), meta["size"], meta["last_modified"])

    async def healthy(self) -> bool:
        try:
            with self._failures_named("probe", self._bucket.name):
                async with asyncio.timeout(remaining_s()):
                    await self._probe()
        except (BlobsUnavailable, BlobMissing) as failure:
            log.warning("%s", failure.message)
            return False
        return True

    async def _probe(self) -> None:
        await obstore.put_async(self._store, PROBE_KEY, b"probe", use_multipart=False)
        if bytes(await (await obstore.get_async(self._store, PROBE_KEY)).bytes_async()) != b"probe":
            raise OSError(f"{self._bucket.endpoint} returns other bytes than were written")

    async def _put_whole(self, key: BlobKey, data: bytes, content_type: str) -> None:
        for _ in range(CONFLICTS):
            try:
                await obstore.put_async(
                    self._creating, key, data, mode="create", attributes={"Content-Type": content_type}
                )
                return
            except AlreadyExistsError as error:
                refusal = refusal_in(str(error))
                if refusal is None or refusal.status != 409:  # 412: the key is taken
                    raise BlobExists(f"the blob {key} exists", key=key) from None
                # 409 is another matter: a request to this key, or a removal of its directory, was under way,
                # nothing was stored, and nothing is known to be there. That was an answer, so it may be asked again.
            await asyncio.sleep(CONFLICT_WAIT_S)
        raise OSError(f"{CONFLICTS} times another request to this key was under way")

    async def _removed(self, keys: Sequence[str]) -> bool:
        """Remove them at once; False if somebody else was removing them too, and some may still be there."""
        try:
            await obstore.delete_async(self._store, keys)
        except BaseError as error:
            if "NoSuchKey" not in str(error):  # versitygw fails on what has just gone, Amazon does not
                raise
            return False
        return True

    async def _put_parts(self, key: BlobKey, data: bytes, content_type: str) -> None:
        try:
            await self._in_thread(
                lambda given_up: multipart.create(self._bucket, key, data, content_type, given_up)
            )
        except Refused as refused:
            if refused.refusal.status == 412:
                raise BlobExists(f"the blob {key} exists", key=key) from None
            raise

    async def _in_thread[T](self, work: Callable[[threading.Event], T]) -> T:
        """Run blocking `work`. On a deadline or a cancellation its event is set, and it ends without having acknowledged."""
        given_up = threading.Event()
        context = copy_context()  # the deadline and metering follow the work
        future = asyncio.get_running_loop().run_in_executor(
            self._uploaders, lambda: context.run(work, given_up)
        )
        try:
            async with asyncio.timeout(remaining_s()):
                return await future
        finally:
            given_up.set()

    async def _chunks(self, key: BlobKey, start: int, stop: int, chunk_bytes: int) -> AsyncIterator[bytes]:
        with self._failures_named("get", key):
            for first in range(start, stop, chunk_bytes):
                async with asyncio.timeout(CHUNK_S):
                    chunk = bytes(
                        await obstore.get_range_async(
                            self._store, key, start=first, end=min(first + chunk_bytes, stop)
                        )
                    )
                yield chunk

    @contextlib.contextmanager
    def _failures_named(self, action: str, subject: str, *, size_bytes: int | None = None) -> Iterator[None]:
        with failures_named(action, subject, size_bytes=size_bytes):
            try:
                yield
            except Refused as error:
                raise OSError(error.refusal.sentence(self._bucket)) from error
            except (BaseError, FileNotFoundError) as error:
                refusal = refusal_in(str(error))
                if refusal is None:
                    why = str(error).partition("\n")[0].rpartition(" - ")[2]
                    raise OSError(f"{self._bucket.endpoint} does not answer ({why})") from error
                if refusal.code == "NoSuchKey" and isinstance(error, FileNotFoundError):
                    raise BlobMissing(f"there is no blob {subject}", key=subject) from None
                raise OSError(refusal.sentence(self._bucket)) from error


async def ensure_bucket(bucket: Bucket) -> None:
    """Make the bucket if it is missing. Raises `BlobsUnavailable` with what the server says against it."""
    with failures_named("make the bucket", bucket.name):
        try:
            async with asyncio.timeout(remaining_s()):
                await asyncio.to_thread(make_bucket, bucket)
        except Refused as refused:
            raise OSError(refused.refusal.sentence(bucket)) from refused


def _opened(bucket: Bucket, *, retries: int) -> S3Store:
    return S3Store(
        bucket.name,
        endpoint=bucket.endpoint,
        region=bucket.region,
        access_key_id=bucket.access_key,
        secret_access_key=bucket.secret_key,
        virtual_hosted_style_request=False,
        # The deadline cancels a request; obstore's own limit of 30 s would end one that has longer.
        client_options={"allow_http": bucket.endpoint.startswith("http://"), "timeout": timedelta(days=1)},
        retry_config={
            "max_retries": retries,
            "backoff": {
                "init_backoff": timedelta(milliseconds=50),
                "max_backoff": timedelta(milliseconds=500),
                "base": 2,
            },
        },
    )
