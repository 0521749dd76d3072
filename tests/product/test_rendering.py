"""The variants that follow an upload: made in the background, named when they are there, gone with their post."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from django.conf import settings
from PIL import Image

from calotype.config.jobs import failures
from calotype.infra.blobs import BlobInfo, BlobKey, LocalBlobs
from calotype.infra.ids import shard_of
from calotype.infra.imaging import ImageDamaged
from calotype.infra.jobs.dispatch import Dispatcher
from calotype.infra.tao import Graph, Sweep, VersionConflict, Writes
from calotype.product.photos import actions, changes
from calotype.product.photos.queries import photo_view
from calotype.product.photos.rendering import render
from calotype.product.photos.types import STORED, Photo, Post, PostId
from calotype.web.site import Site
from tests.client import Client
from tests.outbox import all_done
from tests.running_site import SOURCE
from tests.web_fixtures import Someone, picture

DISPLAY = {"square", "320", "640", "1080"}
SMALL = (500, 300)
"""Has two widths: few steps, and quick ones."""


class Stopped(Exception):
    """As a worker that is killed: nothing after it is done."""


class Interrupted(LocalBlobs):
    """The site's blobs; before or after one of its operations something else happens."""

    def __init__(self, at: int, interruption: Callable[[], Awaitable[None]]) -> None:
        super().__init__(settings.DATA / "blobs")
        self.at, self.step, self._interruption = at, 0, interruption

    async def _next(self) -> None:
        self.step += 1
        if self.step - 1 == self.at:
            await self._interruption()

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        await self._next()
        await super().put(key, data, content_type)
        await self._next()

    async def get(self, key: str) -> bytes:
        await self._next()
        return await super().get(key)

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        await self._next()
        async for info in super().list(prefix):
            yield info


STEPS = 6
"""list, get, and two of each of two puts: the last one is after everything is stored, and before it is named."""


class Meanwhile(Graph):
    """The site's graph; something else happens between the read of an object and its first change."""

    def __init__(self, site: Site, first: Callable[[], Awaitable[object]]) -> None:
        super().__init__(site.graph.shards)
        self._first: Callable[[], Awaitable[object]] | None = first

    @asynccontextmanager
    async def transaction(self, partition: str, shard: int) -> AsyncIterator[Writes]:
        first, self._first = self._first, None
        if first is not None:
            await first()
        async with super().transaction(partition, shard) as write:
            yield write


async def posted(someone: Someone, site: Site, size: tuple[int, int] = SMALL) -> tuple[int, Photo]:
    """A post of one photo as its upload leaves it."""
    answer = await someone.browser.post(
        "/new/",
        {"caption": "before"},
        files=[("photos", ("a.png", picture(*size)))],
        headers={"accept": "application/json"},
    )
    post_id = int(answer.json()["posts"][0])
    return post_id, await photo_of(site, post_id)


async def photo_of(site: Site, post_id: int) -> Photo:
    post = await site.graph.obj_get(Post, post_id)
    assert post is not None
    return post.data.photos[0]


async def files(site: Site, photo: Photo) -> set[str]:
    """The names of its public files."""
    names = {str(info.key).rpartition("/")[2] async for info in site.blobs.list(actions.prefix(photo.id))}
    return {name for name in names if not name.startswith("original-")}


def named(*stems: str, formats: tuple[str, ...] = ("jpeg", "webp")) -> set[str]:
    return {f"{stem}.{format}" for stem in stems for format in formats}


def deletion(someone: Someone, site: Site, post_id: int, sweep: Sweep) -> Callable[[], Awaitable[None]]:
    """The post is deleted, and its blobs are removed before anything else happens."""

    async def delete() -> None:
        await changes.delete(site.graph, someone.id, PostId(post_id))
        await all_done(sweep)

    return delete


async def stop() -> None:
    raise Stopped


# What is made, and when


async def test_an_upload_is_answered_with_the_display_variants_and_the_job_adds_the_rest(
    ann: Someone, web_site: Site
) -> None:
    post_id, photo = await posted(ann, web_site, (2100, 1400))
    assert await files(web_site, photo) == named(*DISPLAY)
    assert (photo.widths, photo.avif) == ([320, 640, 1080], False)
    await render(web_site, post_id, photo.id)
    complete = named(*DISPLAY, "2048") | named("320", "640", "1080", "2048", formats=("avif",))
    assert await files(web_site, photo) == complete
    photo = await photo_of(web_site, post_id)
    assert (photo.widths, photo.avif) == ([320, 640, 1080, 2048], True)
    made = Image.open(BytesIO(await web_site.blobs.get(f"photos/{photo.id}/2048.avif")))
    assert (made.format, made.size) == ("AVIF", (2048, 1365))


async def test_a_narrow_photo_lacks_avif_alone(ann: Someone, web_site: Site) -> None:
    post_id, photo = await posted(ann, web_site)
    assert photo.widths == [320, 500]
    await render(web_site, post_id, photo.id)
    assert await photo_of(web_site, post_id) == replaced(photo, avif=True)
    assert await files(web_site, photo) == named("square", "320", "500") | {"320.avif", "500.avif"}


def replaced(photo: Photo, **changes: object) -> Photo:
    return msgspec.structs.replace(photo, **changes)


async def test_each_photo_of_an_upload_leaves_its_work_with_the_post(ann: Someone, web_site: Site) -> None:
    answer = await ann.post_photos(*[(f"{n}.png", picture()) for n in range(3)])
    found = re.search(r"\d+", answer.location)
    assert found is not None
    post = await web_site.graph.obj_get(Post, int(found[0]))
    assert post is not None
    shard = shard_of(ann.id)
    rows = await web_site.graph.shards.pool("media", shard).fetch(
        "select (payload->>'photo')::bigint, due - created from outbox where shard = $1 and kind = $2"
        " and (payload->>'post')::bigint = $3 order by due",
        shard, STORED, post.id,
    )  # fmt: skip
    assert [tuple(row) for row in rows] == [
        (photo.id, nth * actions.RENDER_EVERY_MS) for nth, photo in enumerate(post.data.photos, start=1)
    ]


# Pages and addresses


async def test_pages_name_what_exists_and_all_that_they_name_exists(
    ann: Someone, browser: Client, web_site: Site
) -> None:
    post_id, photo = await posted(ann, web_site)
    pages = (f"/p/{post_id}/", f"/@{ann.username}/")
    for page in pages:
        assert "image/avif" not in (await browser.get(page)).text
    assert (await browser.get(f"/media/{post_id}/{photo.id}/320.avif")).status == 404
    await render(web_site, post_id, photo.id)
    for page in pages:
        (formats,) = re.findall(r"<picture>(.*?)</picture>", (await browser.get(page)).text, re.DOTALL)
        assert re.findall(r'type="image/(\w+)"', formats) == ["avif", "webp"]
        addresses = re.findall(r"(/media/\S+?\.(\w+)) \d+w", formats)
        assert len(addresses) == 6
        for address, format in addresses:
            answer = await browser.get(address)
            assert (answer.status, answer.headers["content-type"]) == (200, f"image/{format}")
    assert (await browser.get(f"/media/{post_id}/{photo.id}/square.avif")).status == 404


def test_a_photo_that_was_posted_before_there_was_avif_is_shown_as_before() -> None:
    stored = b'{"id": 7, "width": 4032, "height": 3024, "blurhash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj", "widths": [320, 640, 1080, 2048]}'
    photo = msgspec.json.decode(stored, type=Photo)
    view = photo_view(1, photo)
    assert view.avif == ""
    assert view.full == "/media/1/7/2048.jpeg"
    assert json.loads(msgspec.json.encode(photo)) == json.loads(stored)


# Twice, at once, and stopped anywhere


async def test_jobs_of_one_photo_that_run_at_once_are_one(ann: Someone, web_site: Site) -> None:
    post_id, photo = await posted(ann, web_site)
    await asyncio.gather(*(render(web_site, post_id, photo.id) for _ in range(3)))
    assert await photo_of(web_site, post_id) == replaced(photo, avif=True)


async def test_jobs_of_the_photos_of_one_post_all_name_what_they_made(ann: Someone, web_site: Site) -> None:
    answer = await ann.browser.post(
        "/new/",
        files=[("photos", (f"{n}.png", picture())) for n in range(4)],
        headers={"accept": "application/json"},
    )
    post_id = int(answer.json()["posts"][0])
    post = await web_site.graph.obj_get(Post, post_id)
    assert post is not None
    await asyncio.gather(*(render(web_site, post_id, photo.id) for photo in post.data.photos))
    post = await web_site.graph.obj_get(Post, post_id)
    assert post is not None
    assert [photo.avif for photo in post.data.photos] == [True] * 4


@pytest.mark.parametrize("step", range(STEPS))
async def test_a_job_that_is_killed_anywhere_is_finished_by_the_next(
    step: int, ann: Someone, web_site: Site
) -> None:
    post_id, photo = await posted(ann, web_site)
    with pytest.raises(Stopped):
        await render(replace(web_site, blobs=Interrupted(step, stop)), post_id, photo.id)
    assert await photo_of(web_site, post_id) == photo
    await render(web_site, post_id, photo.id)
    assert await photo_of(web_site, post_id) == replaced(photo, avif=True)
    assert named("320", "500", formats=("avif",)) <= await files(web_site, photo)


# Beside an edit


async def test_an_edit_while_the_job_names_what_it_made_is_kept(ann: Someone, web_site: Site) -> None:
    post_id, photo = await posted(ann, web_site)

    async def edit() -> None:
        await changes.edit(web_site.graph, ann.id, PostId(post_id), caption="after", alts=["a teal field"])

    await render(replace(web_site, graph=Meanwhile(web_site, edit)), post_id, photo.id)
    post = await web_site.graph.obj_get(Post, post_id)
    assert post is not None
    assert post.data.caption == "after"
    assert post.data.photos == [replaced(photo, avif=True, alt="a teal field")]


async def test_what_the_job_names_during_an_edit_is_kept_and_nobody_is_refused(
    ann: Someone, web_site: Site
) -> None:
    post_id, photo = await posted(ann, web_site)
    graph = Meanwhile(web_site, lambda: render(web_site, post_id, photo.id))
    await changes.edit(graph, ann.id, PostId(post_id), caption="after", alts=["a teal field"])
    post = await web_site.graph.obj_get(Post, post_id)
    assert post is not None
    assert post.data.caption == "after"
    assert post.data.photos == [replaced(photo, avif=True, alt="a teal field")]


async def test_a_post_that_never_rests_is_left_to_the_next_try(ann: Someone, web_site: Site) -> None:
    post_id, photo = await posted(ann, web_site)

    class Restless(Graph):
        @asynccontextmanager
        async def transaction(self, partition: str, shard: int) -> AsyncIterator[Writes]:
            await self.obj_update(Post, post_id)
            async with super().transaction(partition, shard) as write:
                yield write

    with pytest.raises(VersionConflict):
        await render(replace(web_site, graph=Restless(web_site.graph.shards)), post_id, photo.id)
    await render(web_site, post_id, photo.id)
    assert (await photo_of(web_site, post_id)).avif


# Beside a deletion


async def test_of_a_deleted_post_the_job_makes_nothing(ann: Someone, web_site: Site, sweep: Sweep) -> None:
    post_id, photo = await posted(ann, web_site)
    await deletion(ann, web_site, post_id, sweep)()
    await render(web_site, post_id, photo.id)
    assert await files(web_site, photo) == set()


@pytest.mark.parametrize("step", range(STEPS))
async def test_a_post_that_is_deleted_at_any_moment_of_the_job_leaves_no_blob(
    step: int, ann: Someone, web_site: Site, sweep: Sweep
) -> None:
    post_id, photo = await posted(ann, web_site)
    store = Interrupted(step, deletion(ann, web_site, post_id, sweep))
    await render(replace(web_site, blobs=store), post_id, photo.id)
    assert store.step > step, "the post was not deleted"
    assert [info async for info in web_site.blobs.list(actions.prefix(photo.id))] == []


async def test_a_post_that_is_deleted_while_the_job_names_what_it_made_leaves_no_blob(
    ann: Someone, web_site: Site, sweep: Sweep
) -> None:
    post_id, photo = await posted(ann, web_site)
    graph = Meanwhile(web_site, deletion(ann, web_site, post_id, sweep))
    await render(replace(web_site, graph=graph), post_id, photo.id)
    assert [info async for info in web_site.blobs.list(actions.prefix(photo.id))] == []


@pytest.mark.parametrize("step", range(STEPS))
async def test_a_job_that_is_killed_after_its_post_was_deleted_leaves_no_blob_once_it_was_run_again(
    step: int, ann: Someone, web_site: Site, sweep: Sweep
) -> None:
    post_id, photo = await posted(ann, web_site)
    delete = deletion(ann, web_site, post_id, sweep)

    async def delete_and_store() -> None:
        """The removal comes before a blob that was on its way, and the worker dies then."""
        await delete()
        await web_site.blobs.put(f"{actions.prefix(photo.id)}/late.avif", b"late", "image/avif")
        raise Stopped

    with pytest.raises(Stopped):
        await render(replace(web_site, blobs=Interrupted(step, delete_and_store)), post_id, photo.id)
    assert await files(web_site, photo) == {"late.avif"}
    await render(web_site, post_id, photo.id)
    assert await files(web_site, photo) == set()


# Failures


async def test_an_original_that_is_damaged_by_now_fails_the_job(ann: Someone, web_site: Site) -> None:
    post_id, photo = await posted(ann, web_site)
    (original,) = [
        info.key async for info in web_site.blobs.list(actions.prefix(photo.id)) if "original" in info.key
    ]
    await overwritten(web_site, original, (await web_site.blobs.get(original))[:-40])
    with pytest.raises(ImageDamaged):
        await render(web_site, post_id, photo.id)
    assert await photo_of(web_site, post_id) == photo


async def overwritten(site: Site, key: BlobKey, data: bytes) -> None:
    await site.blobs.delete(key)
    await site.blobs.put(key, data, "image/png")


async def test_a_photo_without_an_original_stays_as_it_is(ann: Someone, web_site: Site) -> None:
    post_id, photo = await posted(ann, web_site)
    async for info in web_site.blobs.list(actions.prefix(photo.id)):
        if "original" in info.key:
            await web_site.blobs.delete(info.key)
    await render(web_site, post_id, photo.id)
    assert await photo_of(web_site, post_id) == photo
    assert await files(web_site, photo) == named("square", "320", "500")


@contextmanager
def worker(refused: Path) -> Iterator[None]:
    """Of the site's bulk jobs: a process."""
    program = str(Path(__file__).with_name("render_program.py"))
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with (refused / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", program, str(refused)], env=environment, stdout=log, stderr=log
        )
        try:
            yield
        except AssertionError as error:
            error.add_note((refused / "log").read_text()[-4000:])
            raise
        finally:
            process.terminate()
            process.wait(20)


async def eventually(true: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < until, "it did not become true in time"
        await asyncio.sleep(0.05)


def listed() -> dict[str, Any]:
    """What `calotype jobs list` says."""
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "calotype.cli", "jobs", "list", "--json"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        check=False,
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.mark.fault
@pytest.mark.timeout(120)
async def test_a_variant_that_fails_is_tried_again_and_seen_and_holds_up_no_other(
    ann: Someone, web_site: Site, sweep: Sweep, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    control = settings.SITE.control_dsn
    with psycopg.connect(control, autocommit=True) as connection:
        # What other tests left to nobody, some of it not due before this one is at work: it would stand before ours.
        for pool in web_site.graph.shards.pools.values():
            await pool.write("delete from outbox where kind <> 'mirror'")
        connection.execute("select pgmq.purge_queue('bulk')")
        connection.execute("delete from calotype_jobs.failures")
        sound, late, never = [await posted(ann, web_site) for _ in range(3)]
        (tmp_path / str(late[1].id)).write_text("2")
        (tmp_path / str(never[1].id)).write_text("1000")
        await all_done(sweep)

        async def all_tried() -> bool:
            """Without waiting for what is due in seconds, then minutes."""
            await sweep.once()
            connection.execute("update calotype_jobs.failures set due = now() where due is not null")
            await dispatcher.retry_due()
            done = [(await photo_of(web_site, post_id)).avif for post_id, _ in (sound, late)]
            return all(done) and any(one.dead for one in failures(settings.SITE).all())

        with worker(tmp_path):
            await eventually(all_tried)
            assert (tmp_path / str(late[1].id)).read_text() == "0"
            (failed,) = listed()["failed"]
            assert failed["job"] == "photos.render"
            assert json.loads(failed["arguments"]) == {"post": never[0], "photo": never[1].id}
            assert (failed["attempts"], failed["due"]) == (9, None)
            assert "is refused" in failed["error"]
            assert "in _store_missing" in failed["traceback"]
            assert await photo_of(web_site, never[0]) == never[1]
            assert (await ann.browser.get(f"/p/{never[0]}/")).status == 200

            (tmp_path / str(never[1].id)).unlink()
            assert failures(settings.SITE).retry([failed["id"]]) == 1
            await dispatcher.retry_due()

            async def mended() -> bool:
                return (await photo_of(web_site, never[0])).avif

            await eventually(mended)

            async def forgotten() -> bool:
                return failures(settings.SITE).all() == []

            await eventually(forgotten)
