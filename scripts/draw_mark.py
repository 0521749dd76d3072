"""Draw the mark, a C that is a lens, wherever it is needed: in brand.svg, as favicon, and as icons of the installed app.

    python scripts/draw_mark.py

The same shape each time, from the numbers below: a disc, less a smaller one that lies a little to the right, so that the
stroke is heavy on the left and light on the right as a broad pen writes it; an opening; and the pupil in its middle.
"""

from __future__ import annotations

import re
from math import cos, radians, sin, sqrt
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw

STATIC = Path(__file__).parent.parent / "src/calotype/web/static/web"

# In hundredths of the tile, whose middle is 50, 50.
OUTER, INNER, SHIFT, PUPIL = 35.0, 24.2, 4.6, 9.6
OPENING_DEGREES = 42
"""Above and below the middle of the right side."""
CORNER = 22
MASKABLE = 0.85
assert OUTER * MASKABLE < 40, "Android shows of a maskable icon a circle of 80% of its side"

SEPIA, PAPER = "#8f4a1c", "#fffdf9"
LIGHT_SEPIA, INK = "#e3a56f", "#1b120a"
FINER = 8
"""How many times larger it is drawn than it is kept."""


class Picture(NamedTuple):
    name: str
    side_px: int
    scale: float = 1.0
    corner: float = CORNER


PICTURES = (
    Picture("touch-icon.png", 180, scale=0.92, corner=0),  # the telephone rounds it
    Picture("icon-192.png", 192),
    Picture("icon-512.png", 512),
    Picture("icon-maskable-512.png", 512, scale=MASKABLE, corner=0),
)


def main() -> None:
    shape = f'<path d="{letter()}"/><circle cx="{50 + SHIFT:g}" cy="50" r="{PUPIL:g}"/>'
    brand = STATIC / "brand.svg"
    symbol = f'<symbol id="mark" viewBox="10 10 80 80">{shape}</symbol>'
    text = brand.read_text(encoding="utf-8")
    brand.write_text(
        re.sub(r'<symbol id="mark".*?</symbol>', symbol, text, flags=re.DOTALL), encoding="utf-8"
    )
    (STATIC / "favicon.svg").write_text(favicon(shape), encoding="utf-8")
    for picture in PICTURES:
        drawn = draw(picture) if picture.corner else draw(picture).convert("RGB")
        drawn.quantize(64, method=Image.Quantize.FASTOCTREE).save(STATIC / picture.name, optimize=True)


def letter() -> str:
    """The C as a path: round the outside from the upper end to the lower, and back inside."""
    slope = (cos(radians(OPENING_DEGREES)), sin(radians(OPENING_DEGREES)))
    # The cut runs from the middle of the inner disc; where it leaves the outer one is a root of a quadratic equation.
    far = -SHIFT * slope[0] + sqrt((SHIFT * slope[0]) ** 2 + OUTER**2 - SHIFT**2)
    x, y = 50 + SHIFT + far * slope[0], far * slope[1]
    inner_x, inner_y = 50 + SHIFT + INNER * slope[0], INNER * slope[1]
    return (
        f"M{x:.2f} {50 - y:.2f}A{OUTER:g} {OUTER:g} 0 1 0 {x:.2f} {50 + y:.2f}"
        f"L{inner_x:.2f} {50 + inner_y:.2f}A{INNER:g} {INNER:g} 0 1 1 {inner_x:.2f} {50 - inner_y:.2f}Z"
    )


def favicon(shape: str) -> str:
    """With a lighter ground where the browser's own frame is dark."""
    style = f"rect{{fill:{SEPIA}}}g{{fill:{PAPER}}}"
    dark = f"@media(prefers-color-scheme:dark){{rect{{fill:{LIGHT_SEPIA}}}g{{fill:{INK}}}}}"
    tile = f'<rect width="100" height="100" rx="{CORNER}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><style>{style}{dark}</style>'
        f"{tile}<g>{shape}</g></svg>\n"
    )


def draw(picture: Picture) -> Image.Image:
    side = picture.side_px * FINER
    unit = side / 100
    image = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, side - 1, side - 1), radius=picture.corner * unit, fill=SEPIA)

    def disc(x: float, radius: float, colour: str) -> None:
        middle, half = side / 2 + x * picture.scale * unit, radius * picture.scale * unit
        pen.ellipse((middle - half, side / 2 - half, middle + half, side / 2 + half), fill=colour)

    disc(0, OUTER, PAPER)
    disc(SHIFT, INNER, SEPIA)
    apex = side / 2 + SHIFT * picture.scale * unit
    reach = OUTER * 1.2 * picture.scale * unit
    x, y = reach * cos(radians(OPENING_DEGREES)), reach * sin(radians(OPENING_DEGREES))
    pen.polygon([(apex, side / 2), (apex + x, side / 2 - y), (apex + x, side / 2 + y)], fill=SEPIA)
    disc(SHIFT, PUPIL, PAPER)
    return image.resize((picture.side_px, picture.side_px), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
