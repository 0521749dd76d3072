"""How each kind of the graph's answers is kept in the cache: a format byte, then array-like msgpack.

Fields of objects are kept by name, so that a release may add one with a default while the one before it still runs.
A change of anything else is a new format byte: releases that do not know it read the database and fill anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from calotype.infra.cache import VALUE_LIMIT, HotKeys, Key
from calotype.infra.ids import shard_of
from calotype.infra.tao import keys
from calotype.infra.tao.prefix import SHORT, Prefix, PrefixKey
from calotype.infra.tao.reads import EdgeKey, EdgeRow, ListKey, ObjectRow
from calotype.infra.tao.types import Node, ObjectType, type_numbered

FORMAT = b"\x01"
ABSENT = FORMAT
"""The whole entry of an object that does not exist."""

_encode = msgspec.msgpack.Encoder().encode
_decode_edge = msgspec.msgpack.Decoder(EdgeRow).decode


class Family[K, Q, R, V](Protocol):
    """One kind of answers. K: what is asked for; Q: how the database is asked for it, which answers R; V: the answer."""

    @property
    def hot(self) -> HotKeys[K, V]: ...

    def keys(self, space: bytes) -> Callable[[K], Key]:
        """Makes keys of one key space."""
        ...

    def question(self, k: K) -> Q: ...

    def value(self, k: K, row: R | None) -> V:
        """The answer that a row, or its absence, is."""
        ...

    def place(self, k: K) -> int:
        """The logical shard."""
        ...

    def decode(self, k: K, value: bytes) -> V: ...

    def encode(self, k: K, v: V) -> tuple[bytes, int] | None: ...


class Missing:
    """In place of a node: there is no object with this id, or `row` is of another type than is asked for."""

    __slots__ = ("row",)

    def __init__(self, row: ObjectRow | None = None) -> None:
        self.row = row


ABSENT_OBJECT = Missing()
OTHER_TYPE = Missing()


class Objects[T]:
    """Nodes of one type. K: id."""

    def __init__(self, kind: ObjectType[T]) -> None:
        self.hot: HotKeys[int, Node[T] | Missing] = HotKeys()
        self._kind = kind
        self._header = header(kind.number)

    def keys(self, space: bytes) -> Callable[[int], Key]:
        return keys.object_keys(space)

    def question(self, k: int) -> int:
        return k

    place = staticmethod(shard_of)

    def value(self, k: int, row: ObjectRow | None) -> Node[T] | Missing:
        if row is None:
            return ABSENT_OBJECT
        if row.otype != self._kind.number:
            return Missing(row)
        return Node(k, row.version, row.created, row.updated, self._kind.decode(row.data))

    def decode(self, k: int, value: bytes) -> Node[T] | Missing:
        if value.startswith(self._header):
            return self._kind.unpack(value[5:])
        _check_format(value)
        return ABSENT_OBJECT if len(value) == 1 else OTHER_TYPE

    def encode(self, k: int, v: Node[T] | Missing) -> tuple[bytes, int] | None:
        if not isinstance(v, Missing):
            return self._header + _encode(v), v.version
        if v.row is None:
            return ABSENT, 0
        row = v.row
        other = type_numbered(row.otype)
        if other is None:
            return None
        node = Node(k, row.version, row.created, row.updated, other.decode(row.data))
        return header(other.number) + _encode(node), row.version


class Edges:
    """Single associations, there or not. K: (id1, atype, id2)."""

    def __init__(self) -> None:
        self.hot: HotKeys[EdgeKey, EdgeRow] = HotKeys()

    def keys(self, space: bytes) -> Callable[[EdgeKey], Key]:
        return keys.edge_keys(space)

    def question(self, k: EdgeKey) -> EdgeKey:
        return k

    def place(self, k: EdgeKey) -> int:
        return shard_of(k[0])

    def value(self, k: EdgeKey, row: EdgeRow | None) -> EdgeRow:
        assert row is not None
        return row

    def decode(self, k: EdgeKey, value: bytes) -> EdgeRow:
        _check_format(value)
        return _decode_edge(value[1:])

    def encode(self, k: EdgeKey, v: EdgeRow) -> tuple[bytes, int]:
        return FORMAT + _encode(v), v.version


class Prefixes:
    """The newest of association lists, and how long they are. K: (id1, atype). A missing entry is filled with `amount`;
    one that is there may hold fewer or more."""

    def __init__(self, amount: int, hot: HotKeys[ListKey, Prefix]) -> None:
        self.hot = hot
        self._amount = amount

    def keys(self, space: bytes) -> Callable[[ListKey], Key]:
        return keys.list_keys(space) if self._amount <= SHORT else keys.long_list_keys(space)

    def question(self, k: ListKey) -> PrefixKey:
        return PrefixKey(*k, self._amount)

    def place(self, k: ListKey) -> int:
        return shard_of(k[0])

    def value(self, k: ListKey, row: Prefix | None) -> Prefix:
        assert row is not None
        return row

    def decode(self, k: ListKey, value: bytes) -> Prefix:
        _check_format(value)
        return Prefix.unpack(value[1:])

    def encode(self, k: ListKey, v: Prefix) -> tuple[bytes, int]:
        """As much of the list as fits into an entry."""
        while len(packed := v.pack()) >= VALUE_LIMIT:
            v = v.half()
        return FORMAT + packed, v.version


def header(otype: int) -> bytes:
    """What an object's entry starts with."""
    return FORMAT + otype.to_bytes(4)


def _check_format(value: bytes) -> None:
    if not value.startswith(FORMAT):
        raise ValueError(f"format {value[:1].hex()} is not ours")
