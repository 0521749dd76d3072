"""Every entry of a region's cache, compared with the primary: version and content, decoded as its readers do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calotype.infra.cache import Cache, HotKeys, Key
from calotype.infra.ids import shard_of
from calotype.infra.invalidation import key_space
from calotype.infra.shards import Pool, Shards
from calotype.infra.tao import reads
from calotype.infra.tao.entries import Edges, Family, Missing, Objects, Prefixes
from calotype.infra.tao.prefix import SHORT, Prefix
from calotype.infra.tao.reads import EdgeRow
from calotype.infra.tao.types import LIST_LIMIT, type_of
from tests.faults.world import Region
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, Person


@dataclass(frozen=True)
class Things:
    """All that a test reads and writes: people, and who may follow whom."""

    people: Sequence[int]
    pairs: Sequence[tuple[int, int]]

    @property
    def lists(self) -> list[tuple[int, int]]:
        return [(id_, atype.number) for id_ in self.people for atype in (FOLLOWS, FOLLOWED_BY)]

    @property
    def edges(self) -> list[tuple[int, int, int]]:
        there = [(one, FOLLOWS.number, other) for one, other in self.pairs]
        return there + [(other, FOLLOWED_BY.number, one) for one, other in self.pairs]


@dataclass
class Compared:
    """`entries`: how many were there. `stale`: what is wrong, in words."""

    entries: int = 0
    stale: list[str] = field(default_factory=list)


async def compare(region: Region, primaries: Shards, things: Things, cache: Cache | None = None) -> Compared:
    """What the servers of this region, or of `cache`, hold of all these things."""
    done = Compared()
    known = await region.positions()
    spaces = {log: key_space(log, position.generation).encode() for log, position in known.items()}
    kinds: list[tuple[Family[Any, Any, Any, Any], Sequence[Any], Read, Agree]] = [
        (Objects(type_of(Person)), things.people, reads.objects, _same_object),
        (Edges(), things.edges, reads.edge_rows, _same_edge),
        (Prefixes(SHORT, HotKeys()), things.lists, reads.prefixes, _same_list),
        (Prefixes(LIST_LIMIT, HotKeys()), things.lists, reads.prefixes, _same_list),
    ]
    for family, ks, read, agree in kinds:
        by_pool: dict[Pool, list[Any]] = {}
        for k in ks:
            by_pool.setdefault(primaries.pool("people", shard_of(_first(k))), []).append(k)
        for pool, some in by_pool.items():
            key = family.keys(spaces[pool.name])
            keys = {key(k): k for k in some}
            found = await (cache or region.cache).look_many(list(keys))
            rows = await read(pool, [family.question(k) for k in some])
            _judge(done, family, keys, found, rows, agree)
    return done


type Read = Callable[[Pool, list[Any]], Any]
type Agree = Callable[[Any, Any], bool]


def _judge(
    done: Compared,
    family: Family[Any, Any, Any, Any],
    keys: Mapping[Key, Any],
    found: Mapping[Key, tuple[bytes, int]],
    rows: Mapping[Any, Any],
    agree: Agree,
) -> None:
    for key, (value, flags) in found.items():
        k = keys[key]
        cached = family.decode(k, value)
        there = family.value(k, rows.get(family.question(k)))
        done.entries += 1
        version = getattr(cached, "version", 0)
        if version != flags:
            done.stale.append(f"{key!r} is kept as version {flags} and says {version}")
        if not agree(cached, there):
            done.stale.append(f"{key!r}: {_words(cached)} in the cache, {_words(there)} on the primary")


def _first(k: int | tuple[int, ...]) -> int:
    return k if isinstance(k, int) else k[0]


def _same_object(ours: object, theirs: object) -> bool:
    if isinstance(ours, Missing) or isinstance(theirs, Missing):
        return isinstance(ours, Missing) and isinstance(theirs, Missing)
    return ours == theirs


def _same_edge(ours: EdgeRow, theirs: EdgeRow) -> bool:
    """Its version is that of the whole list, which other edges raise."""
    return ours.edge == theirs.edge


def _same_list(ours: Prefix, theirs: Prefix) -> bool:
    newest = ours.newest(LIST_LIMIT)
    all_of_it = theirs.newest(LIST_LIMIT)
    return (
        (ours.version, ours.length) == (theirs.version, theirs.length)
        and newest == all_of_it[: len(newest)]
        and (not ours.whole or len(newest) == len(all_of_it))
    )


def _words(value: object) -> object:
    return (value.version, value.newest(LIST_LIMIT)) if isinstance(value, Prefix) else value


async def lifetimes(addresses: Iterable[str]) -> list[int]:
    """When each entry of these servers ends, in seconds since 1970; -1: never."""
    ends: list[int] = []
    for address in addresses:
        reader, writer = await asyncio.open_unix_connection(address)
        writer.write(b"lru_crawler metadump all\r\n")
        dump = (await reader.readuntil(b"END\r\n")).decode()
        ends += [int(line.split("exp=")[1].split()[0]) for line in dump.splitlines() if "exp=" in line]
        writer.close()
        await writer.wait_closed()
    return ends
