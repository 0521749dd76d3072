"""The structure of an image file, walked before a decoder sees it.

Three things that Pillow does not do by itself: the dimensions are known before anything is allocated (its WebP and GIF
plugins allocate while opening); a file that was cut short is refused even when only its last bytes are missing; and a file
made to be slow (a million empty chunks, a thousand progressive scans, megabytes of junk between markers: each is a Python
loop or a decoding pass in the decoder) costs next to nothing. What a decoder then says about the size is checked again:
this walk refuses, it is never what a later step relies on.

Sources: ITU-T T.81 annex B; PNG third edition, sections 5 and 11; RFC 9649 (WebP); GIF89a; ISO/IEC 14496-12, section 4.3.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable

import msgspec

from calotype.infra.imaging.types import SourceFormat

MAX_BLOCKS = 400_000
"""Of chunks, segments or sub-blocks: 50 MB of GIF in the usual sub-blocks of 255 bytes have half as many."""
MAX_SCANS = 100
"""Of a progressive JPEG; encoders write about 10."""
MAX_JUNK_BYTES = 64 * 1024
"""Between the segments of a JPEG's header: libjpeg skips it, one Python iteration a byte in Pillow."""


class Malformed(Exception):
    """The file does not have the structure of its format; the message ends the sentence "the file ..."."""


class Layout(msgspec.Struct, frozen=True):
    width: int
    height: int
    frames: int = 1


def sniff(data: bytes) -> SourceFormat | None:
    """The format that the first bytes claim, of those that are accepted. The file's name is never asked."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    return _iso_format(data) if data[4:8] == b"ftyp" else None


def describe(data: bytes) -> str:
    """What a refused file looks like, for the sentence: "an SVG drawing", "a PDF document", else "not an image we know"."""
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    for prefixes, name in _KNOWN:
        if head.startswith(prefixes):
            return name
    lowered = head[:1024].lower()
    if b"<svg" in lowered:
        return "an SVG drawing"
    if b"<html" in lowered or b"<!doctype" in lowered:
        return "a web page"
    if data[4:8] == b"ftyp":
        return "a video, or an image format we do not know"
    return (
        "not an image, or a format we do not know" if b"\0" in data[:4096] or not _textual(head) else "text"
    )


def walk(format: SourceFormat, data: bytes) -> Layout | None:
    """The layout, or None where only a decoder can tell (AVIF and HEIF). Raises `Malformed`."""
    walker = _WALKERS.get(format)
    if walker is None:
        return None
    try:
        return walker(data)
    except (IndexError, struct.error):
        raise Malformed("is cut short: it ends inside its header or a block") from None


_KNOWN: tuple[tuple[tuple[bytes, ...], str], ...] = (
    ((b"%PDF",), "a PDF document"),
    ((b"8BPS",), "a Photoshop document"),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "a TIFF or raw camera file"),
    ((b"BM",), "a BMP picture"),
    ((b"\0\0\x01\0",), "an icon"),
    ((b"\xff\x0a", b"\0\0\0\x0cJXL "), "a JPEG XL picture"),
    ((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "a JPEG 2000 picture"),
    ((b"PK\x03\x04",), "a ZIP archive or an office document"),
    ((b"\x1a\x45\xdf\xa3", b"OggS", b"ID3", b"\0\0\x01\xba"), "a video or audio file"),
    ((b"<svg",), "an SVG drawing"),
)

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_GENERIC_BRANDS = {b"mif1", b"msf1"}


def _textual(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return bool(text) and not any(character < "\t" for character in text)


def _iso_format(data: bytes) -> SourceFormat | None:
    (size,) = struct.unpack_from(">I", data)
    box = data[8 : min(size, 1024)]
    brands = {box[0:4]} | {box[at : at + 4] for at in range(8, len(box), 4)}
    if brands & _AVIF_BRANDS:
        return "avif"
    return "heif" if brands & (_HEIF_BRANDS | _GENERIC_BRANDS) else None


# In entropy-coded data 0xFF is followed by 0 (stuffing) or a restart marker; anything else is a real marker.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _walk_jpeg(data: bytes) -> Layout:
    """To the end marker of the first picture. What follows it is ignored: phones append depth maps and videos there."""
    position, junk, scans = 2, 0, 0
    layout: Layout | None = None
    for _ in range(MAX_BLOCKS):
        found = _MARKER.search(data, position)
        if found is None:
            raise Malformed("is cut short: its end marker is missing")
        marker = data[found.end() - 1]
        junk += 0 if scans else found.start() - position
        position = found.end()
        if marker == _EOI:
            if layout is None or scans == 0:
                raise Malformed("has no picture in it")
            return layout
        if marker in (_SOI, _TEM):
            continue
        if marker in _FRAME_HEADERS and layout is None:
            height, width = struct.unpack_from(">HH", data, position + 3)
            layout = Layout(width, height)
        scans += marker == _SOS
        if junk > MAX_JUNK_BYTES or scans > MAX_SCANS:
            raise Malformed(f"has more than {MAX_SCANS} scans or {MAX_JUNK_BYTES:,} bytes of junk")
        position += int.from_bytes(data[position : position + 2])
    raise Malformed(f"has more than {MAX_BLOCKS:,} segments")


def _walk_png(data: bytes) -> Layout:
    width, height = struct.unpack_from(">II", data, 16)
    if data[12:16] != b"IHDR":
        raise Malformed("has no header")
    position, frames = 8, 1
    for _ in range(MAX_BLOCKS):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data, position + 8)
        position += 12 + length
        if position > len(data):
            raise Malformed("is cut short: its last chunk is not complete")
        if kind == b"IEND":
            return Layout(width, height, max(1, frames))
    raise Malformed(f"has more than {MAX_BLOCKS:,} chunks")


def _walk_webp(data: bytes) -> Layout:
    (riff_bytes,) = struct.unpack_from("<I", data, 4)
    end = 8 + riff_bytes
    if end > len(data):
        raise Malformed(f"is cut short: it has {len(data):,} of {end:,} bytes")
    width, height = _webp_size(data)
    position, frames = 12, 0
    for _ in range(MAX_BLOCKS):
        if position + 8 > end:
            return Layout(width, height, max(1, frames))
        kind, length = struct.unpack_from("<4sI", data, position)
        frames += kind == b"ANMF"
        position += 8 + length + (length & 1)
    raise Malformed(f"has more than {MAX_BLOCKS:,} chunks")


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise Malformed("has no picture in it")


def _walk_gif(data: bytes) -> Layout:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position, frames = 13 + _colour_table_bytes(flags), 0
    blocks = 0
    while blocks < MAX_BLOCKS:
        blocks += 1
        kind = data[position] if position < len(data) else 0x3B  # many writers forget the trailer
        if kind == 0x3B:
            break
        if kind == 0x2C:
            left, top, across, down, flags = struct.unpack_from("<HHHHB", data, position + 1)
            if frames == 0:  # a first frame that is larger than the screen enlarges the screen
                width, height = max(width, left + across), max(height, top + down)
            frames += 1
            position += 11 + _colour_table_bytes(flags)
        elif kind == 0x21:
            position += 2
        else:
            raise Malformed("has a block of an unknown kind")
        while (length := data[position]) and blocks < MAX_BLOCKS:
            position += 1 + length
            blocks += 1
        position += 1
    else:
        raise Malformed(f"has more than {MAX_BLOCKS:,} blocks")
    if frames == 0:
        raise Malformed("has no picture in it")
    return Layout(width, height, frames)


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


_WALKERS: dict[SourceFormat, Callable[[bytes], Layout]] = {
    "jpeg": _walk_jpeg,
    "png": _walk_png,
    "webp": _walk_webp,
    "gif": _walk_gif,
}
