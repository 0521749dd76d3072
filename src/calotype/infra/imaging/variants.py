"""Which sizes a photo gets, and how each is scaled and encoded."""

from __future__ import annotations

from collections.abc import Container, Iterator
from io import BytesIO
from typing import Any

import msgspec
from PIL import Image

from calotype.infra.imaging.types import MAX_VARIANT_SIDE, Recipe, Variant, VariantFormat

GAP = 2.0
"""How many times larger than its target a picture is at least when the slow, good filter starts; before, blocks are averaged."""


Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels and parts of them."""


class Plan(msgspec.Struct, frozen=True):
    """What to make of an upright photo of some size."""

    sizes: tuple[tuple[int, int], ...]
    """Ascending; at least one."""
    square: int
    """Side of the square, 0 for none."""

    @property
    def largest(self) -> tuple[int, int]:
        return self.sizes[-1]


def plan(width: int, height: int, recipe: Recipe) -> Plan:
    """The variants of a photo of `width` x `height`: none enlarged, none beyond what WebP can hold.

    A photo narrower than the largest width gets its own width in place of those that do not fit.
    """
    widest = max(1, min(width, width * MAX_VARIANT_SIDE // height, MAX_VARIANT_SIDE))
    widths = [w for w in recipe.widths if w <= widest]
    if not widths or (widths[-1] != widest and len(widths) < len(recipe.widths)):
        widths.append(widest)
    sizes = tuple((w, min(MAX_VARIANT_SIDE, max(1, round(height * w / width)))) for w in widths)
    return Plan(sizes=sizes, square=min(recipe.square, width, height))


def reduction(source: tuple[int, int], target: tuple[int, int]) -> int:
    """By how much to average before filtering, so that `GAP` remains."""
    return max(1, int(min(source[0] / target[0], source[1] / target[1]) / GAP))


def scaled(picture: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """The part `box` of a picture in another size, by Lanczos; the picture itself where that changes nothing."""
    if picture.size == size and box == (0, 0, *size):
        return picture
    return picture.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=GAP)


def centre(size: tuple[float, float]) -> Box:
    """The largest square in the middle, as a box. It is the same whichever way up the picture is."""
    width, height = size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def encoded(name: str, picture: Image.Image, recipe: Recipe, stored: Container[str]) -> Iterator[Variant]:
    """A variant in each format of the recipe, with no metadata: encoders would copy what `info` holds. Not those whose
    files are `stored`."""
    bare = picture.copy()
    bare.info = {}
    for format in recipe.formats:
        if f"{name}.{format}" in stored:
            continue
        buffer = BytesIO()
        bare.save(buffer, format, **_options(format, recipe))
        yield Variant(name=name, width=bare.width, height=bare.height, format=format, data=buffer.getvalue())


def _options(format: VariantFormat, recipe: Recipe) -> dict[str, Any]:
    match format:
        case "jpeg":
            return {"quality": recipe.jpeg_quality}  # baseline: progressive is 6% smaller for 6 times the CPU
        case "webp":
            return {"quality": recipe.webp_quality, "method": recipe.webp_method}
        case "avif":
            # By itself it would start a thread for each processor: how many work at once is the caller's to say.
            return {"quality": recipe.avif_quality, "speed": recipe.avif_speed, "max_threads": 1}
