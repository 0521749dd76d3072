"""The types of this package: what is accepted, what is asked for, and what comes out."""

from __future__ import annotations

from typing import Literal

import msgspec

SourceFormat = Literal["jpeg", "png", "webp", "gif", "avif", "heif"]
VariantFormat = Literal["jpeg", "webp", "avif"]

MAX_VARIANT_SIDE = 16_383
"""The longest side that WebP can hold."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What is refused before anything is decoded.

    `max_pixels` also bounds memory, since decoding takes up to 16 bytes a pixel (WebP; the others 1 to 4, a large baseline
    JPEG less than 1). Pillow's WebP decoder has a limit of its own, 179 megapixels.
    """

    max_bytes: int = 50_000_000
    max_pixels: int = 100_000_000
    max_side: int = 30_000


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Which variants to make. The qualities are chosen by measurement: see docs/imaging.md."""

    widths: tuple[int, ...] = (320, 640, 1080, 2048)
    """Ascending. Never enlarged: the first one that does not fit is replaced by the photo's own width."""
    square: int = 150
    """Side of the crop from the middle; 0 for none."""
    formats: tuple[VariantFormat, ...] = ("jpeg", "webp")
    jpeg_quality: int = 82
    webp_quality: int = 78
    webp_method: int = 4
    avif_quality: int = 62
    avif_speed: int = 10


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What the header says; nothing was decoded, so the picture may still prove to be damaged."""

    format: SourceFormat
    width: int
    """As stored: before the orientation is applied."""
    height: int
    frames: int
    size_bytes: int


class Camera(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the camera wrote about itself and the exposure: no place, no serial number, no name of a person."""

    make: str | None = None
    model: str | None = None
    lens: str | None = None
    focal_length_mm: float | None = None
    aperture: float | None = None
    """The f-number: 2.8 for f/2.8."""
    exposure_s: float | None = None
    iso: int | None = None
    taken_at: str | None = None
    """ISO 8601 by the camera's clock; with an offset only where the camera wrote one."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One public picture: sRGB, upright, and without any metadata."""

    name: str
    """Its width, as in `640`, or `square`: so a photo that is as wide as the square has both."""
    width: int
    height: int
    format: VariantFormat
    data: bytes

    @property
    def file(self) -> str:
        """What it is stored and served under: `640.webp`."""
        return f"{self.name}.{self.format}"

    @property
    def content_type(self) -> str:
        return f"image/{self.format}"


class Processed(msgspec.Struct, frozen=True, kw_only=True):
    format: SourceFormat
    width: int
    """Of the whole photo, upright."""
    height: int
    frames: int
    blurhash: str
    variants: tuple[Variant, ...]
    """The square first, then by width, each in every format of the recipe; less those that were not asked for."""
    camera: Camera | None
    notes: tuple[str, ...]
    """Sentences about what the person may not expect, as in `animated: the first of 12 frames is kept`."""
