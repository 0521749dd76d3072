"""The newest part of an association list, as the cache keeps it, and what of the list it can answer: slices, its length,
single associations.

An entry holds a contiguous run from the newest on, in pieces of growing size, so that whoever wants the last two
comments decodes four and not fifty, and whoever wants to know how many there are decodes none.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import NamedTuple, Self

import msgspec

from calotype.infra.tao.types import LIST_LIMIT, START, Edge

SIZES = (4, 50, 200, 1_000, LIST_LIMIT)
"""How many associations an entry holds: the smallest that suffices for what is asked. Its pieces end there, too."""

SHORT = 50
"""The size up to which all of it is one entry. More of a list is kept in another, so that nobody who wants to know its
length or its newest few is sent six thousand."""
assert SHORT in SIZES


class RangeKey(NamedTuple):
    """A slice of an association list: those strictly before (time, id2) and not older than `low`."""

    id1: int
    atype: int
    before_time: int
    before_id2: int
    low: int
    offset: int
    limit: int

    @property
    def from_start(self) -> bool:
        return (self.before_time, self.before_id2) == START


class PrefixKey(NamedTuple):
    """The newest `amount` of an association list."""

    id1: int
    atype: int
    amount: int


class _Packed(msgspec.Struct, array_like=True):
    version: int
    length: int
    whole: bool
    pieces: list[msgspec.Raw]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode
_decode_edges = msgspec.msgpack.Decoder(list[Edge]).decode


class Prefix:
    """`version` and `length` are the list's, `whole` whether it has no other associations than these."""

    __slots__ = ("_edges", "_pieces", "length", "version", "whole")

    def __init__(self, version: int, length: int, whole: bool, edges: list[Edge]) -> None:
        self.version = version
        self.length = length
        self.whole = whole
        self._edges = edges
        self._pieces: list[msgspec.Raw] = []

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Raises `msgspec.MsgspecError`, a `ValueError`."""
        read = _decode(packed)
        prefix = cls(read.version, read.length, read.whole, [])
        prefix._pieces = read.pieces[::-1]
        return prefix

    def pack(self) -> bytes:
        edges = self.newest(LIST_LIMIT)
        ends = [0, *(size for size in SIZES if size < len(edges)), len(edges)]
        pieces = [msgspec.Raw(_encode(edges[start:end])) for start, end in pairwise(ends) if end > start]
        return _encode(_Packed(self.version, self.length, self.whole, pieces))

    def half(self) -> Prefix:
        """The newer half of it."""
        edges = self.newest(LIST_LIMIT)
        return Prefix(self.version, self.length, False, edges[: len(edges) // 2])

    def newest(self, amount: int) -> list[Edge]:
        """At least this many from the newest on, or all that there are."""
        edges, pieces = self._edges, self._pieces
        while pieces and len(edges) < amount:
            edges += _decode_edges(pieces.pop())
        return edges

    def find(self, id2: int) -> Edge | None:
        """The association with `id2`, if this holds it."""
        return next((edge for edge in self.newest(LIST_LIMIT) if edge.id2 == id2), None)

    def slice(self, key: RangeKey) -> list[Edge] | None:
        """The associations of a slice; None when this is not enough of the list to tell."""
        start = self._start(key)
        if start is None:
            return None
        end = start + key.limit
        found = self.newest(end)[start:end]
        asked = [edge for edge in found if edge.time >= key.low]
        if len(asked) < len(found) or len(found) == key.limit or self.whole:
            return asked
        return None

    def needed(self, key: RangeKey) -> int | None:
        """How much of the list it takes to answer a slice; None when this is not enough of it to tell."""
        start = self._start(key)
        return None if start is None else start + key.limit

    def _start(self, key: RangeKey) -> int | None:
        if key.from_start:
            return key.offset
        edges = self.newest(LIST_LIMIT)
        start = bisect_right(edges, (-key.before_time, -key.before_id2), key=lambda e: (-e.time, -e.id2))
        return start + key.offset if start < len(edges) or self.whole else None


def size_for(amount: int) -> int:
    """How much of a list to keep when this much of it is asked for."""
    return next((size for size in SIZES if amount <= size), LIST_LIMIT)
