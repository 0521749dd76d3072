"""A site whose blobs are on S3, and what is left of it while that server is gone."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools

import pytest

from calotype.infra.blobs import S3Blobs, ensure_bucket
from calotype.infra.tao import Sweep
from calotype.product.photos import actions, changes
from calotype.product.photos.types import POSTED, Post
from calotype.web.handler import LeanHandler
from calotype.web.site import Site
from tests.client import Client
from tests.outbox import all_done
from tests.versitygw import RunningVersitygw
from tests.web_fixtures import Someone, new_address, picture

pytestmark = pytest.mark.s3

JSON = {"accept": "application/json"}

_numbers = itertools.count(1)


@pytest.fixture
def bucket_name() -> str:
    return f"site-{next(_numbers)}"


@pytest.fixture
async def site_on_s3(web_site: Site, own_versitygw: RunningVersitygw, bucket_name: str) -> Site:
    bucket = own_versitygw.bucket(bucket_name)
    await ensure_bucket(bucket)
    return dataclasses.replace(web_site, blobs=S3Blobs(bucket))


@pytest.fixture
async def ann_on_s3(ann: Someone, site_on_s3: Site) -> Someone:
    """Ann's browser, on a worker whose blobs are on S3."""
    browser = Client(LeanHandler(site_on_s3), dict(ann.browser.cookies), new_address())
    return Someone(ann.id, ann.username, browser)


async def keys(site: Site) -> list[str]:
    return [info.key async for info in site.blobs.list()]


async def remove_abandoned(site: Site) -> None:
    """What the outbox does about uploads that have become no post."""
    await all_done(Sweep(site.graph.shards, {"blobs": changes.remove_blobs(site.blobs)}))


async def test_photos_are_posted_shown_and_deleted(ann_on_s3: Someone, site_on_s3: Site) -> None:
    post_id = await ann_on_s3.post_one("On S3")
    post = await site_on_s3.graph.obj_get(Post, post_id)
    assert post is not None
    photo = post.data.photos[0]
    assert len(await keys(site_on_s3)) > 2
    shown = await ann_on_s3.browser.get(f"/media/{post_id}/{photo.id}/{photo.widths[-1]}.webp")
    assert (shown.status, shown.headers["content-type"]) == (200, "image/webp")
    assert (await ann_on_s3.browser.post(f"/p/{post_id}/delete/")).status == 303
    await remove_abandoned(site_on_s3)
    assert await keys(site_on_s3) == []


async def test_while_it_is_gone_nothing_is_posted_and_pages_are_there(
    ann_on_s3: Someone, site_on_s3: Site, own_versitygw: RunningVersitygw
) -> None:
    post_id = await ann_on_s3.post_one("Before")
    post = await site_on_s3.graph.obj_get(Post, post_id)
    assert post is not None
    stored = sorted(await keys(site_on_s3))
    own_versitygw.kill()

    answer = await ann_on_s3.browser.post("/new/", files=[("photos", ("a.png", picture()))], headers=JSON)
    assert (answer.status, answer.error_code) == (503, "blobs_unavailable")
    assert answer.headers["retry-after"] == "2"
    assert await site_on_s3.graph.assoc_count(POSTED, ann_on_s3.id) == 1

    for path in ("/", f"/p/{post_id}/", f"/@{ann_on_s3.username}/"):
        assert (await ann_on_s3.browser.get(path)).status == 200, path
    photo = post.data.photos[0]
    assert (await ann_on_s3.browser.get(f"/media/{post_id}/{photo.id}/square.jpeg")).status == 503
    health = await ann_on_s3.browser.get("/healthz")
    assert health.status == 503
    assert health.json()["engines"]["blobs"] == "down"

    own_versitygw.start()
    assert (await ann_on_s3.browser.get("/healthz")).json()["engines"]["blobs"] == "up"
    assert (await ann_on_s3.browser.get(f"/media/{post_id}/{photo.id}/square.jpeg")).status == 200
    assert sorted(await keys(site_on_s3)) == stored


async def test_what_was_stored_before_it_died_is_removed_once_it_is_back(
    ann_on_s3: Someone,
    site_on_s3: Site,
    own_versitygw: RunningVersitygw,
    bucket_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(actions, "ABANDONED_MS", 0)
    photos = own_versitygw.server.objects / bucket_name / "photos"
    files = [("photos", (f"{n}.png", picture(800, 600))) for n in range(8)]
    posting = asyncio.create_task(ann_on_s3.browser.post("/new/", files=files, headers=JSON))
    while not any(photos.rglob("*.png")):  # noqa: ASYNC110  a directory sends no events
        await asyncio.sleep(0.001)
    own_versitygw.kill()
    answer = await posting
    assert (answer.status, answer.error_code) == (503, "blobs_unavailable")
    assert await site_on_s3.graph.assoc_count(POSTED, ann_on_s3.id) == 0
    own_versitygw.start()
    assert await keys(site_on_s3) != []
    await remove_abandoned(site_on_s3)
    assert await keys(site_on_s3) == []
