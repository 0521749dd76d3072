"""The mark, in all the files that have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import calotype

STATIC = Path(calotype.__file__).parent / "web/static/web"


@pytest.mark.parametrize(
    ("name", "side", "bleeds"),
    [
        ("icon-192.png", 192, False),
        ("icon-512.png", 512, False),
        ("icon-maskable-512.png", 512, True),
        ("touch-icon.png", 180, True),
    ],
)
def test_an_icon_has_its_size_and_fills_what_others_round(name: str, side: int, bleeds: bool) -> None:
    image = Image.open(STATIC / name).convert("RGBA")
    assert image.size == (side, side)
    corner = image.getpixel((0, 0))
    assert isinstance(corner, tuple)
    assert (corner[3] == 255) is bleeds


def test_nothing_of_the_mark_lies_outside_the_circle_that_a_mask_may_leave() -> None:
    image = Image.open(STATIC / "icon-maskable-512.png").convert("RGBA").convert("L")
    ground = image.getpixel((0, 0))
    assert isinstance(ground, int)
    light = image.point(lambda value: 255 if value > ground + 40 else 0).getbbox()
    assert light is not None
    left, top, right, bottom = light
    radius = 0.4 * image.width
    assert min(left, top) > image.width / 2 - radius
    assert max(right, bottom) < image.width / 2 + radius


def test_the_favicon_is_lighter_where_the_browser_is_dark() -> None:
    favicon = (STATIC / "favicon.svg").read_text(encoding="utf-8")
    assert "@media(prefers-color-scheme:dark)" in favicon
    assert len(favicon) < 1_000
