"""Uploads in chunks: whatever is lost, repeated or sent twice, a file arrives once and whole, or leaves nothing behind."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator
from io import BytesIO
from itertools import count

import pytest
from django.conf import settings
from PIL import Image

from calotype.config.wiring import open_site
from calotype.infra.blobs import S3Blobs, ensure_bucket
from calotype.infra.tao import Sweep
from calotype.product.photos import changes, staging
from calotype.product.photos.types import EXPIRED, STAGED
from calotype.web.handler import LeanHandler
from calotype.web.site import Site
from tests.client import Client
from tests.outbox import all_done
from tests.product.staged import (
    JSON,
    PART,
    announce,
    begin,
    chunk,
    noise,
    post,
    remove,
    send,
    staged_blobs,
    where,
)
from tests.versitygw import RunningVersitygw
from tests.web_fixtures import Someone, new_address, picture

_numbers = count(1)


@pytest.fixture
async def restarted(web_site: Site) -> AsyncIterator[Site]:
    """The same site as a process knows it that was started after the first chunk."""
    async with open_site(settings.SITE, settings.DATA) as site:
        yield site


async def test_an_upload_goes_on_in_another_process_after_a_restart(ann: Someone, restarted: Site) -> None:
    data = noise()
    file = await begin(ann.browser, data)
    assert (await chunk(ann.browser, file, 0, data[:PART])).status == 204
    after = Client(LeanHandler(restarted), dict(ann.browser.cookies), new_address())
    assert (await after.request("HEAD", f"/uploads/{file}/")).headers["upload-offset"] == str(PART)
    assert (await chunk(after, file, PART, data[PART:])).headers["upload-offset"] == str(len(data))
    assert (await where(ann.browser, file)).json()["checked"]


async def test_a_chunk_that_comes_twice_is_answered_twice_and_stored_once(
    ann: Someone, web_site: Site
) -> None:
    data = noise()
    file = await begin(ann.browser, data)
    answers = [await chunk(ann.browser, file, 0, data[:PART]) for _ in range(2)]
    at_once = await asyncio.gather(*(chunk(ann.browser, file, PART, data[PART : PART * 2]) for _ in range(3)))
    again = await chunk(ann.browser, file, 0, data[:PART])
    assert {answer.status for answer in (*answers, *at_once, again)} == {204}
    assert again.headers["upload-offset"] == str(PART * 2)
    assert len(await staged_blobs(web_site.blobs, file)) == 2


async def test_the_last_chunk_may_come_twice_too(ann: Someone) -> None:
    data = picture()
    file = await begin(ann.browser, data)
    answers = await asyncio.gather(*(chunk(ann.browser, file, 0, data) for _ in range(2)))
    assert {answer.status for answer in answers} == {204}
    assert (await post(ann.browser, file)).status == 201


@pytest.mark.parametrize("offset", [1, PART - 1, PART * 2])
async def test_a_chunk_from_a_wrong_place_is_told_the_right_one(offset: int, ann: Someone) -> None:
    data = noise()
    file = await begin(ann.browser, data)
    await chunk(ann.browser, file, 0, data[:PART])
    answer = await chunk(ann.browser, file, offset, data[offset : offset + PART])
    assert (answer.status, answer.error_code) == (409, "upload_offset")
    assert answer.json()["error"]["data"]["offset"] == PART


async def test_two_tabs_that_cut_a_file_differently_cannot_garble_it(ann: Someone) -> None:
    data = noise()
    file = await begin(ann.browser, data, sha256=hashlib.sha256(data).hexdigest())

    async def tab(length: int) -> None:
        offset = 0
        while offset < len(data):
            answer = await chunk(ann.browser, file, offset, data[offset : offset + length])
            assert answer.status in (204, 409), answer.text
            offset = (
                int(answer.headers["upload-offset"])
                if answer.status == 204
                else answer.json()["error"]["data"]["offset"]
            )

    await asyncio.gather(tab(PART), tab(PART + 1_000))
    assert (await where(ann.browser, file)).json()["checked"]


@pytest.mark.parametrize(
    ("headers", "size", "status", "code"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, PART, 400, "bad_request"),
        ({"upload-offset": "-1"}, PART, 400, "bad_request"),
        ({"upload-offset": "٣"}, PART, 400, "bad_request"),
        ({"upload-offset": "9" * 12}, PART, 400, "bad_request"),
        ({"x-csrftoken": ""}, PART, 403, "csrf_failed"),
        ({}, PART - 1, 422, "upload_chunk_invalid"),
        ({}, 1_000_000, 422, "upload_chunk_invalid"),
        ({}, staging.MAX_CHUNK_BYTES + 1, 413, "too_large"),
    ],
)
async def test_a_chunk_that_is_none_is_refused_and_not_stored(
    headers: dict[str, str], size: int, status: int, code: str, ann: Someone, web_site: Site
) -> None:
    data = noise()
    file = await begin(ann.browser, data)
    sent = {name: value.encode().decode("latin1") for name, value in headers.items()}
    answer = await chunk(ann.browser, file, 0, bytes(size), **sent)
    assert (answer.status, answer.error_code) == (status, code)
    assert await staged_blobs(web_site.blobs, file) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (noise()[:100_000], "image_damaged"),
        (b"not a picture at all", "image_not_recognised"),
    ],
)
async def test_a_damaged_file_is_refused_as_soon_as_it_is_there_and_others_go_on(
    data: bytes, reason: str, ann: Someone, web_site: Site
) -> None:
    good, bad = await send(ann.browser, picture()), await begin(ann.browser, data)
    for _ in range(2):  # whoever has lost the answer is told the same
        answer = await chunk(ann.browser, bad, 0, data)
        assert (answer.status, answer.error_code) == (422, "upload_refused"), answer.text
        assert answer.json()["error"]["data"]["reason"] == reason
    assert (await where(ann.browser, bad)).error_code == "upload_refused"
    await remove(web_site)
    assert await staged_blobs(web_site.blobs, bad) == []
    assert (await post(ann.browser, good)).status == 201
    assert (await post(ann.browser, bad)).error_code == "upload_refused"


async def test_a_file_that_changed_on_its_way_is_refused(ann: Someone) -> None:
    data = picture()
    file = await begin(ann.browser, data, sha256="0" * 64)
    answer = await chunk(ann.browser, file, 0, data)
    assert answer.json()["error"]["data"]["reason"] == "upload_chunk_invalid"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"size": "0"}, 422, "image_empty"),
        ({"size": "50000001"}, 413, "image_file_too_large"),
        ({"size": "-1"}, 400, "bad_request"),
        ({"size": "many"}, 400, "bad_request"),
        ({"sha256": "abc"}, 400, "bad_request"),
    ],
)
async def test_what_is_known_to_be_wrong_is_refused_before_a_byte_is_sent(
    fields: dict[str, str], status: int, code: str, ann: Someone, web_site: Site
) -> None:
    answer = await ann.browser.post("/uploads/", {"name": "a.png", "size": "5", **fields}, headers=JSON)
    assert (answer.status, answer.error_code) == (status, code)
    assert await web_site.graph.assoc_count(STAGED, ann.id) == 0


async def test_a_repeated_announcement_is_the_same_file(ann: Someone, web_site: Site) -> None:
    answers = await asyncio.gather(*(announce(ann.browser, b"12345", key="k") for _ in range(3)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await web_site.graph.assoc_count(STAGED, ann.id) == 1


async def test_only_its_owner_can_see_continue_post_or_end_it(
    ann: Someone, bob: Someone, browser: Client
) -> None:
    data = picture()
    file = await begin(ann.browser, data)
    answers = [
        await where(bob.browser, file),
        await chunk(bob.browser, file, 0, data),
        await bob.browser.get(f"/uploads/{file}/preview.jpeg", headers=JSON),
        await bob.browser.request(
            "DELETE", f"/uploads/{file}/", headers=JSON | {"x-csrftoken": await bob.browser.token()}
        ),
    ]
    assert (await chunk(ann.browser, file, 0, data)).status == 204
    answers.append(await post(bob.browser, file))
    assert {(answer.status, answer.error_code) for answer in answers} == {(404, "upload_missing")}
    assert (await where(browser, file)).status == 401
    assert (await where(ann.browser, file)).json()["checked"]


async def test_whoever_is_not_signed_in_may_not_send_a_chunk(browser: Client) -> None:
    answer = await chunk(browser, "1", 0, bytes(2 << 20))
    assert (answer.status, answer.error_code) == (413, "too_large")


async def test_a_cancelled_file_leaves_nothing_behind(ann: Someone, web_site: Site) -> None:
    data = noise()
    file = await begin(ann.browser, data)
    await chunk(ann.browser, file, 0, data[:PART])
    headers = JSON | {"x-csrftoken": await ann.browser.token()}
    assert (await ann.browser.request("DELETE", f"/uploads/{file}/", headers=headers)).status == 204
    assert (await ann.browser.request("DELETE", f"/uploads/{file}/", headers=headers)).status == 404
    assert (await chunk(ann.browser, file, PART, data[PART:])).error_code == "upload_missing"
    await remove(web_site)
    assert await staged_blobs(web_site.blobs, file) == []
    assert await web_site.graph.assoc_count(STAGED, ann.id) == 0


async def test_a_chunk_that_arrives_while_its_file_is_cancelled_is_removed(
    ann: Someone, web_site: Site
) -> None:
    data = noise()
    file = int(await begin(ann.browser, data))
    store = web_site.blobs

    class Cancelling:
        """The store, during whose put the file goes, and so do the blobs that it has."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        async def put(self, key: str, part: bytes, content_type: str) -> None:
            await staging.cancel(web_site.graph, ann.id, file)
            await remove(web_site)
            await store.put(key, part, content_type)

    between = dataclasses.replace(web_site, blobs=Cancelling())  # type: ignore[arg-type]  # all else is the store's own
    with pytest.raises(staging.FileMissing):
        await staging.append(between, ann.id, file, 0, data[:PART])
    assert await staged_blobs(store, str(file)) == []


async def test_what_nobody_posts_is_removed_a_day_later(
    ann: Someone, web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "EXPIRES_MS", 0)
    file = await send(ann.browser, picture())
    handlers = {EXPIRED: staging.expire(web_site.graph), "blobs": changes.remove_blobs(web_site.blobs)}
    sweep = Sweep(web_site.graph.shards, handlers)
    await all_done(sweep)
    assert (await where(ann.browser, file)).error_code == "upload_missing"
    assert await staged_blobs(web_site.blobs, file) == []
    answer = await post(ann.browser, file)
    assert (answer.status, answer.json()["error"]["data"]["files"]) == (404, [file])


async def test_an_account_cannot_fill_the_store(
    ann: Someone, web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "OPEN_FILES", 2)
    answers = [await announce(ann.browser, b"12345") for _ in range(3)]
    assert [answer.status for answer in answers] == [201, 201, 429]
    assert answers[2].error_code == "too_many_open_uploads"
    assert await web_site.graph.assoc_count(STAGED, ann.id) == 2
    monkeypatch.setattr(staging, "OPEN_FILES", 9)
    monkeypatch.setattr(staging, "OPEN_BYTES", 14)
    assert (await announce(ann.browser, b"12345")).status == 429
    assert (await announce(ann.browser, b"1234")).status == 201


async def test_a_preview_is_there_for_browsers_that_cannot_show_the_file(ann: Someone) -> None:
    file = await send(ann.browser, noise(800, 600))
    answer = await ann.browser.get(f"/uploads/{file}/preview.jpeg")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(BytesIO(answer.body)).size == (320, 240)


@pytest.mark.s3
async def test_chunks_lie_on_s3_and_outlive_its_restart(
    ann: Someone, web_site: Site, own_versitygw: RunningVersitygw
) -> None:
    bucket = own_versitygw.bucket(f"staged-{next(_numbers)}")
    await ensure_bucket(bucket)
    on_s3 = dataclasses.replace(web_site, blobs=S3Blobs(bucket))
    browser = Client(LeanHandler(on_s3), dict(ann.browser.cookies), new_address())
    data = noise()
    file = await begin(browser, data)
    assert (await chunk(browser, file, 0, data[:PART])).status == 204
    own_versitygw.kill()
    away = await chunk(browser, file, PART, data[PART:])
    assert (away.status, away.headers["retry-after"]) == (503, "2")
    own_versitygw.start()
    assert (await where(browser, file)).json()["offset"] == PART
    assert (await chunk(browser, file, PART, data[PART:])).status == 204
    assert (await post(browser, file)).status == 201
    await remove(on_s3)
    assert await staged_blobs(on_s3.blobs, file) == []
