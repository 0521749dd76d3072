"""Image files made in code: what cameras, screens and attackers send."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image

from calotype.infra.imaging import Variant

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 160, 40), (40, 60, 220), (230, 220, 40)


def corners(width: int = 120, height: int = 80) -> Image.Image:
    """Red top left, green top right, blue bottom left, yellow bottom right."""
    tiny = Image.new("RGB", (2, 2))
    tiny.putdata([RED, GREEN, BLUE, YELLOW])
    return tiny.resize((width, height), Image.Resampling.NEAREST)


def gradient(width: int, height: int) -> Image.Image:
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (across, down, Image.new("L", (width, height), 90)))


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def jpeg(width: int = 200, height: int = 120, **options: Any) -> bytes:
    return saved(gradient(width, height), "JPEG", **options)


def heic(picture: Image.Image, **options: Any) -> bytes:
    """By pillow-heif's plugin, which, like phones, writes the orientation into the container and leaves it in the EXIF."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    return saved(picture, "HEIF", **{"quality": 90, **options})


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, pixels: bytes, *extra: bytes, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG by hand: `pixels` are the filtered rows, uncompressed; `extra` chunks come before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *extra,
            chunk(b"IDAT", zlib.compress(pixels, 1)),
            chunk(b"IEND", b""),
        ]
    )


def opened(variant: Variant) -> Image.Image:
    picture = Image.open(BytesIO(variant.data))
    picture.load()
    return picture


def near(found: Any, expected: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, expected, strict=True))


def corner_colours(picture: Image.Image) -> list[Any]:
    """Top left, top right, bottom left, bottom right; a little inside."""
    width, height = picture.size
    rgb = picture.convert("RGB")
    points = [(x, y) for y in (height // 8, height * 7 // 8) for x in (width // 8, width * 7 // 8)]
    return [rgb.getpixel(point) for point in points]


# A matrix profile of Display P3, built by hand: no such profile comes with Pillow.
def display_p3() -> bytes:
    """ICC v2, primaries of Display P3 adapted to D50, the curve of sRGB approximated by a table of 1,024 entries."""
    columns = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
        b"wtpt": (0.96420, 1.0, 0.82491),
    }
    tags = {name: b"XYZ \0\0\0\0" + b"".join(_fixed(v) for v in value) for name, value in columns.items()}
    levels = [n / 1023 for n in range(1024)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    curve = b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *(round(v * 65535) for v in linear))
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    name = b"Made-up P3\0"
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)
    tags[b"cprt"] = b"text\0\0\0\0none\0"
    return _profile(tags)


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _profile(tags: dict[bytes, bytes]) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += b"".join(map(_fixed, (0.9642, 1.0, 0.82491)))
    return header.ljust(128, b"\0") + table + body
