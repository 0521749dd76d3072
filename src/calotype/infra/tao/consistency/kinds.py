"""The graph's kinds of entries: objects, lists and single edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from calotype.infra.cache import HotKeys, Key
from calotype.infra.shards import Pool
from calotype.infra.tao import keys, reads
from calotype.infra.tao.consistency.judging import GONE, Entry, Verdict, by_version
from calotype.infra.tao.entries import ABSENT, Edges, Prefixes, header
from calotype.infra.tao.prefix import Prefix
from calotype.infra.tao.reads import EdgeKey, EdgeRow, ListKey, ObjectRow
from calotype.infra.tao.types import Node, all_associations, type_numbered

COMPARED = 200
"""Associations of a list that are compared, from the newest on: longer ones are read for their first page, too."""


class ObjectKind:
    """K: id."""

    name = "object"

    def key(self, space: bytes, k: int) -> Key:
        return keys.object_key(space, k)

    def words(self, k: int) -> str:
        return f"object {k}"

    async def read(self, pool: Pool, ks: Sequence[int]) -> Mapping[int, ObjectRow]:
        return await reads.objects(pool, list(ks))

    def known(self, row: ObjectRow | None) -> int:
        return GONE if row is None else row.version

    def judge(self, k: int, known: int, entry: Entry, row: ObjectRow | None) -> Verdict:
        node = _node(k, entry.value)
        if node is None:
            lost = row is not None and known != GONE
            return Verdict("absent in the cache" if lost else None, None, row and row.version)
        cached = entry.flags or node.version
        if row is not None:
            return by_version(known, cached, row.version, same=_expected(k, row) in (node, None))
        if cached < known:
            return Verdict("older version", cached)
        return Verdict("gone on the primary" if known == GONE else None, cached)


class ListKind:
    """K: (id1, atype). Of one of the two entries that a list has."""

    _entries = Prefixes(
        COMPARED + 1, HotKeys()
    )  # one more than is compared: whether a list ends there must be known

    def __init__(self, name: str, key: Callable[[bytes, int, int], Key]) -> None:
        self.name = name
        self._key = key

    def key(self, space: bytes, k: ListKey) -> Key:
        return self._key(space, *k)

    def words(self, k: ListKey) -> str:
        return f"{self.name} of {_association(k[1])} of {k[0]}"

    async def read(self, pool: Pool, ks: Sequence[ListKey]) -> Mapping[ListKey, Prefix]:
        found = await reads.prefixes(pool, [self._entries.question(k) for k in ks])
        return {(k.id1, k.atype): prefix for k, prefix in found.items()}

    def known(self, row: Prefix | None) -> int:
        return GONE if row is None else row.version

    def judge(self, k: ListKey, known: int, entry: Entry, row: Prefix | None) -> Verdict:
        cached = self._entries.decode(k, entry.value)
        there = Prefix(0, 0, True, []) if row is None else row
        same = cached.length == there.length and _agree(cached, there)
        return by_version(known, entry.flags or cached.version, there.version, same=same)


class EdgeKind:
    """K: (id1, atype, id2). Known is the version of the edge; the entry has that of its whole list, when it was read."""

    name = "edge"
    _entries = Edges()

    def key(self, space: bytes, k: EdgeKey) -> Key:
        return keys.edge_key(space, *k)

    def words(self, k: EdgeKey) -> str:
        return f"edge {_association(k[1])} from {k[0]} to {k[2]}"

    async def read(self, pool: Pool, ks: Sequence[EdgeKey]) -> Mapping[EdgeKey, EdgeRow]:
        return await reads.edge_rows(pool, list(ks))

    def known(self, row: EdgeRow | None) -> int:
        return GONE if row is None or row.edge is None else row.edge.version

    def judge(self, k: EdgeKey, known: int, entry: Entry, row: EdgeRow | None) -> Verdict:
        read = self._entries.decode(k, entry.value)
        there = row or EdgeRow(0, None)
        cached = entry.flags or read.version
        if known <= cached < there.version and _must_have(there, known, cached) and read.edge != there.edge:
            problem = Verdict("gone on the primary" if there.edge is None else "different content")
            return problem._replace(cached=cached, primary=there.version)
        return by_version(known, cached, there.version, same=read.edge == there.edge)


OBJECTS, EDGES = ObjectKind(), EdgeKind()
LISTS, LONG_LISTS = ListKind("list", keys.list_key), ListKind("long list", keys.long_list_key)


def _node(id_: int, value: bytes) -> Node[Any] | None:
    """The node that an entry holds; None when it says that there is none. Raises `ValueError` if it cannot be read."""
    if value == ABSENT:
        return None
    kind = type_numbered(int.from_bytes(value[1:5]))
    if kind is None or not value.startswith(header(kind.number)):
        raise ValueError("an object in another release's format")
    node: Node[Any] = kind.unpack(value[5:])
    return node


def _expected(id_: int, row: ObjectRow) -> Node[Any] | None:
    """The node that a row is; None for a type that this program does not know."""
    kind = type_numbered(row.otype)
    return None if kind is None else Node(id_, row.version, row.created, row.updated, kind.decode(row.data))


def _agree(cached: Prefix, there: Prefix) -> bool:
    """Whether what an entry holds of a list, up to `COMPARED`, is its newest part, and its end where it says so."""
    ours, theirs = cached.newest(COMPARED)[:COMPARED], there.newest(COMPARED + 1)
    ends = cached.whole and len(ours) < COMPARED
    return ours == theirs[: len(ours)] and not (ends and len(theirs) > len(ours))


def _must_have(there: EdgeRow, known: int, cached: int) -> bool:
    """Whether an entry of an earlier version of the list must say of this edge what the primary does: the edge was
    written before, or was gone already when it was sampled."""
    return known == GONE if there.edge is None else there.edge.version <= cached


def _association(atype: int) -> str:
    return next((assoc.name for assoc in all_associations() if assoc.number == atype), f"atype {atype}")
