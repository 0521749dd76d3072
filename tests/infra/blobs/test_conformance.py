"""What holds for every engine of `BlobStore`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calotype.infra.blobs import (
    BlobExists,
    BlobKeyInvalid,
    BlobMissing,
    BlobRangeInvalid,
    BlobStore,
    BlobsUnavailable,
    blob_key,
    blob_prefix,
)
from calotype.std.deadline import deadline

JPEG = "image/jpeg"

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789_-"
segments = st.text(ALPHABET, min_size=1, max_size=20)
keys = st.builds(
    lambda directories, name, extension: "/".join([*directories, f"{name}.{extension}"]),
    st.lists(segments, max_size=4),
    segments,
    segments,
)
bounded = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

BAD_KEYS = [
    "",
    "/a.jpg",
    "a/../b.jpg",
    "..",
    "../a.jpg",
    "./a.jpg",
    ".a.jpg",
    "a//b.jpg",
    "a/",
    "a.jpg/",
    "a.b/c.jpg",
    "noextension",
    "A.jpg",
    "a b.jpg",
    "a.jpg\n",
    "a.jpg\0",
    "é.jpg",
    "a\\b.jpg",
    "a.jpg#1",
    "%2e%2e/a.jpg",
    "a" * 201 + ".jpg",
    "/".join(["abcdefgh"] * 64) + ".jpg",
]


async def contents(store: BlobStore, prefix: str = "") -> dict[str, int]:
    return {info.key: info.size_bytes async for info in store.list(prefix)}


async def whole(store: BlobStore, key: str, **range_: int) -> bytes:
    stream = await store.open(key, **range_)
    return b"".join([chunk async for chunk in stream.chunks])


async def test_what_is_put_is_got(store: BlobStore) -> None:
    await store.put("photos/1/640.jpg", b"bytes", JPEG)
    assert await store.get("photos/1/640.jpg") == b"bytes"
    assert type(await store.get("photos/1/640.jpg")) is bytes


async def test_head_tells_size_and_time(store: BlobStore) -> None:
    await store.put("photos/1/640.jpg", b"12345", JPEG)
    info = await store.head("photos/1/640.jpg")
    assert (info.key, info.size_bytes) == ("photos/1/640.jpg", 5)
    assert abs(datetime.now(UTC) - info.modified) < timedelta(minutes=1)


async def test_a_missing_blob_is_a_404(store: BlobStore) -> None:
    await store.put("photos/1/640.jpg", b"1", JPEG)
    for key in ("photos/1/320.jpg", "nowhere.jpg", "photos/2/a/b.jpg"):
        for reading in (store.get(key), store.head(key), store.open(key)):
            with pytest.raises(BlobMissing) as caught:
                await reading
            assert (caught.value.status, caught.value.code, caught.value.data["key"]) == (
                404,
                "blob_missing",
                key,
            )


async def test_a_second_put_is_refused_and_changes_nothing(store: BlobStore) -> None:
    await store.put("a.jpg", b"first", JPEG)
    with pytest.raises(BlobExists) as caught:
        await store.put("a.jpg", b"second", JPEG)
    assert caught.value.status == 409
    assert await store.get("a.jpg") == b"first"


async def test_of_concurrent_puts_exactly_one_wins(store: BlobStore) -> None:
    bodies = [bytes([n]) * 200_000 for n in range(16)]
    outcomes = await asyncio.gather(
        *(store.put("a/b.jpg", body, JPEG) for body in bodies), return_exceptions=True
    )
    winners = [n for n, outcome in enumerate(outcomes) if outcome is None]
    assert len(winners) == 1
    assert all(isinstance(outcome, BlobExists) for n, outcome in enumerate(outcomes) if n not in winners)
    assert await store.get("a/b.jpg") == bodies[winners[0]]
    assert await contents(store) == {"a/b.jpg": 200_000}


async def test_an_empty_blob_is_a_blob(store: BlobStore) -> None:
    await store.put("empty.bin", b"", "application/octet-stream")
    assert await store.get("empty.bin") == b""
    assert (await store.head("empty.bin")).size_bytes == 0
    assert await whole(store, "empty.bin") == b""


async def test_a_stream_comes_in_chunks_and_tells_the_size_first(store: BlobStore) -> None:
    body = bytes(range(256)) * 4000
    await store.put("large.bin", body, JPEG)
    stream = await store.open("large.bin", chunk_bytes=100_000)
    assert (stream.size_bytes, stream.start, stream.end) == (len(body), 0, len(body))
    chunks = [chunk async for chunk in stream.chunks]
    assert b"".join(chunks) == body
    assert 5 <= len(chunks) <= 11
    assert all(chunks)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 4, b"0123"), (8, None, b"89"), (9, 99, b"9"), (0, 99, b"0123456789"), (3, 4, b"3")],
)
async def test_a_range_is_clipped_to_the_blob(
    store: BlobStore, start: int, end: int | None, expected: bytes
) -> None:
    await store.put("digits.txt", b"0123456789", "text/plain")
    stream = await store.open("digits.txt", start=start, end=end)
    assert (stream.size_bytes, stream.start, stream.end) == (10, start, start + len(expected))
    assert b"".join([chunk async for chunk in stream.chunks]) == expected


@pytest.mark.parametrize(("start", "end"), [(10, None), (5, 5), (6, 5), (-1, 5), (11, 12), (0, 0)])
async def test_a_range_without_bytes_is_a_416(store: BlobStore, start: int, end: int | None) -> None:
    await store.put("digits.txt", b"0123456789", "text/plain")
    with pytest.raises(BlobRangeInvalid, match="none of the blob's 10 bytes") as caught:
        await store.open("digits.txt", start=start, end=end)
    assert caught.value.status == 416


async def test_delete_says_whether_there_was_one(store: BlobStore) -> None:
    await store.put("a/b/c.jpg", b"1", JPEG)
    assert await store.delete("a/b/c.jpg") is True
    assert await store.delete("a/b/c.jpg") is False
    assert await contents(store) == {}
    await store.put("a/b/c.jpg", b"2", JPEG)
    assert await store.get("a/b/c.jpg") == b"2"


async def test_a_prefix_is_whole_directories(store: BlobStore) -> None:
    for key in ("photos/7/a.jpg", "photos/7/deep/b.jpg", "photos/77/c.jpg", "photos7/d.jpg"):
        await store.put(key, b"1", JPEG)
    assert set(await contents(store, "photos/7")) == {"photos/7/a.jpg", "photos/7/deep/b.jpg"}
    assert set(await contents(store, "photos/7/")) == {"photos/7/a.jpg", "photos/7/deep/b.jpg"}
    assert await contents(store, "photos/nothing") == {}
    assert await store.delete_prefix("photos/7") == 2
    assert set(await contents(store)) == {"photos/77/c.jpg", "photos7/d.jpg"}
    assert await store.delete_prefix("photos/7") == 0


async def test_everything_is_never_deleted_at_once(store: BlobStore) -> None:
    await store.put("a.jpg", b"1", JPEG)
    for prefix in ("", "/"):
        with pytest.raises(BlobKeyInvalid):
            await store.delete_prefix(prefix)
    assert await contents(store) == {"a.jpg": 1}


async def test_puts_survive_removals_of_the_same_directory(store: BlobStore) -> None:
    async def put(n: int) -> None:
        await store.put(f"a/b/c/{n}.jpg", b"1", JPEG)

    removed = 0
    for start in range(0, 600, 6):
        counts = await asyncio.gather(
            *(put(n) for n in range(start, start + 6)), *(store.delete_prefix("a/b") for _ in range(3))
        )
        removed += sum(n for n in counts if n is not None)
    left = await contents(store)
    assert removed >= 600 - len(left), "each is there or was counted"
    for key in left:
        assert await store.get(key) == b"1"
    await store.delete_prefix("a/b")
    assert await contents(store) == {}


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_a_bad_key_is_refused_before_anything_happens(store: BlobStore, key: str) -> None:
    for call in (
        store.put(key, b"1", JPEG),
        store.get(key),
        store.head(key),
        store.open(key),
        store.delete(key),
    ):
        with pytest.raises(BlobKeyInvalid):
            await call
    assert await contents(store) == {}


@pytest.mark.parametrize("prefix", ["..", "a/../b", "a//b", "/a", "a.jpg", "A", "a\0", "a" * 201])
async def test_a_bad_prefix_is_refused(store: BlobStore, prefix: str) -> None:
    with pytest.raises(BlobKeyInvalid):
        await store.delete_prefix(prefix)
    with pytest.raises(BlobKeyInvalid):
        await contents(store, prefix)


@pytest.mark.parametrize(
    "content_type", ["", "jpeg", "image/jpeg\r\nX: 1", "image/jpeg; charset=x", "a/" + "b" * 100]
)
async def test_a_bad_content_type_is_refused(store: BlobStore, content_type: str) -> None:
    with pytest.raises(BlobKeyInvalid, match="content type"):
        await store.put("a.jpg", b"1", content_type)


async def test_it_says_that_it_is_healthy(store: BlobStore) -> None:
    assert await store.healthy() is True
    assert await contents(store) == {}


async def test_a_passed_deadline_is_a_503(store: BlobStore) -> None:
    await store.put("a.jpg", b"1", JPEG)
    with deadline(0.0):
        for call in (store.get("a.jpg"), store.head("a.jpg"), store.put("b.jpg", b"2", JPEG)):
            with pytest.raises(BlobsUnavailable, match="deadline") as caught:
                await call
            assert (caught.value.status, caught.value.retry_after_s) == (503, 2)
    assert await store.get("a.jpg") == b"1"


async def test_a_large_put_leaves_the_loop_free(store: BlobStore) -> None:
    body = bytes(64 * 1024 * 1024)
    putting = asyncio.create_task(store.put("large.bin", body, JPEG))
    turns = 0
    while not putting.done():
        await asyncio.sleep(0)
        turns += 1
    await putting
    assert turns > 20, "the loop turned while the disk worked"


numbers = count()


@bounded
@given(key=keys, body=st.binary(max_size=3000))
async def test_any_key_and_any_bytes_come_back(store: BlobStore, key: str, body: bytes) -> None:
    placed = f"run{next(numbers)}/{key}"  # examples share one store
    await store.put(placed, body, "application/octet-stream")
    assert await store.get(placed) == body
    assert await whole(store, placed) == body
    assert (await store.head(placed)).size_bytes == len(body)
    assert await contents(store, placed.rpartition("/")[0]) == {placed: len(body)}
    with pytest.raises(BlobExists):
        await store.put(placed, b"other", "application/octet-stream")
    assert await store.delete(placed)
    with pytest.raises(BlobMissing):
        await store.get(placed)


@bounded
@given(body=st.binary(min_size=1, max_size=500), data=st.data())
async def test_any_range_is_the_slice(store: BlobStore, body: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(body) - 1))
    end = data.draw(st.integers(start + 1, len(body) + 10))
    key = f"range{next(numbers)}.bin"
    await store.put(key, body, "application/octet-stream")
    assert await whole(store, key, start=start, end=end, chunk_bytes=7) == body[start:end]


@given(text=st.text(max_size=40))
def test_any_text_is_a_safe_key_or_refused(text: str) -> None:
    try:
        key = blob_key(text)
    except BlobKeyInvalid:
        return
    assert key == text
    assert set(key) <= set(ALPHABET + "./")
    assert not key.startswith(("/", ".")) and ".." not in key and "//" not in key


@given(first=keys, second=keys)
def test_no_key_is_the_directory_of_another(first: str, second: str) -> None:
    assert not blob_key(second).startswith(f"{blob_key(first)}/")
    with pytest.raises(BlobKeyInvalid):
        blob_prefix(first)
