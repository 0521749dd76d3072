"""What is not accepted, what it costs, and what the person is told."""

from __future__ import annotations

import struct
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from calotype.infra.imaging import (
    ImageDamaged,
    ImageEmpty,
    ImageFileTooLarge,
    ImageFormatNotInstalled,
    ImageNotRecognised,
    ImageRefused,
    ImageTooManyPixels,
    Limits,
    Recipe,
    decoding,
    inspect,
    process,
)
from tests.infra.imaging import samples
from tests.infra.imaging.samples import chunk, jpeg, png, saved

SMALL = Recipe(widths=(64,), square=16)


def refused(data: bytes, limits: Limits | None = None) -> ImageRefused:
    """Why both `process` and, where the header tells, `inspect` refuse it."""
    with pytest.raises(ImageRefused) as caught:
        process(data, limits or Limits())
    assert caught.value.status in (413, 422)
    return caught.value


def test_an_empty_file() -> None:
    error = refused(b"")
    assert (type(error), error.status, error.code) == (ImageEmpty, 422, "image_empty")
    assert str(error) == "the file is empty (0 bytes)"


def test_thirty_megabytes_of_text_named_jpg(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"It was a dark and stormy night. " * 940_000)
    start = time.thread_time()
    with pytest.raises(ImageNotRecognised, match=r"^the file is text; photos are accepted as JPEG, PNG"):
        process(path)
    assert time.thread_time() - start < 0.5


def test_a_file_over_the_limit_is_a_413_with_the_figures(tmp_path: Path) -> None:
    error = refused(bytes(2_500_000), Limits(max_bytes=2_000_000))
    assert (type(error), error.status, error.code) == (ImageFileTooLarge, 413, "image_file_too_large")
    assert str(error) == "the file has 2.5 MB; at most 2.0 MB are accepted"
    assert error.data == {"size_bytes": 2_500_000, "max_bytes": 2_000_000}


def test_a_file_over_the_limit_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(ImageFileTooLarge, match=r"10,000\.0 MB"):
        process(path)


def test_the_default_limit_is_fifty_megabytes() -> None:
    assert Limits() == Limits(max_bytes=50_000_000, max_pixels=100_000_000, max_side=30_000)


@pytest.mark.parametrize(
    ("data", "looks_like"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "an SVG drawing"),
        (b'<?xml version="1.0"?>\n<svg width="1" height="1"></svg>', "an SVG drawing"),
        (b"<!DOCTYPE html><html><body>hi</body></html>", "a web page"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (b"8BPS\0\x01" + bytes(20), "a Photoshop document"),
        (saved(samples.corners(), "TIFF"), "a TIFF or raw camera file"),
        (saved(samples.corners(), "BMP"), "a BMP picture"),
        (saved(samples.corners(), "ICO"), "an icon"),
        (b"PK\x03\x04" + bytes(30), "a ZIP archive or an office document"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2", "a video, or an image format we do not know"),
        (bytes(1000), "not an image, or a format we do not know"),
        (b"\xff\xd8", "not an image, or a format we do not know"),
        (b"P6 2 2 255\n123456789012", "text"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "text"),
    ],
)
def test_other_kinds_of_files_are_named(data: bytes, looks_like: str) -> None:
    error = refused(data)
    assert (type(error), error.code) == (ImageNotRecognised, "image_not_recognised")
    assert str(error).startswith(f"the file is {looks_like}; photos are accepted as ")
    with pytest.raises(ImageNotRecognised):
        inspect(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0<html><script>alert(1)</script></html>",
        b"\xff\xd8\xff\xfe\x00\x10<html><script>alert(1)</script></html>\xff\xd9",
        b"\xff\xd8\xff" + b"<html>" * 100_000,
        b"\xff\xd8\xff\xd9",
        b"GIF89a<html><script>alert(1)</script></html>",
        b"\x89PNG\r\n\x1a\n<html><script>alert(1)</script></html>",
        b"RIFF\x20\0\0\0WEBP<html></html>" + bytes(40),
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic<html></html>",
        b"\0\0\0\x18ftypavif\0\0\0\0mif1avif<html></html>",
    ],
)
def test_a_web_page_with_the_header_of_a_picture_is_refused(data: bytes) -> None:
    assert type(refused(data)) in (ImageDamaged, ImageTooManyPixels)


def test_a_picture_with_a_web_page_behind_it_is_accepted_and_never_served() -> None:
    # The original stays private and only re-encoded pixels are public, so what follows the picture harms nobody.
    for data in (jpeg(), saved(samples.corners(), "PNG"), saved(samples.corners(), "GIF")):
        made = process(data + b"<html><script>alert(1)</script></html>")
        assert all(b"script" not in variant.data for variant in made.variants)


# Too many pixels


def bomb(width: int = 20_000, height: int = 20_000) -> bytes:
    """A PNG of one bit a pixel, all white: 400 megapixels in about 50 KB."""
    squeeze = zlib.compressobj(9)
    row = b"\0" + bytes((width + 7) // 8)
    rows = b"".join([squeeze.compress(row * 1000) for _ in range(height // 1000)]) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_bomb_of_400_megapixels_costs_nothing() -> None:
    data = bomb()
    assert len(data) < 200_000
    start = time.thread_time()
    tracemalloc.start()
    error = refused(data)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.thread_time() - start < 0.1
    assert peak_bytes < 1_000_000
    assert (type(error), error.status, error.code) == (ImageTooManyPixels, 422, "image_too_many_pixels")
    assert str(error) == (
        "the picture has 20,000 × 20,000 pixels (400.0 megapixels); at most 100.0 megapixels are accepted"
    )


def declaring(format: str, width: int, height: int) -> bytes:
    """A small file of each format whose header declares another size."""
    match format:
        case "jpeg":
            data = bytearray(jpeg())
            at = data.index(b"\xff\xc0") + 5
            data[at : at + 4] = struct.pack(">HH", height, width)
        case "gif":
            data = bytearray(saved(samples.corners(), "GIF"))
            data[6:10] = struct.pack("<HH", width, height)
        case "gif frame":
            data = bytearray(saved(samples.corners(), "GIF"))
            at = data.index(b"\x2c\0\0\0\0") + 5
            data[at : at + 4] = struct.pack("<HH", width, height)
        case _:
            data = bytearray(
                saved(samples.corners().convert("RGBA"), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
            )
            assert data[12:16] == b"VP8X"
            data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


@pytest.mark.parametrize("format", ["jpeg", "gif", "gif frame", "webp"])
def test_a_declared_size_is_refused_before_anything_is_decoded(format: str) -> None:
    start = time.thread_time()
    error = refused(declaring(format, 20_000, 20_000))
    assert type(error) is ImageTooManyPixels
    assert "20,000 × 20,000" in str(error)
    assert time.thread_time() - start < 0.1


def test_heic_and_avif_are_measured_too() -> None:
    limits = Limits(max_pixels=10_000)
    assert "480 × 320" in str(refused(saved(samples.corners(480, 320), "AVIF"), limits))
    pytest.importorskip("pillow_heif")
    assert "480 × 320" in str(refused(samples.heic(samples.corners(480, 320)), limits))


def test_a_side_over_the_limit() -> None:
    error = refused(png(40_000, 1, bytes(40_001)))
    assert str(error) == "the picture has 40,000 × 1 pixels; at most 30,000 a side are accepted"
    assert error.data == {"width": 40_000, "height": 1, "max_side": 30_000}


def test_the_limits_themselves_are_accepted() -> None:
    data = saved(samples.corners(200, 100), "PNG")
    limits = Limits(max_bytes=len(data), max_pixels=20_000, max_side=200)
    assert process(data, limits).width == 200
    for less in (Limits(max_bytes=len(data) - 1), Limits(max_pixels=19_999), Limits(max_side=199)):
        refused(data, less)


@pytest.mark.parametrize("format", ["jpeg", "gif"])
def test_a_picture_without_pixels(format: str) -> None:
    assert isinstance(
        refused(declaring(format, 0, 0) if format == "jpeg" else b"GIF89a" + bytes(7)), ImageDamaged
    )


def test_a_picture_larger_than_bare_pillow_takes_is_accepted_without_a_warning() -> None:
    # Pillow warns from 89.5 megapixels on, and a warning is an error in these tests.
    width, height = 10_000, 9_500
    made = process(png(width, height, bytes((width + 1) * height)), recipe=SMALL)
    assert (made.width, made.height) == (width, height)


# Cut short and damaged

WHOLE = {
    "jpeg": jpeg(640, 480, quality=90),
    "progressive": jpeg(640, 480, quality=90, progressive=True),
    "png": saved(samples.gradient(300, 200), "PNG"),
    "webp": saved(samples.gradient(300, 200), "WEBP"),
    "gif": saved(samples.gradient(300, 200).quantize(64), "GIF"),
    "avif": saved(samples.gradient(300, 200), "AVIF"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_half_a_picture_is_refused(kind: str) -> None:
    data = WHOLE[kind]
    process(data, recipe=SMALL)
    for part in (0.1, 0.5, 0.9):
        error = refused(data[: int(len(data) * part)])
        assert (type(error), error.code) == (ImageDamaged, "image_damaged")


def test_half_a_heic_is_refused() -> None:
    pytest.importorskip("pillow_heif")
    data = samples.heic(samples.gradient(300, 200))
    assert isinstance(refused(data[: len(data) // 2]), ImageDamaged)


@pytest.mark.parametrize("kind", ["jpeg", "progressive", "png", "webp"])
@pytest.mark.parametrize("missing", [1, 2, 3, 10, 60])
def test_a_picture_without_its_last_bytes_is_refused(kind: str, missing: int) -> None:
    assert "is cut short" in str(refused(WHOLE[kind][:-missing]))


def test_a_gif_without_its_trailer_is_whole() -> None:
    assert process(WHOLE["gif"].removesuffix(b";"), recipe=SMALL).frames == 1
    assert isinstance(refused(WHOLE["gif"][:-2]), ImageDamaged)


def test_a_thumbnail_inside_does_not_make_half_a_jpeg_whole() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 10
    with_thumbnail = b"Exif\0\0" + exif.tobytes()[6:] + jpeg(80, 60)
    data = jpeg(640, 480, exif=with_thumbnail)
    assert data.count(b"\xff\xd9") == 2
    process(data, recipe=SMALL)
    assert "end marker" in str(refused(data[: len(data) * 3 // 4]))


# Made to be slow


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xd8\xff\xe0\0\x02" + b"a" * 20_000_000, id="junk between markers"),
        pytest.param(b"\xff\xd8" + b"\xff\xe5\0\x02" * 3_000_000, id="empty JPEG segments"),
        pytest.param(png(9, 9, bytes(90), chunk(b"aaaA", b"") * 1_500_000), id="empty PNG chunks"),
        pytest.param(b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\1a\0" * 3_000_000, id="GIF comments"),
        pytest.param(b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1a" * 9_000_000 + b"\0", id="GIF sub-blocks"),
        pytest.param(
            b"RIFF"
            + struct.pack("<I", 18_000_022)
            + b"WEBPVP8X\n\0\0\0"
            + bytes(10)
            + b"aaaa\0\0\0\0" * 2_250_000,
            id="WebP chunks",
        ),
    ],
)
def test_a_file_of_millions_of_pieces_is_cheap(data: bytes) -> None:
    start = time.thread_time()
    assert isinstance(refused(data), ImageDamaged)
    assert time.thread_time() - start < 1.0


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    data = jpeg(progressive=True)
    scan = data.rindex(b"\xff\xda")
    assert "more than 100 scans" in str(refused(data[:scan] + data[scan:-2] * 1000 + data[-2:]))


def test_a_text_chunk_that_inflates_is_not_inflated() -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9))
    data = png(9, 9, bytes(90), text)
    tracemalloc.start()
    try:
        process(data, recipe=SMALL)
    except ImageDamaged:
        pass
    finally:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 20_000_000


# What is not installed


def test_heic_without_its_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    data = samples.heic(samples.corners())
    decoding._installed_heif_opener.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    try:
        error = refused(data)
    finally:
        decoding._installed_heif_opener.cache_clear()
    assert (type(error), error.code) == (ImageFormatNotInstalled, "image_format_not_installed")
    assert "pillow-heif is not installed" in str(error)


# Anything at all

FUZZED = {kind: samples.jpeg(60, 40) if kind == "jpeg" else data for kind, data in WHOLE.items()}
FUZZED |= {
    "png": saved(samples.gradient(40, 30), "PNG"),
    "webp": saved(samples.gradient(40, 30), "WEBP"),
    "lossless webp": saved(samples.gradient(40, 30), "WEBP", lossless=True),
    "gif": saved(samples.gradient(40, 30).quantize(16), "GIF"),
    "avif": saved(samples.gradient(40, 30), "AVIF"),
    "progressive": samples.jpeg(60, 40, progressive=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
}


@pytest.mark.filterwarnings("ignore")  # Pillow warns of broken metadata, which we ignore
@pytest.mark.parametrize("kind", FUZZED)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=8
    ),
    kept=st.floats(0.3, 1) | st.just(1.0),
)
def test_a_mutated_picture_is_processed_or_refused(
    kind: str, edits: list[tuple[float, bytes]], kept: float
) -> None:
    data = bytearray(FUZZED[kind])
    for at, replacement in edits:
        start = int(at * len(data))
        data[start : start + len(replacement)] = replacement
    try:
        made = process(bytes(data[: int(len(data) * kept)]), Limits(max_pixels=4_000_000), SMALL)
    except ImageRefused as error:
        assert error.message and error.code.startswith("image_")
    else:
        assert all(samples.opened(v).size == (v.width, v.height) for v in made.variants)


@given(
    data=st.binary(max_size=200),
    prefix=st.sampled_from([b"", b"\xff\xd8\xff", b"GIF89a", b"\0\0\0\x18ftypheic"]),
)
def test_any_bytes_are_refused_with_a_sentence(data: bytes, prefix: bytes) -> None:
    try:
        inspect(prefix + data)
    except ImageRefused as error:
        assert error.message
