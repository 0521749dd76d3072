"""From bytes to an open picture whose size is known and within the limits; the decoders behind an allow-list.

The plugins' classes are called directly instead of `Image.open`: so the list of decoders is closed, no global registry or
pixel limit of Pillow is changed, and the limits here are the only ones.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import cast

from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from calotype.infra.imaging import containers
from calotype.infra.imaging.containers import Layout, Malformed
from calotype.infra.imaging.errors import (
    ImageDamaged,
    ImageEmpty,
    ImageFileTooLarge,
    ImageFormatNotInstalled,
    ImageNotRecognised,
    ImageRefused,
    ImageTooManyPixels,
)
from calotype.infra.imaging.types import Limits, SourceFormat

TITLES: dict[SourceFormat, str] = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WebP",
    "gif": "GIF",
    "avif": "AVIF",
    "heif": "HEIC",
}
DEFAULT_LIMITS = Limits()
ACCEPTED = "JPEG, PNG, WebP, GIF, AVIF and HEIC"

Opener = Callable[[BytesIO], ImageFile]


def read(source: bytes | Path, limits: Limits) -> bytes:
    """The bytes of the file, or `ImageFileTooLarge` before a larger one is read, or `ImageEmpty`."""
    accept_size(source.stat().st_size if isinstance(source, Path) else len(source), limits)
    return source.read_bytes() if isinstance(source, Path) else source


def accept_size(size_bytes: int, limits: Limits = DEFAULT_LIMITS) -> None:
    """Raises `ImageFileTooLarge` or `ImageEmpty` for a file of this size, of which nothing else is known yet."""
    if size_bytes > limits.max_bytes:
        raise ImageFileTooLarge(
            f"the file has {size_bytes / 1e6:,.1f} MB; at most {limits.max_bytes / 1e6:,.1f} MB are accepted",
            size_bytes=size_bytes,
            max_bytes=limits.max_bytes,
        )
    if size_bytes == 0:
        raise ImageEmpty("the file is empty (0 bytes)")


def claimed_format(data: bytes) -> SourceFormat:
    """By the first bytes, or `ImageNotRecognised` with what the file looks like."""
    format = containers.sniff(data)
    if format is None:
        looks_like = containers.describe(data)
        raise ImageNotRecognised(
            f"the file is {looks_like}; photos are accepted as {ACCEPTED}", looks_like=looks_like
        )
    return format


def layout(format: SourceFormat, data: bytes, limits: Limits) -> Layout:
    """Dimensions and frames from the header, within the limits. No picture is decoded, whatever size it declares."""
    try:
        walked = containers.walk(format, data)
    except Malformed as cause:
        raise ImageDamaged(f"the {TITLES[format]} file {cause}", format=format) from None
    if walked is None:
        with open_picture(format, data, limits) as picture:
            walked = Layout(*picture.size, _frames(picture))
    check_size(format, walked.width, walked.height, limits)
    return walked


def check_size(format: SourceFormat, width: int, height: int, limits: Limits) -> None:
    """Raises `ImageTooManyPixels` or, where there is nothing to see, `ImageDamaged`."""
    if width <= 0 or height <= 0:
        raise ImageDamaged(
            f"the {TITLES[format]} file declares a picture of {width} × {height} pixels", format=format
        )
    size = f"the picture has {width:,} × {height:,} pixels"
    if max(width, height) > limits.max_side:
        raise ImageTooManyPixels(
            f"{size}; at most {limits.max_side:,} a side are accepted",
            width=width,
            height=height,
            max_side=limits.max_side,
        )
    if width * height > limits.max_pixels:
        raise ImageTooManyPixels(
            f"{size} ({width * height / 1e6:,.1f} megapixels); at most {limits.max_pixels / 1e6:,.1f} megapixels"
            " are accepted",
            width=width,
            height=height,
            max_pixels=limits.max_pixels,
        )


@contextlib.contextmanager
def open_picture(format: SourceFormat, data: bytes, limits: Limits) -> Iterator[ImageFile]:
    """The first picture of the file by its decoder, not yet decoded; whatever fails inside is an `ImageRefused`."""
    with damage_named(format), _opener(format)(BytesIO(data)) as picture:
        check_size(format, *picture.size, limits)
        yield picture


@contextlib.contextmanager
def damage_named(format: SourceFormat) -> Iterator[None]:
    """Decoders raise anything for a broken file, from `SyntaxError` to `ZeroDivisionError`: all mean `ImageDamaged`."""
    try:
        yield
    except ImageRefused:
        raise
    except Exception as cause:
        raise ImageDamaged(
            f"the file begins as {TITLES[format]} but cannot be decoded: it is damaged or cut short",
            format=format,
        ) from cause


def _frames(picture: ImageFile) -> int:
    # A HEIC file may hold several photos, of which the primary one counts; only AVIF sequences are animations.
    return int(getattr(picture, "n_frames", 1)) if isinstance(picture, AvifImageFile) else 1


def _opener(format: SourceFormat) -> Opener:
    return _heif_opener() if format == "heif" else _OPENERS[format]


# JpegImageFile also for the multi-picture files of phones (MPO): their first picture is the photo.
_OPENERS: dict[SourceFormat, Opener] = {
    "jpeg": JpegImageFile,
    "png": PngImageFile,
    "webp": WebPImageFile,
    "gif": GifImageFile,
    "avif": AvifImageFile,
}


def _heif_opener() -> Opener:
    opener = _installed_heif_opener()
    if opener is None:
        raise ImageFormatNotInstalled(
            "this server cannot decode HEIC photos: its package pillow-heif is not installed (the extra calotype[heic])",
            format="heif",
            package="pillow-heif",
        )
    return opener


@cache
def _installed_heif_opener() -> Opener | None:
    # Imported late: the package is optional (its wheel carries the GPL x265) and loads 10 MB of libraries.
    try:
        return cast(Opener, importlib.import_module("pillow_heif").HeifImageFile)
    except ImportError:
        return None
