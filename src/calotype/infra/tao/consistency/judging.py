"""What can be wrong with an entry of a cache, and how it is told without a race.

A sample is a key together with the version that its row is known to have had at a moment. Later, at least so long after
that moment, an entry that is not marked stale must be at least of that version: an older one proves itself stale. If the
row still has that version, the entry must say exactly what the row says. If it has a newer one, somebody has written it
meanwhile, and an entry between the two is not known to be late.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from calotype.infra.cache import Key
from calotype.infra.shards import Pool

GONE = 0
"""In place of a version: the row was not there."""

UNTOLD = None
"""In place of a version: the log does not tell it, so the row is to be read first."""

type Known = int | None

type Problem = Literal[
    "older version",
    "newer than the primary",
    "different content",
    "gone on the primary",
    "absent in the cache",
]


class Entry(NamedTuple):
    """As memcached has it; `flags` are the client's: the version, 0 when unknown."""

    value: bytes
    flags: int


class Verdict(NamedTuple):
    """`cached`, `primary`: versions, None where there is none."""

    problem: Problem | None
    cached: int | None = None
    primary: int | None = None

    @property
    def proven(self) -> bool:
        """Whether one look at the cache proves it; everything else may be a write between two looks."""
        return self.problem == "older version"


class Kind[K: Hashable, R](Protocol):
    """One kind of entries of a cache. K: what it is about; R: what the primary says of it."""

    name: str

    def key(self, space: bytes, k: K) -> Key: ...

    def words(self, k: K) -> str:
        """Which one it is, for the person who reads the report."""
        ...

    async def read(self, pool: Pool, ks: Sequence[K]) -> Mapping[K, R]:
        """From the primary; what has no row is missing."""
        ...

    def known(self, row: R | None) -> int:
        """The version that a row, or its absence, has."""
        ...

    def judge(self, k: K, known: int, entry: Entry, row: R | None) -> Verdict:
        """Raises `ValueError` for an entry of another release, which its readers do not take either."""
        ...


class Subject(NamedTuple):
    """What one entry of each region's cache is about."""

    kind: Kind[Any, Any]
    k: Hashable


def by_version(known: int, cached: int, primary: int, *, same: bool) -> Verdict:
    """The verdict on an entry that has a version, as its row has. `same`: whether they say the same."""
    problem: Problem | None = None
    if cached < known:
        problem = "older version"
    elif cached > primary:
        problem = "newer than the primary"
    elif cached == primary and not same:
        problem = "different content"
    return Verdict(problem, cached, primary)
