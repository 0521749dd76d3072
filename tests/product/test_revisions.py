"""Edited photographs: what is kept of them, what is shown, and editing them once more."""

from __future__ import annotations

import asyncio
import json
import re
from io import BytesIO
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from calotype.infra.blobs import BlobMissing
from calotype.infra.tao import Sweep
from calotype.product.comments.types import HAS_COMMENT
from calotype.product.likes.types import LIKED_BY
from calotype.product.photos import actions, recipe, revisions
from calotype.product.photos.queries import PhotoMissing
from calotype.product.photos.rendering import render
from calotype.product.photos.types import POSTED, Photo, Post, PostId
from calotype.web.site import Site
from tests.client import Answer
from tests.outbox import all_done
from tests.web_fixtures import NewPerson, Someone, picture

JSON = {"accept": "application/json"}
CYANOTYPE = json.dumps({"v": 1, "filter": "cyanotype", "crop": [0, 0, 0.5, 1]}).encode()
PLAIN = json.dumps({"v": 1}).encode()
MODULES = Path(recipe.__file__).parent / "static/photos/editor"


def photo_file(color: str, size: tuple[int, int] = (400, 300), **options: object) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG", **options)
    return out.getvalue()


def located(color: str) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (46.0, 56.0, 53.0), "E", (7.0, 26.0, 50.0)
    return photo_file(color, exif=exif)


async def posted(someone: Someone, site: Site, *uploads: actions.Upload) -> PostId:
    return (await actions.publish(site, someone.id, uploads, "Words")).posts[0]


async def photo_of(site: Site, post_id: int, at: int = 0) -> Photo:
    post = await site.graph.obj_get(Post, post_id)
    assert post is not None
    return post.data.photos[at]


async def blobs_of(site: Site, photo_id: int) -> dict[str, bytes]:
    keys = [info.key async for info in site.blobs.list(f"photos/{photo_id}")]
    return {key.rpartition("/")[2]: await site.blobs.get(key) for key in keys}


async def photos_stored(site: Site) -> set[str]:
    return {info.key.split("/")[1] async for info in site.blobs.list("photos")}


def color_of(data: bytes) -> tuple[int, ...]:
    pixel = Image.open(BytesIO(data)).convert("RGB").getpixel((5, 5))
    assert isinstance(pixel, tuple)
    return tuple(int(level) for level in pixel)


async def revise(
    someone: Someone, post_id: int, photo_id: int, edited: bytes, made_by: bytes = CYANOTYPE
) -> Answer:
    fields = {"post": str(post_id), "photo": str(photo_id), "recipe": made_by.decode()}
    return await someone.browser.post(
        "/new/edited/", fields, files=[("edited", ("edited.jpg", edited))], headers=JSON
    )


async def test_an_edited_photo_is_shown_and_its_original_is_kept(ann: Someone, web_site: Site) -> None:
    original, edited = located("red"), photo_file("blue", (200, 300))
    post_id = await posted(
        ann, web_site, actions.Upload("a.jpg", original, "A field", edited=edited, recipe=CYANOTYPE)
    )
    photo = await photo_of(web_site, post_id)
    assert (photo.width, photo.height, photo.alt) == (200, 300, "A field")
    assert recipe.read(photo.recipe.encode()) == recipe.read(CYANOTYPE)
    kept = await blobs_of(web_site, photo.id)
    assert [data for name, data in kept.items() if name.startswith("original-")] == [original]
    assert [data for name, data in kept.items() if name.startswith("edited-")] == [edited]
    for width in photo.widths:
        red, _, blue = color_of(kept[f"{width}.webp"])
        assert blue > red


async def test_the_variants_that_follow_are_made_of_the_edited_photo(ann: Someone, web_site: Site) -> None:
    upload = actions.Upload(
        "a.jpg", photo_file("red"), edited=photo_file("blue", (1200, 900)), recipe=CYANOTYPE
    )
    post_id = await posted(ann, web_site, upload)
    before = await photo_of(web_site, post_id)
    await render(web_site, post_id, before.id)
    photo = await photo_of(web_site, post_id)
    assert photo.avif
    assert photo.widths[-1] == 1200
    assert photo.recipe == before.recipe
    stored = await blobs_of(web_site, photo.id)
    red, _, blue = color_of(stored["1200.avif"])
    assert blue > red


async def test_no_public_byte_of_an_edited_photo_carries_the_place(ann: Someone, web_site: Site) -> None:
    upload = actions.Upload("a.jpg", located("red"), edited=located("blue"), recipe=CYANOTYPE)
    post_id = await posted(ann, web_site, upload)
    photo = await photo_of(web_site, post_id)
    for name, data in (await blobs_of(web_site, photo.id)).items():
        answer = await ann.browser.get(f"/media/{post_id}/{photo.id}/{name}")
        if name.startswith(("original-", "edited-")):
            assert answer.status == 404
        else:
            assert answer.status == 200
            assert b"SecretCamera" not in data
            assert b"Exif" not in data


async def test_a_recipe_that_changes_nothing_leaves_the_original_to_be_shown(
    ann: Someone, web_site: Site
) -> None:
    data = photo_file("red")
    post_id = await posted(ann, web_site, actions.Upload("a.jpg", data, edited=data, recipe=PLAIN))
    photo = await photo_of(web_site, post_id)
    assert photo.recipe == ""
    assert not [name for name in await blobs_of(web_site, photo.id) if name.startswith("edited-")]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"null",
        b"{}",
        b'{"v": 2}',
        b'{"v": 1, "exposure": 101}',
        b'{"v": 1, "exposure": NaN}',
        b'{"v": 1, "exposure": "1"}',
        b'{"v": 1, "turn": 4}',
        b'{"v": 1, "straighten": -46}',
        b'{"v": 1, "crop": [0.6, 0, 0.5, 1]}',
        b'{"v": 1, "crop": [0, 0, 0.01, 1]}',
        b'{"v": 1, "crop": [0, 0, 1]}',
        b'{"v": 1, "filter": "<script>"}',
        b'{"v": 1, "evil": 1}',
        b'\xff{"v": 1}',
        b'{"v": 1}' + b" " * 4000,
        b"[" * 3000,
    ],
)
async def test_a_recipe_out_of_its_ranges_is_refused_and_nothing_is_stored(
    broken: bytes, ann: Someone, web_site: Site
) -> None:
    upload = actions.Upload("a.jpg", photo_file("red"), edited=photo_file("blue"), recipe=broken)
    before = {info.key async for info in web_site.blobs.list("photos")}
    with pytest.raises(actions.NothingStored):
        await actions.publish(web_site, ann.id, [upload])
    assert {info.key async for info in web_site.blobs.list("photos")} == before
    assert await web_site.graph.assoc_count(POSTED, ann.id) == 0


async def test_an_edited_file_that_is_no_photo_is_refused(ann: Someone, web_site: Site) -> None:
    upload = actions.Upload("a.jpg", photo_file("red"), edited=b"<html>", recipe=CYANOTYPE)
    with pytest.raises(actions.NothingStored):
        await actions.publish(web_site, ann.id, [upload])
    no_original = actions.Upload("a.jpg", b"<html>", edited=photo_file("red"), recipe=CYANOTYPE)
    with pytest.raises(actions.NothingStored):
        await actions.publish(web_site, ann.id, [no_original])


async def test_editing_again_makes_new_addresses_and_keeps_everything_else(
    ann: Someone, bob: Someone, web_site: Site, sweep: Sweep
) -> None:
    original = located("red")
    upload = actions.Upload("a.jpg", original, "A field", edited=photo_file("blue"), recipe=CYANOTYPE)
    post_id = await posted(ann, web_site, actions.Upload("b.png", picture()), upload)
    assert (await bob.browser.post(f"/p/{post_id}/like/")).status == 303
    assert (await bob.browser.post(f"/p/{post_id}/comments/", {"text": "Well seen"})).status == 303
    first, old = await photo_of(web_site, post_id), await photo_of(web_site, post_id, 1)
    answer = await revise(ann, post_id, old.id, photo_file("lime", (300, 300)), b'{"v":1,"exposure":12.5}')
    assert answer.status == 201, answer.text
    new = await photo_of(web_site, post_id, 1)
    assert answer.json()["photo"] == str(new.id) != str(old.id)
    assert (new.width, new.alt) == (300, "A field")
    assert recipe.read(new.recipe.encode()).exposure == 12.5
    assert await photo_of(web_site, post_id) == first
    red, green, _ = color_of((await ann.browser.get(answer.json()["src"])).body)
    assert green > red
    assert (await ann.browser.get(f"/media/{post_id}/{old.id}/{old.widths[0]}.webp")).status == 404
    await all_done(sweep)
    assert await blobs_of(web_site, old.id) == {}
    kept = await blobs_of(web_site, new.id)
    assert [data for name, data in kept.items() if name.startswith("original-")] == [original]
    assert await web_site.graph.assoc_count(HAS_COMMENT, post_id) == 1
    assert await web_site.graph.assoc_count(LIKED_BY, post_id) == 1


async def test_taking_an_edit_back_shows_the_original_again(ann: Someone, web_site: Site) -> None:
    upload = actions.Upload("a.jpg", photo_file("red"), edited=photo_file("blue"), recipe=CYANOTYPE)
    post_id = await posted(ann, web_site, upload)
    photo = await photo_of(web_site, post_id)
    assert (await revise(ann, post_id, photo.id, photo_file("red"), PLAIN)).status == 201
    again = await photo_of(web_site, post_id)
    assert again.recipe == ""
    red, _, blue = color_of((await blobs_of(web_site, again.id))[f"{again.widths[-1]}.jpeg"])
    assert red > blue


async def test_the_original_is_sent_to_its_author_only_and_is_never_kept(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    data = located("red")
    post_id = await posted(ann, web_site, actions.Upload("a.jpg", data))
    photo = await photo_of(web_site, post_id)
    path = f"/p/{post_id}/photos/{photo.id}/original/"
    mine = await ann.browser.get(path)
    assert (mine.status, mine.body) == (200, data)
    assert mine.headers["cache-control"] == "private, no-store"
    assert mine.headers["content-disposition"] == "attachment"
    assert mine.headers["content-type"] == "image/jpeg"
    assert mine.headers["x-content-type-options"] == "nosniff"
    assert (await bob.browser.get(path)).status == 403
    stranger = await ann.browser.get(f"/p/{post_id}/photos/{photo.id + 1}/original/")
    assert stranger.status == 404


async def test_a_heic_original_is_sent_as_a_jpeg_of_its_size(ann: Someone, web_site: Site) -> None:
    out = BytesIO()
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (320, 240), "red")).save(out)
    post_id = await posted(ann, web_site, actions.Upload("a.heic", out.getvalue()))
    photo = await photo_of(web_site, post_id)
    answer = await ann.browser.get(f"/p/{post_id}/photos/{photo.id}/original/")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(BytesIO(answer.body)).size == (320, 240)


async def test_somebody_elses_photo_cannot_be_edited(ann: Someone, bob: Someone, web_site: Site) -> None:
    post_id = await posted(ann, web_site, actions.Upload("a.png", picture()))
    photo = await photo_of(web_site, post_id)
    answer = await revise(bob, post_id, photo.id, photo_file("blue"))
    assert (answer.status, answer.error_code) == (403, "not_yours")
    assert await photo_of(web_site, post_id) == photo
    for post, photo_id in (("x", photo.id), ("9" * 30, photo.id), (str(post_id), "0")):
        fields = {"post": post, "photo": str(photo_id), "recipe": CYANOTYPE.decode()}
        refused = await ann.browser.post("/new/edited/", fields, headers=JSON)
        assert refused.status == 404


async def test_of_two_edits_at_once_one_wins_and_the_other_leaves_nothing(
    ann: Someone, web_site: Site, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "ABANDONED_MS", 0)
    post_id = await posted(ann, web_site, actions.Upload("a.png", picture()))
    photo = await photo_of(web_site, post_id)

    async def one(color: str) -> Photo:
        data = photo_file(color)
        return await revisions.revise(web_site, ann.id, post_id, photo.id, edited=data, recipe=CYANOTYPE)

    outcomes = await asyncio.gather(one("blue"), one("lime"), return_exceptions=True)
    won = [each for each in outcomes if isinstance(each, Photo)]
    lost = [each for each in outcomes if isinstance(each, PhotoMissing | BlobMissing)]
    assert (len(won), len(lost)) == (1, 1), outcomes
    assert (await photo_of(web_site, post_id)).id == won[0].id
    await all_done(sweep)
    stored = {info.key.split("/")[1] async for info in web_site.blobs.list("photos")}
    assert str(photo.id) not in stored
    assert str(won[0].id) in stored


@pytest.mark.parametrize("made_by", [CYANOTYPE, PLAIN])
async def test_an_edit_that_is_sent_again_is_answered_as_the_first_time(
    made_by: bytes, ann: Someone, web_site: Site, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "ABANDONED_MS", 0)
    before = await photos_stored(web_site)
    upload = actions.Upload(
        "a.jpg", photo_file("red"), edited=photo_file("lime"), recipe=b'{"v":1,"exposure":5}'
    )
    post_id = await posted(ann, web_site, upload, actions.Upload("b.png", picture()))
    photo = await photo_of(web_site, post_id)
    edited = photo_file("blue", (200, 300))
    first = await revise(ann, post_id, photo.id, edited, made_by)
    again = await revise(ann, post_id, photo.id, edited, made_by)
    assert (first.status, again.status) == (201, 201), again.text
    assert again.json() == first.json()
    await all_done(sweep)
    later = await revise(ann, post_id, photo.id, edited, made_by)
    assert later.json() == first.json()
    shown, beside = await photo_of(web_site, post_id), await photo_of(web_site, post_id, 1)
    assert await photos_stored(web_site) - before == {str(shown.id), str(beside.id)}


async def test_an_edit_that_is_sent_again_while_the_first_runs_gets_the_same_answer(
    ann: Someone, web_site: Site, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "ABANDONED_MS", 0)
    before = await photos_stored(web_site)
    post_id = await posted(ann, web_site, actions.Upload("a.png", picture()))
    photo = await photo_of(web_site, post_id)
    answers = await asyncio.gather(*(revise(ann, post_id, photo.id, photo_file("blue")) for _ in range(3)))
    assert [each.status for each in answers] == [201] * 3
    assert len({each.json()["photo"] for each in answers}) == 1
    await all_done(sweep)
    assert await photos_stored(web_site) - before == {str((await photo_of(web_site, post_id)).id)}


@pytest.mark.parametrize(
    ("color", "made_by"), [("lime", CYANOTYPE), ("blue", b'{"v":1,"exposure":5}'), ("blue", PLAIN)]
)
async def test_another_edit_of_a_photo_that_was_edited_meanwhile_is_refused(
    color: str, made_by: bytes, ann: Someone, web_site: Site
) -> None:
    post_id = await posted(ann, web_site, actions.Upload("a.png", picture()))
    photo = await photo_of(web_site, post_id)
    assert (await revise(ann, post_id, photo.id, photo_file("blue"))).status == 201
    after = await photo_of(web_site, post_id)
    answer = await revise(ann, post_id, photo.id, photo_file(color), made_by)
    assert (answer.status, answer.error_code) == (404, "photo_missing")
    assert await photo_of(web_site, post_id) == after


async def test_an_edit_that_is_sent_again_by_somebody_else_is_refused(
    ann: Someone, bob: Someone, web_site: Site
) -> None:
    post_id = await posted(ann, web_site, actions.Upload("a.png", picture()))
    photo = await photo_of(web_site, post_id)
    assert (await revise(ann, post_id, photo.id, photo_file("blue"))).status == 201
    assert (await revise(bob, post_id, photo.id, photo_file("blue"))).error_code == "not_yours"


async def test_an_edit_that_fails_changes_nothing(
    ann: Someone, web_site: Site, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "ABANDONED_MS", 0)
    post_id = await posted(ann, web_site, actions.Upload("a.png", picture()))
    photo = await photo_of(web_site, post_id)
    await all_done(sweep)  # what other edits have given up
    before = {info.key async for info in web_site.blobs.list("photos")}
    answer = await revise(ann, post_id, photo.id, b"not a photo")
    assert answer.status == 422
    await all_done(sweep)
    assert await photo_of(web_site, post_id) == photo
    assert {info.key async for info in web_site.blobs.list("photos")} == before


async def test_the_page_of_a_post_offers_to_edit_its_photos(ann: Someone, web_site: Site) -> None:
    upload = actions.Upload("a.jpg", photo_file("red"), edited=photo_file("blue"), recipe=CYANOTYPE)
    post_id = await posted(ann, web_site, upload)
    page = await ann.browser.get(f"/p/{post_id}/edit/")
    assert "data-edit-photo hidden" in page.text
    assert "cyanotype" in page.text
    assert "export.worker" in page.text


def test_browser_and_server_know_the_same_filters_and_ranges() -> None:
    filters = re.findall(r'^    id: "(\w+)"', (MODULES / "filters.js").read_text(), re.MULTILINE)
    assert len(filters) == 12
    assert {"", *filters} == set(get_args(recipe.FilterId))
    named = re.findall(r"^  (\w+): \{ name:", (MODULES / "filter_words.js").read_text(), re.MULTILINE)
    assert named == filters
    for name, low, high in re.findall(
        r"^  (\w+): \[(-?\d+), (-?\d+)\],$", (MODULES / "recipe.js").read_text(), re.MULTILINE
    ):
        for value, good in ((low, True), (high, True), (int(low) - 1, False), (int(high) + 1, False)):
            document = json.dumps({"v": 1, name: float(value)}).encode()
            if good:
                recipe.read(document)
            else:
                with pytest.raises(recipe.RecipeInvalid):
                    recipe.read(document)


async def test_a_new_person_has_no_way_to_anybodys_original(
    ann: Someone, new_person: NewPerson, web_site: Site
) -> None:
    post_id = await posted(ann, web_site, actions.Upload("a.png", picture()))
    photo = await photo_of(web_site, post_id)
    someone = await new_person()
    answer = await someone.browser.get(f"/p/{post_id}/photos/{photo.id}/original/", headers=JSON)
    assert answer.error_code == "not_yours"
