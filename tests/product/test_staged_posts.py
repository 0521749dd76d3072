"""Posting files that were uploaded in chunks: each once, whole, and with its words."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from calotype.product.photos import actions
from calotype.product.photos.types import POSTED, STAGED, Post
from calotype.web.site import Site
from tests.product.staged import PART, begin, chunk, noise, post, remove, send, staged_blobs, where
from tests.web_fixtures import Someone, picture

RECIPE = '{"v":1,"exposure":20}'


async def test_a_file_comes_in_chunks_and_is_posted_with_its_words(ann: Someone, web_site: Site) -> None:
    first, second = noise(), picture(color="red")
    files = [await send(ann.browser, first, name="1.png"), await send(ann.browser, second, name="2.png")]
    assert (await where(ann.browser, files[0])).json() == {
        "id": files[0],
        "offset": len(first),
        "length": len(first),
        "checked": True,
    }
    answer = await post(ann.browser, *reversed(files), caption="Two", alt=["a red field", "noise"])
    assert answer.status == 201, answer.text
    made = await web_site.graph.obj_get(Post, int(answer.json()["posts"][0]))
    assert made is not None
    assert made.data.caption == "Two"
    assert [(photo.width, photo.alt) for photo in made.data.photos] == [(40, "a red field"), (320, "noise")]
    original = f"photos/{made.data.photos[1].id}/original-{hashlib.sha256(first).hexdigest()}.png"
    assert await web_site.blobs.get(original) == first
    assert await web_site.graph.assoc_count(STAGED, ann.id) == 0
    assert (await where(ann.browser, files[0])).error_code == "upload_missing"
    await remove(web_site)
    assert [await staged_blobs(web_site.blobs, file) for file in files] == [[], []]


async def test_a_post_of_files_that_comes_twice_is_made_once(ann: Someone, web_site: Site) -> None:
    file = await send(ann.browser, picture())
    answers = await asyncio.gather(*(post(ann.browser, file, key="once") for _ in range(2)))
    answers.append(await post(ann.browser, file, key="once"))
    assert {answer.status for answer in answers} == {201}, [answer.text for answer in answers]
    assert len({answer.json()["posts"][0] for answer in answers}) == 1
    assert await web_site.graph.assoc_count(POSTED, ann.id) == 1


async def test_a_file_makes_one_photo_only(ann: Someone, web_site: Site) -> None:
    file = await send(ann.browser, picture())
    assert (await post(ann.browser, file, file)).status == 422
    answers = await asyncio.gather(*(post(ann.browser, file, key=key) for key in ("one", "two")))
    assert sorted(answer.status for answer in answers) == [201, 404]
    assert await web_site.graph.assoc_count(POSTED, ann.id) == 1


async def test_a_file_that_has_not_arrived_is_not_posted(ann: Someone) -> None:
    data = noise()
    file = await begin(ann.browser, data)
    await chunk(ann.browser, file, 0, data[:PART])
    answer = await post(ann.browser, file)
    assert (answer.status, answer.error_code) == (409, "upload_incomplete")


async def test_what_was_edited_in_the_browser_is_handed_on(
    ann: Someone, web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[actions.Upload] = []
    store = actions.store

    async def seen(site: Site, id_: int, upload: actions.Upload) -> object:
        handed.append(upload)
        return await store(site, id_, upload)

    monkeypatch.setattr(actions, "store", seen)
    plain, edited = picture(color="red"), picture(color="blue")
    files = [await send(ann.browser, plain), await send(ann.browser, picture())]
    rendition = await send(ann.browser, edited)
    answer = await post(ann.browser, *files, edited=[rendition, ""], recipe=[RECIPE, ""])
    assert answer.status == 201, answer.text
    by_recipe = {upload.recipe: upload for upload in handed}
    assert by_recipe[RECIPE.encode()].edited == edited
    assert by_recipe[RECIPE.encode()].data == plain
    assert by_recipe[b""].edited == b""


@pytest.mark.parametrize("recipe", ["{", '{"v":9}', '"' + "x" * 5_000 + '"'])
async def test_a_recipe_that_is_none_is_refused_before_anything_is_posted(recipe: str, ann: Someone) -> None:
    file = await send(ann.browser, picture())
    assert (await post(ann.browser, file, recipe=[recipe])).error_code == "recipe_invalid"
    assert (await where(ann.browser, file)).json()["checked"]


async def test_a_caption_that_is_too_long_is_told_as_json(ann: Someone) -> None:
    file = await send(ann.browser, picture())
    answer = await post(ann.browser, file, caption="x" * 2_201)
    assert (answer.status, answer.error_code) == (422, "words_invalid")
    assert (await post(ann.browser, file, caption="x")).status == 201
