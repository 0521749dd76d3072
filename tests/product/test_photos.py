"""Uploads, good and bad; posts; media."""

from __future__ import annotations

import asyncio
import re
import zlib
from io import BytesIO

import pytest
from PIL import Image

from calotype.infra.blobs import BlobsUnavailable
from calotype.infra.tao import Sweep
from calotype.product.comments.types import AUTHORED, HAS_COMMENT, Comment
from calotype.product.likes.types import LIKES
from calotype.product.photos import actions
from calotype.product.photos.types import POSTED, Post
from calotype.web.site import Site
from tests.client import Client
from tests.outbox import all_done
from tests.web_fixtures import Someone, picture

JSON = {"accept": "application/json"}


def jpeg(width: int = 400, height: int = 300, **options: object) -> bytes:
    out = BytesIO()
    gradient = Image.linear_gradient("L").resize((width, height))
    Image.merge("RGB", (gradient, gradient.rotate(180), gradient)).save(out, "JPEG", **options)
    return out.getvalue()


def located_jpeg() -> bytes:
    """With a place in its EXIF and its XMP."""
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (46.0, 56.0, 53.0), "E", (7.0, 26.0, 50.0)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><exif:GPSLatitude>46,56.88N</exif:GPSLatitude></x:xmpmeta>'
    return jpeg(exif=exif, xmp=xmp)


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 pixels in a few hundred kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)

    header = (20_000).to_bytes(4) + (20_000).to_bytes(4) + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(bytes(20_001 * 1000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def blobs(site: Site) -> set[str]:
    return {str(info.key) async for info in site.blobs.list("photos")}


async def test_photos_are_posted_in_their_order_with_their_descriptions(ann: Someone, web_site: Site) -> None:
    files = [(f"{color}.png", picture(color=color)) for color in ("red", "green", "blue")]
    answer = await ann.post_photos(*files, caption="Three colours", alt=["a red field", "", "a blue field"])
    assert answer.status == 303
    found = re.fullmatch(r"/p/(\d+)/edit/\?new", answer.location)
    assert found is not None
    post = await web_site.graph.obj_get(Post, int(found[1]))
    assert post is not None
    assert [photo.alt for photo in post.data.photos] == ["a red field", "", "a blue field"]
    assert post.data.caption == "Three colours"
    colors = []
    for photo in post.data.photos:
        image = await ann.browser.get(f"/media/{post.id}/{photo.id}/{photo.widths[-1]}.webp")
        colors.append(Image.open(BytesIO(image.body)).convert("RGB").getpixel((5, 5)))
    dominant = [max(range(3), key=lambda channel, c=color: c[channel]) for color in colors]  # type: ignore[misc]  # a pixel of RGB is a tuple
    assert dominant == [0, 1, 2]


async def test_the_original_is_kept_byte_for_byte_and_has_no_address(ann: Someone, web_site: Site) -> None:
    original = located_jpeg()
    answer = await ann.browser.post("/new/", files=[("photos", ("a.jpg", original))], headers=JSON)
    post = await web_site.graph.obj_get(Post, int(answer.json()["posts"][0]))
    assert post is not None
    photo = post.data.photos[0]
    keys = [info.key async for info in web_site.blobs.list(f"photos/{photo.id}")]
    kept = [key for key in keys if "original" in key]
    assert len(kept) == 1
    assert await web_site.blobs.get(kept[0]) == original
    name = kept[0].rsplit("/", 1)[1]
    assert (await ann.browser.get(f"/media/{post.id}/{photo.id}/{name}")).status == 404


async def test_no_public_byte_carries_the_place_or_the_camera(ann: Someone, web_site: Site) -> None:
    answer = await ann.browser.post("/new/", files=[("photos", ("a.jpg", located_jpeg()))], headers=JSON)
    post = await web_site.graph.obj_get(Post, int(answer.json()["posts"][0]))
    assert post is not None
    photo = post.data.photos[0]
    names = [f"{width}.{format}" for width in (*photo.widths, "square") for format in ("jpeg", "webp")]
    for name in names:
        image = await ann.browser.get(f"/media/{post.id}/{photo.id}/{name}")
        assert image.status == 200
        for secret in (b"GPS", b"Exif", b"SecretCamera", b"xmpmeta", b"http://ns.adobe.com"):
            assert secret not in image.body


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("empty.jpg", b"", 422, "image_empty"),
        ("text.jpg", b"not a picture at all, " * 1_400_000, 422, "image_not_recognised"),
        ("half.jpg", jpeg(1600, 1200)[:20_000], 422, "image_damaged"),
        ("bomb.png", bomb(), 422, "image_too_many_pixels"),
        (
            "vector.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            422,
            "image_not_recognised",
        ),
        ("page.html.jpg", b"\xff\xd8\xff\xe0<html><script>alert(1)</script></html>", 422, "image_damaged"),
    ],
)
async def test_a_file_that_is_no_photo_is_refused_and_nothing_is_stored(
    name: str, content: bytes, status: int, code: str, ann: Someone, web_site: Site
) -> None:
    before = await blobs(web_site)
    answer = await ann.browser.post("/new/", files=[("photos", (name, content))], headers=JSON)
    assert answer.status == status
    assert answer.error_code == "nothing_stored", answer.text[:3000]
    assert name in answer.json()["error"]["message"]
    assert await blobs(web_site) == before
    assert await web_site.graph.assoc_count(POSTED, ann.id) == 0
    page = await ann.post_photos((name, content))
    assert page.status == status
    assert name in page.text


async def test_a_png_named_jpg_is_taken_for_what_it_is(ann: Someone) -> None:
    answer = await ann.browser.post("/new/", files=[("photos", ("photo.jpg", picture()))], headers=JSON)
    assert answer.status == 201


async def test_an_animation_keeps_its_first_frame_and_says_so(ann: Someone) -> None:
    out = BytesIO()
    frames = [Image.new("RGB", (20, 20), (20 * n, 0, 0)) for n in range(12)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    answer = await ann.browser.post("/new/", files=[("photos", ("a.gif", out.getvalue()))], headers=JSON)
    assert answer.json()["notes"] == ["a.gif: animated: the first of 12 frames is kept"]


async def test_a_drop_of_60_files_with_3_broken_ones_stores_57_and_names_3(
    ann: Someone, web_site: Site
) -> None:
    files = [(f"{n:02}.png", picture(12, 8) if n not in (7, 20, 41) else b"broken") for n in range(60)]
    answer = await ann.browser.post("/new/", files=[("photos", file) for file in files], headers=JSON)
    assert answer.status == 201
    published = answer.json()
    assert published["stored"] == 57
    assert all(isinstance(id_, str) for id_ in published["posts"])
    assert [sentence[:6] for sentence in published["refused"]] == ["07.png", "20.png", "41.png"]
    posts = [await web_site.graph.obj_get(Post, int(id_)) for id_ in published["posts"]]
    assert [len(post.data.photos) for post in posts if post] == [20, 20, 17]


async def test_61_files_are_refused_with_the_limit(ann: Someone) -> None:
    answer = await ann.browser.post(
        "/new/", files=[("photos", (f"{n}.png", picture(4, 4))) for n in range(61)], headers=JSON
    )
    assert (answer.status, answer.error_code) == (413, "too_many_files")
    assert "60" in answer.json()["error"]["message"]


async def test_a_double_click_posts_once(ann: Someone, web_site: Site) -> None:
    headers = {**JSON, "idempotency-key": "one-click"}
    answers = [
        await ann.browser.post("/new/", files=[("photos", ("a.png", picture()))], headers=headers)
        for _ in range(2)
    ]
    assert answers[0].json()["posts"] == answers[1].json()["posts"]
    both = await asyncio.gather(
        *(
            ann.browser.post(
                "/new/", {"key": "two-clicks"}, files=[("photos", ("a.png", picture()))], headers=JSON
            )
            for _ in range(2)
        )
    )
    assert {answer.status for answer in both} == {201}
    assert both[0].json()["posts"] == both[1].json()["posts"]
    assert [answer.json()["stored"] for answer in (*answers, *both)] == [1, 1, 1, 1]
    assert await web_site.graph.assoc_count(POSTED, ann.id) == 2


async def test_a_repeated_upload_whose_post_is_gone_says_so(ann: Someone) -> None:
    headers = {**JSON, "idempotency-key": "gone"}
    first = await ann.browser.post("/new/", files=[("photos", ("a.png", picture()))], headers=headers)
    await ann.browser.post(f"/p/{first.json()['posts'][0]}/delete/")
    again = await ann.browser.post("/new/", files=[("photos", ("a.png", picture()))], headers=headers)
    assert (again.status, again.error_code) == (404, "post_missing")


async def test_a_store_that_is_full_is_a_503_and_nothing_is_posted(
    ann: Someone, web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise BlobsUnavailable("the disk is full")

    monkeypatch.setattr(type(web_site.blobs), "put", full)
    files = [("photos", (f"{n}.png", picture())) for n in range(3)]
    answer = await ann.browser.post("/new/", files=files, headers=JSON)
    assert (answer.status, answer.error_code) == (503, "blobs_unavailable")
    assert "retry-after" in answer.headers
    assert await web_site.graph.assoc_count(POSTED, ann.id) == 0


async def test_an_upload_that_dies_leaves_no_file_behind(
    ann: Someone, web_site: Site, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> list[int]:
        raise KeyboardInterrupt

    before = await blobs(web_site)
    monkeypatch.setattr(actions, "_post", die)
    monkeypatch.setattr(actions, "ABANDONED_MS", 0)
    with pytest.raises(KeyboardInterrupt):
        await actions.publish(web_site, ann.id, [actions.Upload("a.png", picture())])
    left = await blobs(web_site) - before
    assert left
    await all_done(sweep)
    assert await blobs(web_site) & left == set()


async def test_only_the_author_can_edit_or_delete_a_post(ann: Someone, bob: Someone, web_site: Site) -> None:
    post_id = await ann.post_one("mine")
    for path in (f"/p/{post_id}/edit/", f"/p/{post_id}/delete/"):
        assert (await bob.browser.get(path)).error_code == "not_yours"
        assert (await bob.browser.post(path, {"caption": "stolen"})).error_code == "not_yours"
    post = await web_site.graph.obj_get(Post, post_id)
    assert post is not None
    assert post.data.caption == "mine"


async def test_caption_and_descriptions_can_be_changed(ann: Someone, browser: Client) -> None:
    post_id = await ann.post_one("before")
    answer = await ann.browser.post(f"/p/{post_id}/edit/", {"caption": "after", "alt": ["a teal field"]})
    assert (answer.status, answer.location) == (303, f"/p/{post_id}/")
    page = (await browser.get(f"/p/{post_id}/")).text
    assert "after" in page
    assert 'alt="a teal field"' in page


async def test_a_deleted_post_is_gone_from_everywhere(
    ann: Someone, bob: Someone, web_site: Site, sweep: Sweep
) -> None:
    post_id = await ann.post_one("soon gone")
    await bob.browser.post(f"/p/{post_id}/like/")
    await bob.browser.post(f"/p/{post_id}/comments/", {"text": "nice"})
    post = await web_site.graph.obj_get(Post, post_id)
    assert post is not None
    photo = post.data.photos[0]
    comment_id = (await web_site.graph.assoc_range(HAS_COMMENT, post_id, 0, 1))[0].id2
    assert (await ann.browser.post(f"/p/{post_id}/delete/")).status == 303
    assert (await bob.browser.get(f"/p/{post_id}/")).error_code == "post_missing"
    assert (await bob.browser.get(f"/media/{post_id}/{photo.id}/square.webp")).status == 404
    assert str(post_id) not in (await bob.browser.get(f"/@{ann.username}/")).text
    await all_done(sweep)
    assert [info async for info in web_site.blobs.list(f"photos/{photo.id}")] == []
    assert await web_site.graph.obj_get(Comment, comment_id) is None
    assert await web_site.graph.assoc_count(LIKES, bob.id) == 0
    assert await web_site.graph.assoc_count(AUTHORED, bob.id) == 0


@pytest.mark.parametrize("caption", ["x" * 100_000, "nul\0l", "evil \u202egnp"])
async def test_a_caption_that_cannot_be_kept_is_refused_before_anything_is_stored(
    caption: str, ann: Someone, web_site: Site
) -> None:
    before = await blobs(web_site)
    answer = await ann.post_photos(("a.png", picture()), caption=caption)
    assert answer.status == 422
    assert await blobs(web_site) == before


async def test_markup_in_words_and_names_is_shown_and_not_run(ann: Someone, browser: Client) -> None:
    evil = '"><script>alert(1)</script>'
    answer = await ann.post_photos(
        (f"{evil}.png", picture()), (f"{evil}.jpg", b"broken"), caption=evil, alt=[evil]
    )
    page = (await ann.browser.get(answer.location)).text + (
        await browser.get(answer.location.split("edit")[0])
    ).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


async def test_media_can_be_cached_and_is_nothing_a_browser_runs(ann: Someone, web_site: Site) -> None:
    post_id = await ann.post_one()
    post = await web_site.graph.obj_get(Post, post_id)
    assert post is not None
    path = f"/media/{post_id}/{post.data.photos[0].id}/square.webp"
    image = await ann.browser.get(path)
    assert "immutable" in image.headers["cache-control"]
    assert image.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in image.headers["content-security-policy"]
    assert (await ann.browser.get(path, {"if-none-match": image.headers["etag"]})).status == 304


@pytest.mark.parametrize(
    "name", ["original.jpeg", "../../x.jpeg", "..%2f..%2fx.jpeg", "640.svg", "99999.webp", "square.html"]
)
async def test_media_that_is_not_there_is_not_found(name: str, ann: Someone, web_site: Site) -> None:
    post_id = await ann.post_one()
    post = await web_site.graph.obj_get(Post, post_id)
    assert post is not None
    assert (await ann.browser.get(f"/media/{post_id}/{post.data.photos[0].id}/{name}")).status == 404


async def test_a_photo_is_not_to_be_had_through_another_post(ann: Someone, web_site: Site) -> None:
    one, other = await ann.post_one(), await ann.post_one()
    post = await web_site.graph.obj_get(Post, one)
    assert post is not None
    assert (await ann.browser.get(f"/media/{other}/{post.data.photos[0].id}/square.webp")).status == 404
