"""What becomes of a good photo: sizes, colours, orientation, and nothing that the camera wrote beside the pixels."""

from __future__ import annotations

import itertools
import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from blurhash_rs import decode_rgb  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageStat

from calotype.infra.imaging import Limits, Processed, Recipe, Variant, inspect, process
from calotype.infra.imaging.camera import camera
from calotype.infra.imaging.types import MAX_VARIANT_SIDE
from calotype.infra.imaging.variants import plan
from tests.infra.imaging import samples
from tests.infra.imaging.samples import BLUE, GREEN, RED, YELLOW, corner_colours, near, opened, saved

JPEG_ONLY = Recipe(formats=("jpeg",))


def named(processed: Processed, name: str, format: str = "jpeg") -> Variant:
    (variant,) = [v for v in processed.variants if (v.name, v.format) == (name, format)]
    return variant


def sizes(processed: Processed, format: str = "jpeg") -> dict[str, tuple[int, int]]:
    return {v.name: (v.width, v.height) for v in processed.variants if v.format == format}


# Sizes


def test_a_large_photo_gets_every_variant_in_both_formats() -> None:
    made = process(samples.jpeg(2400, 1600))
    expected = {
        "square": (150, 150),
        "320": (320, 213),
        "640": (640, 427),
        "1080": (1080, 720),
        "2048": (2048, 1365),
    }
    assert sizes(made, "jpeg") == sizes(made, "webp") == expected
    assert (made.format, made.width, made.height, made.frames, made.notes) == ("jpeg", 2400, 1600, 1, ())
    for variant in made.variants:
        picture = opened(variant)
        assert picture.size == (variant.width, variant.height)
        assert picture.format == variant.format.upper()
        assert variant.content_type == f"image/{variant.format}"


@pytest.mark.parametrize(
    ("size", "names"),
    [
        ((451, 300), ["square", "320", "451"]),
        ((320, 500), ["square", "320"]),
        ((321, 500), ["square", "320", "321"]),
        ((200, 160), ["square", "200"]),
        ((2000, 150), ["square", "320", "640", "1080", "2000"]),
        ((2049, 200), ["square", "320", "640", "1080", "2048"]),
    ],
)
def test_nothing_is_enlarged(size: tuple[int, int], names: list[str]) -> None:
    made = process(samples.jpeg(*size), recipe=JPEG_ONLY)
    assert list(sizes(made)) == names
    assert all(v.width <= size[0] and v.height <= size[1] for v in made.variants)


def test_a_tiny_photo_keeps_its_size() -> None:
    assert sizes(process(samples.jpeg(3, 2), recipe=JPEG_ONLY)) == {"square": (2, 2), "3": (3, 2)}
    assert sizes(process(samples.jpeg(1, 1), recipe=JPEG_ONLY)) == {"square": (1, 1), "1": (1, 1)}


def test_the_square_is_the_middle() -> None:
    picture = Image.new("RGB", (900, 300), RED)
    picture.paste(GREEN, (300, 0, 600, 300))
    square = opened(named(process(saved(picture, "PNG")), "square")).convert("RGB")
    assert all(near(square.getpixel(at), GREEN) for at in ((4, 4), (145, 4), (75, 75), (4, 145), (145, 145)))


def test_the_square_of_a_panorama_comes_from_the_full_picture() -> None:
    made = process(samples.jpeg(6000, 300), recipe=JPEG_ONLY)
    assert sizes(made)["square"] == (150, 150)
    assert sizes(made)["2048"] == (2048, 102)


def test_a_tower_is_bounded_by_what_webp_can_hold() -> None:
    made = process(samples.jpeg(600, 20_000))
    assert list(sizes(made)) == ["square", "320", "491"]
    assert sizes(made, "webp")["491"][1] <= MAX_VARIANT_SIDE


@given(width=st.integers(1, 30_000), height=st.integers(1, 30_000))
def test_no_plan_enlarges_or_distorts(width: int, height: int) -> None:
    made = plan(width, height, Recipe())
    assert list(made.sizes) == sorted(set(made.sizes))
    assert made.largest[0] == min(2048, width) or made.largest[1] >= MAX_VARIANT_SIDE - height // width - 1
    for w, h in made.sizes:
        assert 1 <= w <= min(width, 2048)
        assert 1 <= h <= min(height, MAX_VARIANT_SIDE)
        assert abs(h - height * w / width) <= 1 or h == MAX_VARIANT_SIDE
    assert made.square == min(150, width, height)


@pytest.mark.parametrize("size", [(4100, 1100), (1100, 4100), (4095, 600), (2500, 2500)])
def test_each_step_of_the_chain_looks_like_the_original(size: tuple[int, int]) -> None:
    picture = samples.gradient(*size)
    for variant in process(saved(picture, "JPEG", quality=95), recipe=JPEG_ONLY).variants:
        if variant.name == "square":
            continue
        direct = picture.resize((variant.width, variant.height), Image.Resampling.LANCZOS)
        off = ImageStat.Stat(ImageChops.difference(opened(variant).convert("RGB"), direct)).mean
        assert max(off) < 2.5


def test_what_is_stored_already_is_not_made_again() -> None:
    data = samples.jpeg(1600, 1200)
    recipe = Recipe(formats=("jpeg", "webp", "avif"))
    whole = {variant.file: variant for variant in process(data, recipe=recipe).variants}
    stored = {"square.jpeg", "square.webp", "320.jpeg", "640.avif", "1600.webp"}
    rest = process(data, recipe=recipe, stored=stored)
    assert {variant.file: variant for variant in rest.variants} == {
        file: variant for file, variant in whole.items() if file not in stored
    }
    assert rest.blurhash == process(data).blurhash


def test_the_widths_for_display_begin_those_of_all() -> None:
    """So that what follows an upload adds to its variants, whatever the size of the photo."""
    for width, height in itertools.product((1, 319, 320, 321, 1079, 1080, 1081, 2047, 2048, 9000), repeat=2):
        display = plan(width, height, Recipe(widths=(320, 640, 1080))).sizes
        assert plan(width, height, Recipe()).sizes[: len(display)] == display


# Orientation


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_ends_upright(orientation: int, format: str) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    turned = {
        0: Image.Transpose.FLIP_LEFT_RIGHT,
        1: Image.Transpose.FLIP_TOP_BOTTOM,
        2: Image.Transpose.ROTATE_90,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.ROTATE_270,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.TRANSVERSE,
    }
    upright = samples.corners(480, 320)
    stored = upright if orientation == 1 else upright.transpose(turned[undo[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    made = process(saved(stored, format, exif=exif.tobytes()))
    assert (made.width, made.height) == (480, 320)
    assert sizes(made) == {"square": (150, 150), "320": (320, 213), "480": (480, 320)}
    for variant in made.variants:
        assert all(
            map(near, corner_colours(opened(variant)), (RED, GREEN, BLUE, YELLOW), [25] * 4)
        ), variant.name


def test_a_panorama_lying_on_its_side_has_an_upright_square() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = samples.corners(2400, 160).transpose(Image.Transpose.ROTATE_90)
    made = process(saved(stored, "JPEG", exif=exif.tobytes()), recipe=Recipe(square=150, widths=(320,)))
    assert all(
        map(near, corner_colours(opened(named(made, "square", "webp"))), (RED, GREEN, BLUE, YELLOW), [25] * 4)
    )


def test_a_heic_that_is_turned_by_its_container_is_turned_once() -> None:
    pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = samples.corners(480, 320).transpose(Image.Transpose.ROTATE_90)
    made = process(samples.heic(stored, exif=exif.tobytes()))
    assert (made.width, made.height) == (480, 320)
    assert all(map(near, corner_colours(opened(named(made, "480"))), (RED, GREEN, BLUE, YELLOW), [25] * 4))


@pytest.mark.parametrize("value", [0, 9, 255])
def test_an_orientation_that_does_not_exist_is_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert process(saved(samples.corners(), "JPEG", exif=exif.tobytes()), recipe=JPEG_ONLY).width == 120


# Formats and colours


@pytest.mark.parametrize(
    ("format", "expected"),
    [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("AVIF", "avif")],
)
def test_each_accepted_format_keeps_its_colours(format: str, expected: str) -> None:
    made = process(saved(samples.corners(240, 160), format))
    assert made.format == expected
    for variant in made.variants:
        assert all(map(near, corner_colours(opened(variant)), (RED, GREEN, BLUE, YELLOW), [25] * 4))


def test_heic_keeps_its_colours() -> None:
    pytest.importorskip("pillow_heif")
    made = process(samples.heic(samples.corners(240, 160)))
    assert (made.format, made.width, made.height, made.frames) == ("heif", 240, 160, 1)
    assert all(map(near, corner_colours(opened(named(made, "240"))), (RED, GREEN, BLUE, YELLOW), [25] * 4))


def test_the_name_of_the_file_is_never_asked(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(saved(samples.corners(), "PNG"))
    assert inspect(path).format == process(path).format == "png"


def test_the_multi_picture_files_of_phones_are_jpeg() -> None:
    data = saved(samples.corners(300, 200), "MPO", save_all=True, append_images=[Image.new("RGB", (50, 50))])
    made = process(data)
    assert (made.format, made.width, made.height, made.frames, made.notes) == ("jpeg", 300, 200, 1, ())


@pytest.mark.parametrize("width", [256, 3000])
def test_sixteen_bits_are_scaled_not_clipped(width: int) -> None:
    row = b"\0" + b"".join((n * 65535 // (width - 1)).to_bytes(2) for n in range(width))
    made = process(samples.png(width, 64, row * 64, depth=16))
    for format in ("jpeg", "webp"):
        picture = opened(made.variants[-2 if format == "jpeg" else -1]).convert("L")
        for part in (0.1, 0.25, 0.5, 0.75, 0.9):
            assert near((picture.getpixel((int(part * picture.width), 30)),), (int(part * 255),), 4)


def test_sixteen_bit_colour_is_scaled() -> None:
    pixel = b"".join(v.to_bytes(2) for v in (0xC800, 0x6400, 0x3200))
    made = process(samples.png(64, 64, (b"\0" + pixel * 64) * 64, depth=16, colour=2))
    assert near(opened(named(made, "64")).getpixel((30, 30)), (200, 100, 50))


def test_cmyk_is_converted() -> None:
    ink = Image.new("CMYK", (200, 200), (0, 255, 255, 0))
    ink.paste((0, 0, 0, 0), (0, 0, 100, 200))
    made = process(saved(ink, "JPEG", quality=95))
    picture = opened(named(made, "200"))
    assert picture.mode == "RGB"
    assert near(picture.getpixel((20, 100)), (255, 255, 255))
    assert near(picture.getpixel((180, 100)), (255, 0, 0))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_what_is_transparent_becomes_white_in_both_formats(mode: str) -> None:
    picture = Image.new("RGBA", (200, 100), (0, 0, 0, 0))
    picture.paste((40, 40, 40, 255), (100, 0, 200, 100))
    picture = picture.convert("LA") if mode in ("LA",) else picture
    if mode in ("P", "PA"):
        picture = picture.quantize(16)
    made = process(saved(picture, "PNG"))
    for format in ("jpeg", "webp"):
        result = opened(named(made, "200", format)).convert("RGBA")
        assert near(result.getpixel((20, 50)), (255, 255, 255, 255))
        assert near(result.getpixel((180, 50)), (40, 40, 40, 255))


def test_half_transparent_is_laid_on_white() -> None:
    made = process(saved(Image.new("RGBA", (60, 60), (200, 0, 0, 128)), "PNG"))
    assert near(opened(named(made, "60", "webp")).convert("RGB").getpixel((30, 30)), (227, 127, 127))


def test_a_transparent_colour_of_a_true_colour_png_becomes_white() -> None:
    picture = Image.new("RGB", (60, 60), (10, 20, 30))
    made = process(saved(picture, "PNG", transparency=(10, 20, 30)))
    assert near(opened(named(made, "60")).getpixel((30, 30)), (255, 255, 255))


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palette_pictures_keep_what_they_show(mode: str) -> None:
    picture = Image.new("L", (100, 60), 0)
    picture.paste(255, (50, 0, 100, 60))
    made = process(saved(picture.convert(mode), "PNG"))
    for format in ("jpeg", "webp"):
        result = opened(named(made, "100", format)).convert("L")
        assert near((result.getpixel((20, 30)), result.getpixel((80, 30))), (0, 255))


def test_bands_of_a_large_picture_leave_no_seams() -> None:
    picture = samples.gradient(5000, 2601).convert("RGBA")
    picture.putpixel((0, 0), (0, 0, 0, 0))
    made = process(
        saved(picture, "PNG", compress_level=1), recipe=Recipe(widths=(1000,), formats=("jpeg",), square=0)
    )
    (variant,) = made.variants
    direct = picture.convert("RGB").resize((1000, 520), Image.Resampling.LANCZOS)
    assert (variant.width, variant.height) == (1000, 520)
    difference = ImageChops.difference(opened(variant), direct).crop((2, 2, 1000, 520))
    assert max(high for _, high in difference.getextrema()) <= 8  # type: ignore[misc]


def test_display_p3_is_converted_to_srgb() -> None:
    # sRGB's (200, 100, 50) has these values in Display P3; by the matrices of both spaces.
    made = process(saved(Image.new("RGB", (64, 64), (187, 106, 62)), "PNG", icc_profile=samples.display_p3()))
    assert near(opened(named(made, "64")).getpixel((30, 30)), (200, 100, 50), 4)
    assert near(opened(named(made, "64", "webp")).convert("RGB").getpixel((30, 30)), (200, 100, 50), 4)


def test_an_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = saved(samples.gradient(200, 100), "PNG")
    tagged = saved(samples.gradient(200, 100), "PNG", icc_profile=profile)
    assert process(tagged).variants == process(data).variants


@pytest.mark.parametrize("profile", [b"", b"nonsense", samples.display_p3()[:300], b"\0" * 4000])
def test_a_broken_profile_is_ignored(profile: bytes) -> None:
    made = process(saved(Image.new("RGB", (64, 64), (187, 106, 62)), "JPEG", icc_profile=profile, quality=95))
    assert near(opened(named(made, "64")).getpixel((30, 30)), (187, 106, 62), 4)


def test_a_profile_for_another_kind_of_picture_is_ignored() -> None:
    made = process(saved(Image.new("L", (64, 64), 120), "PNG", icc_profile=samples.display_p3()))
    assert near((opened(named(made, "64")).convert("L").getpixel((30, 30)),), (120,), 3)


# Animations


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_first_frame_is_kept_and_said(format: str) -> None:
    later = [Image.new("RGB", (120, 80), (n * 9, 200, n)) for n in range(11)]
    data = saved(samples.corners(), format, save_all=True, append_images=later, duration=50)
    made = process(data)
    assert inspect(data).frames == made.frames == 12
    assert made.notes == ("animated: the first of 12 frames is kept",)
    for variant in made.variants:
        picture = opened(variant)
        assert getattr(picture, "n_frames", 1) == 1
        if variant.name == "120":
            assert all(map(near, corner_colours(picture), (RED, GREEN, BLUE, YELLOW), [30] * 4))


# Metadata

MARKERS = (
    "CALOTYPE-SECRET",
    "47.3769",
    "GPS",
    "Exif",
    "http://ns.adobe.com",
    "xpacket",
    "ICC_PROFILE",
    "Photoshop",
)


def private_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "Kamera CALOTYPE-SECRET"
    exif[0x8298] = "CALOTYPE-SECRET copyright"
    exif[0x8825] = {1: "N", 2: (47.0, 22.0, 36.84), 3: "E", 4: (8.0, 32.0, 30.12), 0x1B: b"CALOTYPE-SECRET"}
    exif[0x8769] = {0x9286: b"ASCII\0\0\0CALOTYPE-SECRET", 0xA431: "CALOTYPE-SECRET serial", 0x829A: 0.01}
    return exif


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><exif:GPSLatitude>47.3769 CALOTYPE-SECRET</exif:GPSLatitude></x:xmpmeta>'


def private_files() -> dict[str, bytes]:
    photo = samples.gradient(400, 300)
    everything: dict[str, Any] = {
        "exif": private_exif().tobytes(),
        "xmp": XMP,
        "icc_profile": samples.display_p3().replace(b"Made-up P3", b"CALOTYPE-S"),
    }
    text = samples.chunk(b"tEXt", b"Comment\0CALOTYPE-SECRET GPS")
    plain = saved(photo, "PNG", exif=private_exif().tobytes())
    files = {
        "jpeg": saved(photo, "JPEG", comment=b"CALOTYPE-SECRET", dpi=(300, 300), **everything),
        "webp": saved(photo, "WEBP", **everything),
        "avif": saved(photo, "AVIF", **everything),
        "png": plain[:33] + text + plain[33:-12] + text + plain[-12:],
        "gif": saved(photo, "GIF", comment=b"CALOTYPE-SECRET"),
    }
    small = samples.jpeg(40, 30, exif=private_exif().tobytes(), comment=b"CALOTYPE-SECRET")
    files["jpeg with trailing data"] = files["jpeg"] + small + b"CALOTYPE-SECRET"
    files["jpeg as large as its variant"] = saved(
        samples.gradient(320, 200), "JPEG", comment=b"CALOTYPE-SECRET", **everything
    )
    return files


@pytest.mark.parametrize("kind", sorted(private_files()))
def test_no_public_byte_carries_metadata(kind: str) -> None:
    data = private_files()[kind]
    assert b"CALOTYPE-SECRET" in data, "the sample is not private at all"
    made = process(data, recipe=Recipe(formats=("jpeg", "webp", "avif")))
    for variant in made.variants:
        for marker in MARKERS:
            for encoding in ("ascii", "utf-16-le", "utf-16-be"):
                assert marker.encode(encoding) not in variant.data, (variant.name, variant.format, marker)
        picture = opened(variant)
        assert not picture.getexif()
        assert not {"exif", "xmp", "icc_profile", "comment", "photoshop"} & {
            k for k, v in picture.info.items() if v
        }
    assert (
        "GPS" not in repr(made.camera)
        and "47." not in repr(made.camera)
        and "serial" not in repr(made.camera)
    )


def test_heic_metadata_is_not_public() -> None:
    pytest.importorskip("pillow_heif")
    data = samples.heic(samples.gradient(400, 300), exif=private_exif().tobytes(), xmp=XMP)
    assert b"CALOTYPE-SECRET" in data
    assert all(marker.encode() not in v.data for v in process(data).variants for marker in MARKERS)


def test_a_jpeg_variant_has_only_the_segments_of_a_picture() -> None:
    (variant,) = process(
        private_files()["jpeg"], recipe=Recipe(widths=(320,), square=0, formats=("jpeg",))
    ).variants
    picture = opened(variant)
    assert isinstance(picture, Image.Image)
    applications = getattr(picture, "applist", [])
    assert [name for name, _ in applications] == ["APP0"]


# Camera


def test_the_camera_is_told_without_the_place() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Leitz\0\0", "  M \x07 6 "
    exif[0x8769] = {
        0xA434: "Summicron 50",
        0x920A: 50.0,
        0x829D: 2.0,
        0x829A: 1 / 250,
        0x8827: 400,
        0x9003: "2026:05:01 12:30:05",
        0x9011: "+02:00",
    }
    exif[0x8825] = {2: (47.0, 22.0, 36.84)}
    told = process(samples.jpeg(exif=exif.tobytes())).camera
    assert told is not None
    assert (told.make, told.model, told.lens) == ("Leitz", "M 6", "Summicron 50")
    assert (told.focal_length_mm, told.aperture, told.exposure_s, told.iso) == (50.0, 2.0, 0.004, 400)
    assert told.taken_at == "2026-05-01T12:30:05+02:00"


def test_nonsense_of_a_camera_is_dropped() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "x" * 5000, "\x00\x01\x02"
    exif[0x8769] = {0x920A: 0.0, 0x829D: 1e9, 0x8827: 0, 0x9003: "2026:13:45 99:99:99", 0x9011: "<b>"}
    told = process(samples.jpeg(exif=exif.tobytes())).camera
    assert told is not None
    assert told.make == "x" * 80
    assert [told.model, told.focal_length_mm, told.aperture, told.iso, told.taken_at] == [None] * 5


def test_text_that_would_disturb_a_page_is_cleaned() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "A\u202eB\x1b[31mC\ud800\ue000\n\tD", "  \u200b\0hidden"
    found = camera(exif)
    assert found is not None
    assert (found.make, found.model) == ("A B [31mC D", None)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 50]
)
def test_broken_exif_is_no_reason_to_refuse(exif: bytes) -> None:
    assert process(samples.jpeg(exif=exif)).camera is None


def test_no_camera_is_none() -> None:
    assert process(samples.jpeg()).camera is None


# Blurhash


def test_the_blurhash_shows_the_photo() -> None:
    made = process(saved(samples.corners(600, 400), "JPEG"))
    tiny = Image.frombytes("RGB", (30, 20), decode_rgb(made.blurhash, 30, 20, 1.0))
    assert 6 < len(made.blurhash) < 60
    assert all(map(near, corner_colours(tiny), (RED, GREEN, BLUE, YELLOW), [90] * 4))


def test_the_blurhash_of_an_upright_photo_is_upright() -> None:
    made = process(saved(samples.gradient(200, 600), "JPEG"))
    assert made.blurhash[0] == "T"  # 3 x 4 cosines: (3 - 1) + (4 - 1) * 9, in base 83


# In threads


def test_any_number_may_run_at_once() -> None:
    files = [samples.jpeg(700 + n, 400) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(process, files))
    assert [t.variants for t in together] == [process(f).variants for f in files]


def test_limits_of_pillow_are_left_alone() -> None:
    before = Image.MAX_IMAGE_PIXELS, dict(Image.OPEN)
    process(samples.jpeg())
    assert before == (Image.MAX_IMAGE_PIXELS, dict(Image.OPEN))
    assert Image.open(BytesIO(samples.jpeg())).format == "JPEG"


def test_a_large_jpeg_is_decoded_at_a_fraction() -> None:
    """12 megapixels into small variants: `draft` has to make it several times cheaper than a full decode."""
    noise = Image.frombytes("L", (500, 375), random.Random(7).randbytes(500 * 375)).resize((4000, 3000))
    data = saved(noise.convert("RGB"), "JPEG", quality=90)
    recipe = Recipe(widths=(320,), formats=("jpeg",))

    def cpu_s(work: Any) -> float:
        start = time.thread_time()
        work()
        return time.thread_time() - start

    full = min(cpu_s(lambda: Image.open(BytesIO(data)).load()) for _ in range(3))
    ours = min(cpu_s(lambda: process(data, Limits(), recipe)) for _ in range(3))
    assert ours < full * 0.9
    assert math.isclose(process(data, Limits(), recipe).variants[-1].height, 240)
