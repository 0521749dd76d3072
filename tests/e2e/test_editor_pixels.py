"""What the photo editor makes of a photograph, pixel by pixel: by WebGL as on a canvas, upright, in its colours."""

from __future__ import annotations

import statistics
from io import BytesIO
from itertools import combinations
from typing import cast

import pytest
from PIL import Image, ImageCms, ImageOps

from tests.e2e.conftest import OpenPage
from tests.e2e.editing import PHOTO, TONED, exported, name_of, posting, quarters, saved
from tests.infra.imaging.samples import display_p3

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

posted = pytest.fixture(posting)


def colors() -> Image.Image:
    picture = Image.new("RGB", (6, 4))
    picture.putdata([(40 * at % 256, 97 * at % 256, 255 - 11 * at) for at in range(24)])
    return picture.resize((360, 240), Image.Resampling.BICUBIC)


def corners(picture: Image.Image) -> list[str]:
    """Clockwise from the upper left."""
    picture = picture.convert("RGB")
    right, bottom = picture.width - 6, picture.height - 6
    return [name_of(picture.getpixel(at)) for at in ((5, 5), (right, 5), (right, bottom), (5, bottom))]  # type: ignore[arg-type]


def test_webgl_and_canvas_make_the_same_pixels(posted: OpenPage) -> None:
    page = posted()
    filters = page.evaluate(
        'import("/static/photos/editor/filters.js").then(module => module.FILTERS.map(each => each.id))'
    )
    for recipe in ({}, TONED, {"exposure": -60, "straighten": 4}, *({"filter": each} for each in filters)):
        gl = exported(page, saved(colors()), recipe, "gl")
        flat = exported(page, saved(colors()), recipe, "2d")
        assert gl.size == flat.size
        inner = (4, 4, gl.width - 4, gl.height - 4)
        pairs = zip(gl.crop(inner).tobytes(), flat.crop(inner).tobytes(), strict=True)
        apart = sorted(abs(left - right) for left, right in pairs)
        assert apart[int(len(apart) * 0.999)] <= 4, recipe
        assert sum(apart) / len(apart) < 0.7, recipe


def test_each_filter_is_a_look_of_its_own_and_keeps_the_shadows_of_a_face(posted: OpenPage) -> None:
    page = posted()
    with Image.open(PHOTO.with_name("eileen-collins.jpg")) as photo:
        portrait = photo.convert("RGB").resize((300, 300), Image.Resampling.LANCZOS)
    filters = page.evaluate(
        'import("/static/photos/editor/filters.js").then(module => module.FILTERS.map(each => each.id))'
    )
    made = {"": portrait} | {
        each: exported(page, saved(portrait), {"filter": each}, "2d").convert("RGB") for each in filters
    }
    for one, other in combinations(made, 2):
        apart = [abs(a - b) for a, b in zip(made[one].tobytes(), made[other].tobytes(), strict=True)]
        assert statistics.fmean(apart) > 6, (one, other)
    for each, picture in made.items():
        levels = picture.crop((100, 20, 200, 120)).convert("L").histogram()
        darkest, *_, brightest = [level for level, count in enumerate(levels) if count]
        assert brightest - darkest > 130, each
        made_of = portrait.crop((100, 20, 200, 120)).convert("L").histogram()
        assert sum(levels[:4]) <= sum(made_of[:4]), each


@pytest.mark.parametrize("engine", ["gl", "2d"])
def test_geometry_puts_each_quarter_where_it_belongs(engine: str, posted: OpenPage) -> None:
    page = posted()
    data = saved(quarters())
    for recipe, size, seen in (
        ({}, (400, 300), ["red", "lime", "blue", "white"]),
        ({"turn": 1}, (300, 400), ["white", "red", "lime", "blue"]),
        ({"turn": 2}, (400, 300), ["blue", "white", "red", "lime"]),
        ({"turn": 3}, (300, 400), ["lime", "blue", "white", "red"]),
        ({"flip": True}, (400, 300), ["lime", "red", "white", "blue"]),
        ({"turn": 1, "flip": True}, (300, 400), ["red", "white", "blue", "lime"]),
        ({"crop": [0.5, 0.5, 0.5, 0.5]}, (200, 150), ["blue"] * 4),
        ({"crop": [0.25, 0, 0.5, 0.5]}, (200, 150), ["red", "lime", "lime", "red"]),
        ({"straighten": 45, "crop": [0.45, 0.05, 0.1, 0.1]}, None, ["red"] * 4),
        ({"straighten": -45, "crop": [0.45, 0.05, 0.1, 0.1]}, None, ["lime"] * 4),
    ):
        made = exported(page, data, recipe, engine)
        assert corners(made) == seen, recipe
        if size:
            assert made.size == size


def test_the_orientation_that_a_camera_wrote_is_applied_once(posted: OpenPage) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its left side: a quarter clockwise stands it up
    made = exported(posted(), saved(quarters(), "JPEG", quality=95, exif=exif), {"contrast": 1})
    assert made.size == (300, 400)
    assert corners(made) == ["white", "red", "lime", "blue"]
    assert made.getexif().get(0x0112) in (None, 1)


def test_a_transparent_photo_lies_on_white(posted: OpenPage) -> None:
    page = posted()
    for engine in ("gl", "2d"):
        made = exported(page, saved(Image.new("RGBA", (40, 40), (0, 0, 0, 0))), {"warmth": 0}, engine)
        assert min(made.convert("RGB").getpixel((20, 20))) >= 254  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["gl", "2d"])
def test_display_p3_stays_display_p3_and_srgb_stays_srgb(engine: str, posted: OpenPage) -> None:
    page = posted()
    wide = saved(Image.new("RGB", (64, 64), (255, 0, 0)), "PNG", icc_profile=display_p3())
    made = exported(page, wide, {"vignette": 1}, engine)
    assert b"P3" in made.info["icc_profile"].replace(b"\0", b"")
    red, green, blue = made.convert("RGB").getpixel((32, 32))  # type: ignore[misc]
    assert red >= 250
    assert max(green, blue) <= 6
    plain = exported(page, saved(quarters()), {"vignette": 1}, engine)
    assert b"P3" not in plain.info.get("icc_profile", b"").replace(b"\0", b"")


def far_apart(made: Image.Image, wanted: Image.Image) -> tuple[float, int]:
    """In levels of 255, on average and at most, over squares of 4 pixels: within them a JPEG may err."""
    pairs = zip(made.convert("RGB").reduce(4).tobytes(), wanted.reduce(4).tobytes(), strict=True)
    apart = [abs(left - right) for left, right in pairs]
    return statistics.fmean(apart), max(apart)


def p3_to_srgb(picture: Image.Image) -> Image.Image:
    p3, srgb = ImageCms.ImageCmsProfile(BytesIO(display_p3())), ImageCms.createProfile("sRGB")
    return cast(Image.Image, ImageCms.profileToProfile(picture, p3, srgb, outputMode="RGB"))


@pytest.mark.parametrize("engine", ["gl", "2d"])
def test_a_photograph_in_display_p3_keeps_its_numbers_and_its_profile_and_stands_upright(
    engine: str, posted: OpenPage
) -> None:
    with Image.open(PHOTO.with_name("fig.jpg")) as photo:  # in a bowl whose red sRGB could not hold
        wanted = ImageOps.fit(photo.convert("RGB"), (480, 360))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = wanted.transpose(Image.Transpose.ROTATE_90)
    data = saved(lying, "JPEG", quality=98, subsampling=0, exif=exif, icc_profile=display_p3())
    made = exported(posted(), data, {"flip": True}, engine)
    assert made.size == (480, 360)
    assert made.getexif().get(0x0112) in (None, 1)
    assert b"P3" in made.info["icc_profile"].replace(b"\0", b"")
    average, worst = far_apart(ImageOps.mirror(made), wanted)
    assert average < 1.5
    assert worst < 20
    assert far_apart(p3_to_srgb(wanted), wanted)[0] > 4  # what a lost profile would cost


@pytest.mark.parametrize("engine", ["gl", "2d"])
def test_a_photograph_in_display_p3_that_srgb_can_hold_becomes_srgb_and_looks_the_same(
    engine: str, posted: OpenPage
) -> None:
    with Image.open(PHOTO) as photo:
        grey = ImageOps.fit(photo.convert("L"), (480, 360))
    muted = ImageOps.colorize(grey, (40, 30, 20), (230, 190, 150))
    data = saved(muted, "JPEG", quality=98, subsampling=0, icc_profile=display_p3())
    made = exported(posted(), data, {"flip": True}, engine)
    assert b"P3" not in made.info.get("icc_profile", b"").replace(b"\0", b"")
    average, worst = far_apart(ImageOps.mirror(made), p3_to_srgb(muted))
    assert average < 1.5
    assert worst < 20
    assert far_apart(p3_to_srgb(muted), muted)[0] > 2.5  # what a lost profile would cost
