"""The few EXIF fields that photographers like to show. Strangers wrote them: each is checked, bounded, or dropped.

The position, serial numbers, the owner's name, software and comments are never read.
"""

from __future__ import annotations

import contextlib
import math
import re
import unicodedata
from datetime import datetime

from PIL import Image
from PIL.ExifTags import IFD, Base

from calotype.infra.imaging.types import Camera

MAX_TEXT_CHARACTERS = 80

_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")


def camera(exif: Image.Exif) -> Camera | None:
    """What is there and makes sense; None when nothing is. Raises what Pillow raises for broken EXIF: any exception."""
    photo = exif.get_ifd(IFD.Exif)
    found = Camera(
        make=_text(exif.get(Base.Make)),
        model=_text(exif.get(Base.Model)),
        lens=_text(photo.get(Base.LensModel)),
        focal_length_mm=_figure(photo.get(Base.FocalLength), 0.1, 5_000),
        aperture=_figure(photo.get(Base.FNumber), 0.5, 256),
        exposure_s=_figure(photo.get(Base.ExposureTime), 1e-6, 100_000),
        iso=_whole(photo.get(Base.ISOSpeedRatings), 1, 10_000_000),
        taken_at=_moment(photo.get(Base.DateTimeOriginal), photo.get(Base.OffsetTimeOriginal)),
    )
    return found if found != Camera() else None


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    # Categories C*: control, format (bidirectional overrides), surrogates, private use.
    printable = "".join(
        " " if unicodedata.category(c)[0] in "CZ" else c for c in value[:1000].partition("\0")[0]
    )
    return " ".join(printable.split())[:MAX_TEXT_CHARACTERS].strip() or None


def _figure(value: object, least: float, most: float) -> float | None:
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError, OverflowError):
        figure = float(value)  # type: ignore[arg-type]
        if math.isfinite(figure) and least <= figure <= most:
            return float(f"{figure:.6g}")
    return None


def _whole(value: object, least: int, most: int) -> int | None:
    if isinstance(value, tuple) and value:
        value = value[0]
    figure = _figure(value, least, most)
    return None if figure is None else round(figure)


def _moment(value: object, offset: object) -> str | None:
    matched = _DATE.fullmatch(value.strip("\0 ")) if isinstance(value, str) else None
    if matched is None:
        return None
    year, month, day, hour, minute, second = matched.groups()
    zone = offset.strip("\0 ") if isinstance(offset, str) else ""
    text = f"{year}-{month}-{day}T{hour}:{minute}:{second}{zone if _OFFSET.fullmatch(zone) else ''}"
    with contextlib.suppress(ValueError):
        return text if datetime.fromisoformat(text).year >= 1826 else None  # the year of the first photograph
    return None
