"""The types of the graph: objects, associations, and how a program declares its own.

    @object_type(1, partition="people")
    class Person(msgspec.Struct, frozen=True):
        name: str

    FOLLOWS, FOLLOWED_BY = association_pair(1, "follows", 2, "followed_by", partition="people")

Vocabulary of TAO (Bronson et al., USENIX ATC 2013): an object is (id, otype, data), an association (id1, atype, id2,
time, data), an association list all associations of one (id1, atype), newest first. Numbers are stored and never
change their meaning; fields are stored by name, so that a release may add one with a default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from calotype.infra.partitions import PARTITIONS

LIST_LIMIT = 6_000
"""Associations of one list that `assoc_range` can reach, as in TAO."""

FIRST = (1 << 63) - 1
"""A time or id after every other: the position before the newest association."""

Cursor = tuple[int, int]
"""A place in an association list: the (time, id2) of the association before it."""

START: Cursor = (FIRST, FIRST)


class Node[T](msgspec.Struct, frozen=True, array_like=True):
    """An object as it was read. Times in milliseconds since 1970; `version` grows by one with every write."""

    id: int
    version: int
    created: int
    updated: int
    data: T


class Edge(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An association as it was read. `time` in milliseconds since 1970; `data` is JSON, None when there is none."""

    id2: int
    time: int
    version: int
    data: bytes | None = None

    @property
    def cursor(self) -> Cursor:
        """Where the list goes on after this edge."""
        return (self.time, self.id2)


@dataclass(frozen=True)
class ObjectType[T]:
    number: int
    partition: str
    struct: type[T]
    decode: Callable[[bytes], T]
    """Of the row's JSON."""
    unpack: Callable[[bytes], Node[T]]
    """Of a whole node's msgpack, as the cache keeps it."""


@dataclass(frozen=True, eq=False)
class Association:
    """One direction of a kind of edge. Writes go to the forward direction; its inverse follows by itself."""

    number: int
    name: str
    partition: str
    forward: bool
    inverse: Association | None = None
    owns: type[Any] | None = None
    """The type of the objects at the other end, if they die with the object at this one."""

    def __repr__(self) -> str:
        return f"<{self.name} ({self.number})>"


_object_types: dict[type[Any], ObjectType[Any]] = {}
_associations: dict[int, Association] = {}


def object_type[T](number: int, *, partition: str) -> Callable[[type[T]], type[T]]:
    """Declare a msgspec Struct as the data of objects with this otype."""
    _check_partition(partition)

    def declare(struct: type[T]) -> type[T]:
        taken = next((known for known in _object_types.values() if known.number == number), None)
        if taken is not None and taken.struct.__qualname__ != struct.__qualname__:
            raise ValueError(
                f"otype {number} is {taken.struct.__name__}'s already, so not {struct.__name__}'s"
            )
        _object_types[struct] = ObjectType(
            number,
            partition,
            struct,
            msgspec.json.Decoder(struct).decode,
            msgspec.msgpack.Decoder(Node[struct]).decode,  # type: ignore[valid-type]  # a type made at run time
        )
        return struct

    return declare


def association(number: int, name: str, *, partition: str) -> Association:
    """Declare an association without an inverse."""
    return _declare(Association(number, name, partition, forward=True))


def association_pair(
    number: int,
    name: str,
    inverse_number: int,
    inverse_name: str,
    *,
    partition: str,
    owns: type[Any] | None = None,
) -> tuple[Association, Association]:
    """Declare an association and its inverse. Both live in one partition, each on the shard of its own id1.

    With `owns`, the objects of this type at the other end are deleted with the object that the association starts from.
    """
    back = _declare(Association(inverse_number, inverse_name, partition, forward=False))
    forth = _declare(Association(number, name, partition, forward=True, inverse=back, owns=owns))
    object.__setattr__(back, "inverse", forth)
    return forth, back


def _declare(new: Association) -> Association:
    _check_partition(new.partition)
    taken = _associations.get(new.number)
    if taken is not None and taken.name != new.name:
        raise ValueError(f"atype {new.number} is {taken.name} already, so not {new.name}")
    _associations[new.number] = new
    return new


def _check_partition(partition: str) -> None:
    if partition not in PARTITIONS:
        raise ValueError(f"{partition!r} is no partition: {', '.join(PARTITIONS)}")


def type_of[T](struct: type[T]) -> ObjectType[T]:
    """The declaration of a struct; `TypeError` when it was not declared."""
    try:
        return _object_types[struct]
    except KeyError:
        raise TypeError(f"{struct.__name__} is not declared with object_type") from None


def type_numbered(number: int) -> ObjectType[Any] | None:
    """The declaration with this otype; None when this program has none."""
    return next((known for known in _object_types.values() if known.number == number), None)


def all_associations() -> list[Association]:
    """Every declared association, by number; both directions of a pair."""
    return [_associations[number] for number in sorted(_associations)]
