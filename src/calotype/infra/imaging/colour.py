"""Any decoded picture as 8-bit sRGB without alpha: RGB, or L for grey.

Two steps, since they cost differently: `flattened` runs over all pixels and in bands, so that a palette or alpha picture
of 100 megapixels never exists a second time in full; `srgb` runs over the reduced picture.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageChops, ImageCms

BAND_PIXELS = 4_000_000
NOTICEABLE = 2
"""Levels of 255: a profile that moves no colour of the test card by more is sRGB under another name."""

_WHITE: dict[str, int | tuple[int, ...]] = {"RGB": (255, 255, 255), "L": 255}
_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}


def flattened(picture: Image.Image, factor: int = 1) -> Image.Image:
    """`picture` in mode RGB, L or CMYK, averaged by blocks of `factor` x `factor` pixels; alpha laid on white.

    The size is that of `Image.reduce`: rounded up. White in both public formats, so that they look the same.
    """
    if picture.mode in ("RGB", "L", "CMYK") and "transparency" not in picture.info:
        return picture.reduce(factor) if factor > 1 else picture
    width, height = picture.size
    rows = max(1, BAND_PIXELS // width // factor) * factor
    result: Image.Image | None = None
    for top in range(0, height, rows):
        band = _opaque(picture.crop((0, top, width, min(height, top + rows))))
        band = band.reduce(factor) if factor > 1 else band
        if result is None:
            result = Image.new(band.mode, (-(-width // factor), -(-height // factor)))
        result.paste(band, (0, top // factor))
    assert result is not None
    return result


def srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture of mode RGB, L or CMYK in sRGB; relative colorimetric, as browsers do it.

    A profile that is broken, or made for another kind of picture, is ignored. CMYK without a profile has no defined colours:
    the complement of its inks is taken.
    """
    transform = _transform(picture.mode, profile) if profile else None
    if transform is not None:
        return transform.apply(picture)
    return picture if picture.mode in ("RGB", "L") else picture.convert("RGB")


def _opaque(band: Image.Image) -> Image.Image:
    if band.mode.startswith("I") or band.mode == "F":
        return _eight_bits(band)
    if band.mode in ("LA", "La"):
        return _on_white(band.convert("LA"), "L")
    if band.mode in ("RGBA", "RGBa", "PA") or "transparency" in band.info:
        return _on_white(band.convert("RGBA"), "RGB")
    return band.convert("L" if band.mode == "1" else "RGB")


def _eight_bits(band: Image.Image) -> Image.Image:
    # Pillow's own conversion from 16 bits clips everything above 255 to white.
    return band.convert("I").point(lambda level: level * (1 / 257)).convert("L")


def _on_white(band: Image.Image, mode: str) -> Image.Image:
    ground = Image.new(mode, band.size, _WHITE[mode])
    ground.paste(band.convert(mode), mask=band.getchannel("A"))
    return ground


def _transform(mode: str, profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """From `profile` to sRGB for pictures of `mode`; None where it would change nothing visible or cannot be made."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space != _SPACES[mode]:
            return None
        transform = ImageCms.ImageCmsTransform(
            source,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        card = _test_card(mode)
        return transform if _differ(transform.apply(card), card.convert("RGB")) else None
    except (OSError, TypeError, ValueError, ImageCms.PyCMSError):
        return None


def _test_card(mode: str) -> Image.Image:
    """216 colours (or 256 greys) spread over the whole space."""
    if mode == "L":
        return Image.frombytes("L", (256, 1), bytes(range(256)))
    steps = bytes(range(0, 256, 51))
    bands = len(mode)
    colours = [bytes(c) for c in _product(steps, 3)]
    return Image.frombytes(mode, (len(colours), 1), b"".join(c.ljust(bands, b"\0") for c in colours))


def _product(steps: bytes, times: int) -> list[tuple[int, ...]]:
    rows: list[tuple[int, ...]] = [()]
    for _ in range(times):
        rows = [(*row, step) for row in rows for step in steps]
    return rows


def _differ(left: Image.Image, right: Image.Image) -> bool:
    extrema = ImageChops.difference(left, right).getextrema()
    return any(high > NOTICEABLE for _, high in extrema)  # type: ignore[misc]
