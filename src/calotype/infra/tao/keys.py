"""What the graph keeps in the cache, under which key, and which of it a row of the commit log outdates.

Every key holds the key space of the physical server whose log is followed (`invalidation.key_space`): when a log could not
be followed to its end, a new one outdates everything that came from that server at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from calotype.infra.cache import Key
from calotype.infra.invalidation import Change, Operation


def object_keys(space: bytes) -> Callable[[int], Key]:
    """Keys of objects by id. A function of its own for each key space: pages need hundreds of keys of the same."""
    template = b"o:%b:%%d" % space
    return lambda id_: Key(template % id_)


def list_keys(space: bytes) -> Callable[[tuple[int, int]], Key]:
    """Keys of the lengths of lists and their newest few, by (id1, atype)."""
    template = b"l:%b:%%d:%%d" % space
    return lambda k: Key(template % k)


def long_list_keys(space: bytes) -> Callable[[tuple[int, int]], Key]:
    """Keys of longer parts of lists, from the newest on, by (id1, atype)."""
    template = b"r:%b:%%d:%%d" % space
    return lambda k: Key(template % k)


def edge_keys(space: bytes) -> Callable[[tuple[int, int, int]], Key]:
    """Keys of single associations, by (id1, atype, id2)."""
    template = b"e:%b:%%d:%%d:%%d" % space
    return lambda k: Key(template % k)


def object_key(space: bytes, id_: int) -> Key:
    return object_keys(space)(id_)


def list_key(space: bytes, id1: int, atype: int) -> Key:
    return list_keys(space)((id1, atype))


def long_list_key(space: bytes, id1: int, atype: int) -> Key:
    return long_list_keys(space)((id1, atype))


def edge_key(space: bytes, id1: int, atype: int, id2: int) -> Key:
    return edge_keys(space)((id1, atype, id2))


def outdated_by_edge(space: bytes, id1: int, atype: int, id2: int) -> tuple[Key, Key, Key]:
    """All that a change of one association outdates."""
    return (
        edge_key(space, id1, atype, id2),
        list_key(space, id1, atype),
        long_list_key(space, id1, atype),
    )


def records_of(change: Change, space: str) -> Iterator[tuple[Key, int | None]]:
    """What a committed row outdates: the key, and the version that an entry must have to be kept.

    Versions of lists and edges are those of the list, which grow with every write of any of its edges; its
    row in `association_counts` is written in the same transaction. A row that is deleted has no version.
    """
    made = space.encode()
    version = None if change.operation is Operation.DELETE else change.number("version")
    match change.relation:
        case "calotype.objects":
            yield object_key(made, change.number("id")), version
        case "calotype.associations":
            id1, atype, id2 = change.number("id1"), change.number("atype"), change.number("id2")
            yield edge_key(made, id1, atype, id2), version
        case "calotype.association_counts":
            id1, atype = change.number("id1"), change.number("atype")
            yield list_key(made, id1, atype), version
            yield long_list_key(made, id1, atype), version
