"""The way of an upload from a stranger's bytes to public pictures. Pure functions: bytes in, bytes out.

Only re-encoded pixels become public; the original stays private. So a valid JPEG with a web page appended to it is
accepted: nobody is ever served those bytes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator
from pathlib import Path

from blurhash_rs import encode_rgb  # type: ignore[attr-defined]  # its stub re-exports nothing
from PIL import Image
from PIL.ExifTags import Base
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from calotype.infra.imaging import colour, decoding, variants
from calotype.infra.imaging.camera import camera
from calotype.infra.imaging.decoding import DEFAULT_LIMITS
from calotype.infra.imaging.types import Camera, Inspection, Limits, Processed, Recipe, Variant
from calotype.infra.imaging.variants import Plan

DEFAULT_RECIPE = Recipe()

BLURHASH_SIDE = 32
"""A blurhash keeps 12 cosines: more pixels than this do not change it."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})


def inspect(source: bytes | Path, limits: Limits = DEFAULT_LIMITS) -> Inspection:
    """Format, dimensions and frames by the header; decodes nothing. Raises `ImageRefused`, or `OSError` for the path."""
    data = decoding.read(source, limits)
    format = decoding.claimed_format(data)
    layout = decoding.layout(format, data, limits)
    return Inspection(
        format=format, width=layout.width, height=layout.height, frames=layout.frames, size_bytes=len(data)
    )


def process(
    source: bytes | Path,
    limits: Limits = DEFAULT_LIMITS,
    recipe: Recipe = DEFAULT_RECIPE,
    stored: Container[str] = (),
) -> Processed:
    """The variants of a photo, all sRGB, upright, and without metadata; but those whose files (`640.webp`) are `stored`.

    Raises `ImageRefused` for whatever is wrong with the file, and nothing else (but `OSError` when a path cannot be read).
    Uses one thread's CPU, about a second for 12 megapixels: call it in a thread. Any number may run at once.
    """
    data = decoding.read(source, limits)
    format = decoding.claimed_format(data)
    frames = decoding.layout(format, data, limits).frames
    with decoding.open_picture(format, data, limits) as picture:
        orientation, taken_by = _exif(picture)
        width, height = picture.size[::-1] if orientation in _SIDEWAYS else picture.size
        plan = variants.plan(width, height, recipe)
        square, chain = _pictures(picture, orientation, plan)
    # The decoded original is freed here: encoding, which takes longest, holds nothing larger than the largest variant.
    return Processed(
        format=format,
        width=width,
        height=height,
        frames=frames,
        blurhash=_blurhash(chain[-1]),
        variants=tuple(_encoded(square, chain, recipe, stored)),
        camera=taken_by,
        notes=_notes(frames),
    )


def _exif(picture: ImageFile) -> tuple[int, Camera | None]:
    """Orientation (1 to 8) and camera. Broken EXIF is no reason to refuse a photo that can be seen."""
    orientation, taken_by = 1, None
    with contextlib.suppress(Exception):
        value = picture.getexif().get(Base.Orientation)
        orientation = value if isinstance(value, int) and value in _UPRIGHT else 1
    with contextlib.suppress(Exception):
        taken_by = camera(picture.getexif())
    return orientation, taken_by


def _pictures(
    picture: ImageFile, orientation: int, plan: Plan
) -> tuple[Image.Image | None, list[Image.Image]]:
    """The square, and the variants from the largest down: each is made from the one before it."""
    largest = plan.largest[::-1] if orientation in _SIDEWAYS else plan.largest
    if isinstance(picture, JpegImageFile):
        # libjpeg decodes at 1/2, 1/4 or 1/8: whichever is not smaller than what we need of it.
        picture.draft(None, (max(largest[0], plan.square), max(largest[1], plan.square)))
    picture.load()
    profile = picture.info.get("icc_profile")
    factor = variants.reduction(picture.size, (max(largest[0], plan.square), max(largest[1], plan.square)))
    base = colour.flattened(picture, factor)

    def finished(size: tuple[int, int], box: variants.Box) -> Image.Image:
        # Colours and orientation last: on the pixels that remain.
        part = colour.srgb(variants.scaled(base, size, box), profile)
        return part.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else part

    covered = (
        picture.width / factor,
        picture.height / factor,
    )  # the last block of `base` may be partly empty
    chain = [finished(largest, (0, 0, *covered))]
    for size in reversed(plan.sizes[:-1]):
        chain.append(variants.scaled(chain[-1], size, (0, 0, *chain[-1].size)))
    if not plan.square:
        return None, chain
    side = (plan.square, plan.square)
    for candidate in reversed(chain):
        if min(candidate.size) >= plan.square:
            return variants.scaled(candidate, side, variants.centre(candidate.size)), chain
    return finished(side, variants.centre(covered)), chain


def _encoded(
    square: Image.Image | None, chain: list[Image.Image], recipe: Recipe, stored: Container[str]
) -> Iterator[Variant]:
    if square is not None:
        yield from variants.encoded("square", square, recipe, stored)
    for picture in reversed(chain):
        yield from variants.encoded(str(picture.width), picture, recipe, stored)


def _blurhash(picture: Image.Image) -> str:
    """Of an upright sRGB picture: 4 x 3 cosines, more along the longer side."""
    largest = max(picture.size)
    width, height = (max(1, round(side * BLURHASH_SIDE / largest)) for side in picture.size)
    tiny = picture.convert("RGB").resize((width, height), Image.Resampling.BOX)
    across, down = (4, 3) if width >= height else (3, 4)
    return encode_rgb(tiny.tobytes(), width, height, across, down)


def _notes(frames: int) -> tuple[str, ...]:
    return (f"animated: the first of {frames:,} frames is kept",) if frames > 1 else ()
