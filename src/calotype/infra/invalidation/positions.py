"""How far a region has applied a log, as its workers read it from their memcached."""

from __future__ import annotations

from typing import NewType
from zlib import crc32

import msgspec

from calotype.infra.cache import Key, safe_key

Lsn = NewType("Lsn", int)
"""A position in the write-ahead log of one PostgreSQL cluster, in bytes from its start."""

FORMAT = b"\x01"
"""The first byte of a record. A release that changes the fields changes it, and the others read nothing then."""


class Position(msgspec.Struct, array_like=True, frozen=True):
    """Everything that was committed before `applied_lsn` has been deleted from the region's cache.

    `generation`: part of the keys of this log's data; a new one outdates them all. `at_ms`: when this was published.
    """

    generation: str
    applied_lsn: Lsn
    at_ms: int


_decoder = msgspec.msgpack.Decoder(Position)
_encoder = msgspec.msgpack.Encoder()


def position_key(log: str) -> Key:
    """Where the position of this log is kept."""
    return safe_key(f"position:{log}")


def key_space(log: str, generation: str) -> str:
    """What every key of this log's data holds: no other log, and no other generation of it, has the same."""
    return f"{crc32(log.encode()):08x}{generation}"


def encode_position(position: Position) -> bytes:
    return FORMAT + _encoder.encode(position)


def decode_position(value: bytes) -> Position | None:
    """None for a record of another release: the same as no record."""
    if value[:1] != FORMAT:
        return None
    try:
        return _decoder.decode(value[1:])
    except msgspec.MsgspecError:
        return None


def parse_lsn(text: str) -> Lsn:
    """Of PostgreSQL's notation, e.g. `16/B374D848`. Raises `ValueError`."""
    high, _, low = text.partition("/")
    return Lsn(int(high, 16) << 32 | int(low, 16))


def format_lsn(lsn: Lsn) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
