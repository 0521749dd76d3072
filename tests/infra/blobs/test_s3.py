"""What holds for S3 alone: uploads in parts, and a server that is gone, frozen, or refuses us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
import obstore
import pytest

from calotype.infra.blobs import (
    BlobExists,
    BlobInfo,
    BlobMissing,
    BlobsUnavailable,
    Bucket,
    S3Blobs,
    ensure_bucket,
    multipart,
)
from calotype.infra.blobs.s3_client import Refusal, refusal_in
from calotype.std.deadline import deadline
from tests.versitygw import RunningVersitygw

pytestmark = pytest.mark.s3

JPEG = "image/jpeg"
LARGE = b"".join(bytes([n]) * 1_000_000 for n in range(20))
assert len(LARGE) > multipart.ABOVE_BYTES


async def contents(store: S3Blobs) -> list[BlobInfo]:
    return [info async for info in store.list()]


async def put_within(seconds: float, store: S3Blobs, key: str, body: bytes) -> None:
    with deadline(seconds):
        await store.put(key, body, JPEG)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  a directory sends no events
            await asyncio.sleep(0.005)


async def test_a_large_blob_goes_in_parts_and_comes_back_whole(
    s3: S3Blobs, versitygw: RunningVersitygw, bucket_name: str
) -> None:
    await s3.put("a/large.jpg", LARGE, JPEG)
    assert await s3.get("a/large.jpg") == LARGE
    assert (await s3.head("a/large.jpg")).size_bytes == len(LARGE)
    stream = await s3.open("a/large.jpg", start=7_999_990, end=8_400_000)
    assert b"".join([chunk async for chunk in stream.chunks]) == LARGE[7_999_990:8_400_000]
    found = await obstore.get_async(s3._store, "a/large.jpg")
    assert found.attributes["Content-Type"] == JPEG
    assert (found.meta["e_tag"] or "").strip('"').endswith("-3"), "three parts"
    assert versitygw.parts(bucket_name) == []


async def test_a_key_is_taken_once_in_parts_or_in_one_piece(
    s3: S3Blobs, versitygw: RunningVersitygw, bucket_name: str
) -> None:
    await s3.put("large.jpg", LARGE, JPEG)
    await s3.put("small.jpg", b"small", JPEG)
    for key, body in (("large.jpg", LARGE[::-1]), ("large.jpg", b"small"), ("small.jpg", LARGE)):
        with pytest.raises(BlobExists):
            await s3.put(key, body, JPEG)
    assert await s3.get("large.jpg") == LARGE
    assert await s3.get("small.jpg") == b"small"
    assert versitygw.parts(bucket_name) == [], "who loses leaves no parts"


async def test_of_concurrent_large_puts_exactly_one_wins(
    s3: S3Blobs, versitygw: RunningVersitygw, bucket_name: str
) -> None:
    bodies = [bytes([n]) * (multipart.ABOVE_BYTES + 1) for n in range(3)]
    outcomes = await asyncio.gather(*(s3.put("a.jpg", body, JPEG) for body in bodies), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["BlobExists", "BlobExists", "NoneType"]
    assert await s3.get("a.jpg") == bodies[outcomes.index(None)]
    assert versitygw.parts(bucket_name) == []


async def test_an_upload_that_is_cancelled_leaves_neither_blob_nor_parts(
    s3: S3Blobs, versitygw: RunningVersitygw, bucket_name: str
) -> None:
    putting = asyncio.create_task(s3.put("a/large.jpg", LARGE, JPEG))
    await until(lambda: bool(versitygw.parts(bucket_name)))
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await until(lambda: not versitygw.parts(bucket_name))
    assert await contents(s3) == []


async def test_an_upload_to_a_server_that_freezes_leaves_no_parts_once_it_thaws(
    s3: S3Blobs, own_versitygw: RunningVersitygw, bucket_name: str
) -> None:
    putting = asyncio.create_task(put_within(0.3, s3, "a/large.jpg", LARGE))
    await until(lambda: bool(own_versitygw.parts(bucket_name)))
    own_versitygw.freeze()
    with pytest.raises(BlobsUnavailable, match="within the deadline"):
        await putting
    own_versitygw.thaw()
    await until(lambda: not own_versitygw.parts(bucket_name))
    assert await contents(s3) == []


async def test_parts_that_nobody_could_abort_go_with_their_prefix(
    s3: S3Blobs, own_versitygw: RunningVersitygw, bucket_name: str
) -> None:
    putting = asyncio.create_task(s3.put("photos/7/large.jpg", LARGE, JPEG))
    await until(lambda: bool(own_versitygw.parts(bucket_name)))
    own_versitygw.kill()
    with pytest.raises(BlobsUnavailable, match=r"cannot put photos/7/large\.jpg \(20000000 bytes\)"):
        await putting
    assert own_versitygw.parts(bucket_name) != []
    own_versitygw.start()
    assert await contents(s3) == []
    await s3.put("photos/77/a.jpg", b"1", JPEG)
    assert await s3.delete_prefix("photos/7") == 0
    assert own_versitygw.parts(bucket_name) == []
    assert [info.key for info in await contents(s3)] == ["photos/77/a.jpg"]


async def test_a_server_that_is_gone_is_said_at_once_and_its_return_is_noticed(
    s3: S3Blobs, own_versitygw: RunningVersitygw
) -> None:
    await s3.put("a.jpg", b"0123456789", JPEG)
    stream = await s3.open("a.jpg", chunk_bytes=4)
    assert await anext(stream.chunks) == b"0123"
    own_versitygw.kill()
    began = time.monotonic()
    for call in (
        s3.put("b.jpg", b"12345", JPEG),
        s3.put("c.jpg", LARGE, JPEG),
        s3.get("a.jpg"),
        s3.head("a.jpg"),
        s3.open("a.jpg"),
        s3.delete("a.jpg"),
        s3.delete_prefix("a"),
        contents(s3),
        anext(stream.chunks),
    ):
        with pytest.raises(BlobsUnavailable) as caught:
            await call
        assert (caught.value.status, caught.value.retry_after_s) == (503, 2)
    assert await s3.healthy() is False
    assert time.monotonic() - began < 5.0
    with pytest.raises(
        BlobsUnavailable, match=r"cannot put b\.jpg \(5 bytes\): http://127\.0\.0\.1:\d+ does not answer"
    ):
        await s3.put("b.jpg", b"12345", JPEG)
    own_versitygw.start()
    assert await s3.healthy() is True
    assert await s3.get("a.jpg") == b"0123456789"
    assert [info.key for info in await contents(s3)] == ["a.jpg"]
    await s3.put("b.jpg", b"12345", JPEG)


async def test_a_frozen_server_costs_no_more_than_the_deadline(
    s3: S3Blobs, own_versitygw: RunningVersitygw, bucket_name: str
) -> None:
    await s3.put("a.jpg", b"1", JPEG)
    own_versitygw.freeze()
    for call in (
        s3.put("b.jpg", b"1", JPEG),
        s3.put("c/large.jpg", LARGE, JPEG),
        s3.get("a.jpg"),
        s3.head("a.jpg"),
        s3.delete("a.jpg"),
        s3.delete_prefix("a"),
        contents(s3),
    ):
        began = time.monotonic()
        with deadline(0.1), pytest.raises(BlobsUnavailable, match="within the deadline"):
            await call
        assert time.monotonic() - began < 0.5
    with deadline(0.1):
        assert await s3.healthy() is False
    own_versitygw.thaw()
    assert await s3.get("a.jpg") == b"1"
    assert {info.key for info in await contents(s3)} <= {
        "a.jpg",
        "b.jpg",
    }, "a put in one piece may have arrived"
    await s3.delete_prefix("c")
    assert own_versitygw.parts(bucket_name) == []


@pytest.mark.parametrize("wrong", [{"secret_key": "no"}, {"access_key": "nobody"}])
async def test_wrong_credentials_are_said(
    versitygw: RunningVersitygw, wrong: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    bucket = msgspec.structs.replace(versitygw.bucket(), **wrong)
    store = S3Blobs(bucket)
    for call in (
        store.put("a.jpg", b"1", JPEG),
        store.put("a.jpg", LARGE, JPEG),
        store.get("a.jpg"),
        store.head("a.jpg"),
        store.delete("a.jpg"),
        store.delete_prefix("a"),
        contents(store),
        ensure_bucket(bucket),
    ):
        with pytest.raises(
            BlobsUnavailable, match=r"refuses the access key or its secret .*check access_key"
        ):
            await call
    assert await store.healthy() is False
    assert "refuses the access key or its secret" in caplog.text


async def test_a_missing_bucket_is_said_and_hides_no_blob_as_missing(
    s3: S3Blobs, versitygw: RunningVersitygw, bucket_name: str
) -> None:
    await s3.put("a.jpg", b"1", JPEG)
    objects = versitygw.server.objects
    (objects / bucket_name).rename(objects / "elsewhere")
    for call in (
        s3.put("b.jpg", b"1", JPEG),
        s3.put("b.jpg", LARGE, JPEG),
        s3.get("a.jpg"),
        s3.head("a.jpg"),
        s3.delete("a.jpg"),
        s3.delete_prefix("a"),
        contents(s3),
    ):
        with pytest.raises(BlobsUnavailable, match=f"there is no bucket {bucket_name} at http://"):
            await call
    (objects / "elsewhere").rename(objects / bucket_name)
    assert await s3.get("a.jpg") == b"1"
    with pytest.raises(BlobMissing):
        await s3.get("b.jpg")


async def test_a_bucket_is_made_once(versitygw: RunningVersitygw) -> None:
    await ensure_bucket(versitygw.bucket())  # the engine's own, which is made as a directory
    bucket = versitygw.bucket("made-twice")
    await ensure_bucket(bucket)
    await S3Blobs(bucket).put("a.jpg", b"1", JPEG)
    await ensure_bucket(bucket)
    assert await S3Blobs(bucket).get("a.jpg") == b"1"


async def test_a_probe_leaves_no_blob(s3: S3Blobs) -> None:
    assert await s3.healthy() and await s3.healthy()
    assert await contents(s3) == []


async def test_two_processes_share_a_bucket(
    s3: S3Blobs, versitygw: RunningVersitygw, bucket_name: str
) -> None:
    other = S3Blobs(versitygw.bucket(bucket_name))
    outcomes = await asyncio.gather(
        *(store.put("a.jpg", b"1", JPEG) for store in (s3, other) * 4), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert await other.get("a.jpg") == b"1"


def test_a_refusal_is_read_out_of_an_error() -> None:
    bucket = Bucket("http://127.0.0.1:1", "photos", "us-east-1", "key", "secret")
    said = "... status code: 507 Full: <Error><Code>NoSpace</Code><Message>The disk is full</Message></Error>"
    assert refusal_in(said) == Refusal(507, "NoSpace", "The disk is full")
    assert Refusal(507, "NoSpace", "The disk is full").sentence(bucket) == (
        "http://127.0.0.1:1 says 507 NoSpace: The disk is full"
    )
    assert refusal_in("HEAD ... status code: 403 Forbidden: ") == Refusal(403, "", "")
    assert "refuses the access key" in Refusal(403, "", "").sentence(bucket)
    assert refusal_in("HTTP error: error sending request") is None
