"""What a cache answers with, and how long things live in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from calotype.infra.cache.connection import Connection
from calotype.infra.cache.keys import Key

VALUE_LIMIT = 1_000_000
"""Bytes of a value. memcached takes a megabyte an item, with its key and header."""

TIMEOUT_S = 0.25
"""A server that answers nothing for this long is away: a hundred times what an answer takes."""

LEASE_S = 5
"""Whoever won a lease and does not fill within this time has died; the next reader wins it then."""

STALE_S = 10
"""How long a value may still be shown after it was outdated, while somebody reads the new one."""

LIFETIME_S = 86_400
"""Of any entry that is filled. Bounds how long a server that keys have moved away from can hold an old one."""

GUTTER_S = 10
"""Lifetime of entries in the gutter: nobody follows the commit log there, so this bounds how old they can be."""


class Lease(NamedTuple):
    """The right to fill one key: dies with its connection, since a restarted server counts CAS numbers from 1 again."""

    connection: Connection
    cas: bytes
    lifetime_s: int


@dataclass(slots=True)
class Found:
    """What a read with leases found. Each key is in exactly one of `hits`, `won`, `waiting` and `away`.

    `won`: to be read from the database and filled under the lease. `waiting`: somebody else is doing so. `away`: no
    server; the database alone can tell, and nothing is to be filled. `stale`: values of `won` and `waiting` keys that were
    deleted a moment ago.
    """

    hits: dict[Key, bytes]
    won: dict[Key, Lease]
    waiting: list[Key]
    away: list[Key]
    stale: dict[Key, bytes]


@dataclass
class CacheMetrics:
    """Since the process started; keys, not calls."""

    hits: int = 0
    won: int = 0
    waiting: int = 0
    away: int = 0
    stale: int = 0
    fills: int = 0
    deletes: int = 0
    gutter: int = 0
    """Keys that were looked for in the gutter."""
