"""Pack and unpack ids: 41 bits of milliseconds since an epoch, 13 of logical shard, 10 of sequence.

The layout is the one that Instagram published in 2012. The column is a signed bigint, so the highest of the 41 bits
stays 0: ids last 2^40 ms, 34.8 years, from the epoch. Ids are made in PostgreSQL (`infra/shards/sql`, `next_id`),
which is where uniqueness and order are kept; here they are only read and written.
"""

from __future__ import annotations

from typing import NamedTuple

from calotype.std.errors import NotFound

EPOCH_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z, in milliseconds since 1970: the epoch of every id made by Calotype."""

SHARD_BITS = 13
SEQUENCE_BITS = 10
TIME_BITS = 40

MAX_SEQUENCE = (1 << SEQUENCE_BITS) - 1
MAX_SHARD = (1 << SHARD_BITS) - 1
MAX_MS = (1 << TIME_BITS) - 1
MAX_ID = (1 << 63) - 1
assert (MAX_MS << SHARD_BITS | MAX_SHARD) << SEQUENCE_BITS | MAX_SEQUENCE == MAX_ID

MAX_DIGITS = len(str(MAX_ID))


class IdInvalid(NotFound):
    """Text that no id looks like. It is a kind of "not found": nothing can be there."""

    code = "id_invalid"


class IdParts(NamedTuple):
    ms: int
    """Milliseconds since the epoch of the id."""
    shard: int
    sequence: int


def compose(ms: int, shard: int, sequence: int) -> int:
    """The id of these parts; `ValueError` when one is out of range."""
    for name, value, limit in (
        ("ms", ms, MAX_MS),
        ("shard", shard, MAX_SHARD),
        ("sequence", sequence, MAX_SEQUENCE),
    ):
        if not 0 <= value <= limit:
            raise ValueError(f"{name} is {value}; it must be 0 to {limit}")
    return (ms << SHARD_BITS | shard) << SEQUENCE_BITS | sequence


def decompose(id_: int) -> IdParts:
    """The parts of an id; `ValueError` when it is not a positive signed 64-bit number."""
    if not 0 <= id_ <= MAX_ID:
        raise ValueError(f"{id_} is no id: it must be 0 to {MAX_ID}")
    return IdParts(id_ >> SHARD_BITS + SEQUENCE_BITS, id_ >> SEQUENCE_BITS & MAX_SHARD, id_ & MAX_SEQUENCE)


def shard_of(id_: int) -> int:
    """The logical shard in an id. For hot paths: the id is not checked."""
    return id_ >> SEQUENCE_BITS & MAX_SHARD


def time_ms(id_: int, epoch_ms: int = EPOCH_MS) -> int:
    """When the id was made, in milliseconds since 1970."""
    return (id_ >> SHARD_BITS + SEQUENCE_BITS) + epoch_ms


def parse(text: str) -> int:
    """The id in text from outside (a URL, a form, JSON); raises `IdInvalid` when it cannot be one."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS) or int(text) > MAX_ID:
        raise IdInvalid(f"{text[:40]!r} is not an id: an id is a number from 0 to {MAX_ID}")
    return int(text)
