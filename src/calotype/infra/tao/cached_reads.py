"""How the graph's reads find what they ask for: read already by this request or process, in memcached, in PostgreSQL.

Which of them may answer depends on who asks. Somebody who has just written to a server (a ticket, `shards.tickets`) is
shown nothing older: until their region has followed that server's log so far, they read the primary, past all caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from calotype.infra.cache import Key
from calotype.infra.invalidation import RegionCache, access
from calotype.infra.shards import Pool, Shards, Tickets
from calotype.infra.shards.tickets import current
from calotype.infra.tao.batching import Batcher
from calotype.infra.tao.entries import Family


@dataclass(slots=True)
class _Sought[K]:
    """Keys of one read by where they are to be found. `cached`: key of the cache -> what is asked for. `past`: what must
    not be answered by the cache, by the server to ask. `sources`: server -> where to read what the cache has not.
    """

    cached: dict[Key, K] = field(default_factory=dict)
    past: dict[Pool, list[K]] = field(default_factory=dict)
    sources: dict[Pool, Pool] = field(default_factory=dict)


class CachedReads:
    """One a graph. Keys of shards that do not exist are missing from every answer."""

    def __init__(self, shards: Shards, cache: RegionCache | None) -> None:
        self.shards = shards
        self.cache = cache

    async def read[K, Q, R, V](
        self,
        family: Family[K, Q, R, V],
        rows: Batcher[Q, R],
        partition: str,
        ks: Iterable[K],
        *,
        only_cached: bool = False,
    ) -> dict[K, V]:
        """`only_cached`: leave out what the cache must not answer."""
        tickets = current()
        out: dict[K, V] = {}
        window: dict[K, V] = {}
        read: dict[K, V] = {}
        if self.cache is not None:
            if tickets is None or not tickets.fresh_only:
                window = family.hot.window()
            if tickets is not None and not tickets.written:
                read = cast("dict[K, V]", tickets.read.setdefault(family.hot, {}))
        missing: list[K] = []
        for k in ks:
            known = window.get(k)
            if known is None and read:
                known = read.get(k)
            if known is None:
                missing.append(k)
            else:
                out[k] = known
        if missing:
            sought = self._seek(family, partition, missing, tickets)
            if sought.cached:
                assert self.cache is not None
                found = await self.cache.through.read(
                    sought.cached,
                    family,
                    lambda ks: self._load(family, rows, partition, sought.sources, ks),
                    stale_allowed=tickets is None or not tickets.fresh_only,
                )
                family.hot.saw(window, found)
                if tickets is not None:
                    read.update(found)
                out.update(found)
            if sought.past and not only_cached:
                out |= await _answers(family, rows, sought.past)
        return out

    async def glance[K, Q, R, V](self, family: Family[K, Q, R, V], partition: str, k: K) -> V | None:
        """What the cache has of a key, if its readers may be shown it. Nothing is filled."""
        cached = self._seek(family, partition, (k,), current()).cached
        if not cached or self.cache is None:
            return None
        for value in (await self.cache.cache.get_many(list(cached))).values():
            try:
                return family.decode(k, value)
            except ValueError:
                return None
        return None

    async def replace[K, Q, R, V](
        self, family: Family[K, Q, R, V], rows: Batcher[Q, R], partition: str, k: K
    ) -> V | None:
        """Read a key and keep it in place of what is kept, unless that changes meanwhile; None if the cache must not
        answer this reader."""
        sought = self._seek(family, partition, (k,), current())
        if not sought.cached or self.cache is None:
            return None
        ((key, _),) = sought.cached.items()
        lease = await self.cache.cache.reserve(key)
        value = (await self._load(family, rows, partition, sought.sources, (k,)))[k]
        entry = None if lease is None else family.encode(k, value)
        if lease is not None and entry is not None:
            self.cache.cache.fill(key, lease, *entry)
            family.hot.drop((k,))
        return value

    async def direct[K, Q, R](
        self, rows: Batcher[Q, R], partition: str, questions: Mapping[K, Q], place: Callable[[K], int]
    ) -> dict[K, R]:
        """Of the database itself: what has no row is missing."""
        by_source: dict[Pool, list[Q]] = {}
        tickets = current()
        for k, question in questions.items():
            if pool := self.shards.find(partition, place(k)):
                by_source.setdefault(access(self.cache, pool, tickets)[0], []).append(question)
        found = await _ask(rows, by_source)
        return {k: found[question] for k, question in questions.items() if question in found}

    def _seek[K, Q, R, V](
        self, family: Family[K, Q, R, V], partition: str, ks: Iterable[K], tickets: Tickets | None
    ) -> _Sought[K]:
        sought: _Sought[K] = _Sought()
        cached, sources = sought.cached, sought.sources
        keys: dict[Pool, Callable[[K], Key] | None] = {}
        routes, place = self.shards.routes(partition), family.place
        for k in ks:
            pool = routes.get(place(k))
            if pool is None:
                continue
            if pool not in keys:
                sources[pool], space = access(self.cache, pool, tickets)
                keys[pool] = None if space is None else family.keys(space)
            key = keys[pool]
            if key is None:
                sought.past.setdefault(sources[pool], []).append(k)
            else:
                cached[key(k)] = k
        return sought

    async def _load[K, Q, R, V](
        self,
        family: Family[K, Q, R, V],
        rows: Batcher[Q, R],
        partition: str,
        sources: Mapping[Pool, Pool],
        ks: Sequence[K],
    ) -> dict[K, V]:
        by_source: dict[Pool, list[K]] = {}
        routes = self.shards.routes(partition)
        for k in ks:
            pool = routes[family.place(k)]
            by_source.setdefault(sources.get(pool, pool), []).append(k)
        return await _answers(family, rows, by_source)


async def _answers[K, Q, R, V](
    family: Family[K, Q, R, V], rows: Batcher[Q, R], by_source: Mapping[Pool, list[K]]
) -> dict[K, V]:
    question = family.question
    found = await _ask(rows, {source: list(map(question, ks)) for source, ks in by_source.items()})
    return {k: family.value(k, found.get(question(k))) for ks in by_source.values() for k in ks}


async def _ask[Q, R](batcher: Batcher[Q, R], by_source: Mapping[Pool, list[Q]]) -> dict[Q, R]:
    """Ask each server, all at once; questions without a row have no answer."""
    waiting = [(batcher.ask(source, some), some) for source, some in by_source.items()]
    found: dict[Q, R] = {}
    for answer, some in waiting:
        rows = await answer
        for question in some:
            if question in rows:
                found[question] = rows[question]
    return found
