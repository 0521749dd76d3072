"""A region's memcached servers as one store: batches, leases, deletes, and the gutter for when a server is away.

Leases (Nishtala et al., NSDI 2013, 3.2.1) by flags of the meta protocol: the first reader of a missing key gets `W` and
a CAS number, the others `Z`; what it read is stored under that number alone, and a delete changes it. A delete with `I`
keeps the value for a few seconds, marked stale: the next reader gets it with `X W` and fills it anew, the others may
make do with it. The rules that make this safe, and what happens without each: docs/cache.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from calotype.infra.cache.connection import Connection, Reply
from calotype.infra.cache.errors import CacheUnavailable, ValueTooLarge
from calotype.infra.cache.keys import Key
from calotype.infra.cache.server_set import Answer, Command, ServerSet
from calotype.infra.cache.types import (
    GUTTER_S,
    LEASE_S,
    LIFETIME_S,
    STALE_S,
    TIMEOUT_S,
    VALUE_LIMIT,
    CacheMetrics,
    Found,
    Lease,
)

RELATIVE_LIMIT_S = 30 * 86_400
"""memcached takes a longer time for a moment of Unix time."""

_GET = Command(b"mg", b"v")
_LEASE = Command(b"mg", b"v c N%d" % LEASE_S)
_CAS = Command(b"mg", b"c")
_FLAGS = Command(b"mg", b"f t")
_LOOK = Command(b"mg", b"v f c u")
_REMOVE = Command(b"md", b"")


class Cache:
    """One a region and event loop. A server is named by its address: `host:port` or the path of a Unix socket."""

    def __init__(
        self, servers: Sequence[str], gutter: Sequence[str] = (), *, timeout_s: float = TIMEOUT_S
    ) -> None:
        if not servers:
            raise ValueError("a cache needs at least one server")
        self.servers = ServerSet(servers, timeout_s)
        self.gutter = ServerSet(gutter, timeout_s)
        self.metrics = CacheMetrics()

    # Reads

    async def get(self, key: Key) -> bytes | None:
        """The value, or None: not there, or its server is away."""
        return (await self.get_many((key,))).get(key)

    async def get_many(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """Those of the keys that are there and not marked stale; one write to each server."""
        found: dict[Key, bytes] = {}
        away: list[Key] = []
        for answer in await self.servers.ask(keys, _GET, _take_none):
            if answer.replies is None:
                away += answer.keys
            _take(found, answer)
        if away and self.gutter:
            for answer in await self.gutter.ask(away, _GET, _take_none):
                _take(found, answer)
        return found

    async def look_many(self, keys: Sequence[Key]) -> dict[Key, tuple[bytes, int]]:
        """(value, version) of those that are there and not marked stale, on their own servers: for who watches a cache
        and must leave no trace. No entry counts as used, and the right to fill one, which the question itself takes of
        one that is marked stale, is given back."""
        found: dict[Key, tuple[bytes, int]] = {}
        for answer in await self.servers.ask(keys, _LOOK, _look_at_none):
            _look(found, answer)
        return found

    async def lease_many(self, keys: Sequence[Key], *, gutter: bool = True) -> Found:
        """Read the keys, and win leases on those that are missing or marked stale, unless somebody has them already.

        `gutter`: whether to look there for keys whose server is away. What it has may be `GUTTER_S` behind.
        """
        found = Found({}, {}, [], [], {})
        lost = self._sort(found, await self.servers.ask(keys, _LEASE, _give_back), LIFETIME_S)
        if lost:
            if gutter and self.gutter:
                self.metrics.gutter += len(lost)
                lost = self._sort(found, await self.gutter.ask(lost, _LEASE, _give_back), GUTTER_S)
            found.away = lost
            self.metrics.away += len(lost)
        return found

    def _sort(self, found: Found, answers: list[Answer], lifetime_s: int) -> list[Key]:
        """Put each key where it belongs; those whose server is away are returned."""
        lost: list[Key] = []
        hits = found.hits
        before = len(hits)
        for some, replies, connection in answers:
            if replies is None or connection is None:
                lost += some
                continue
            for key, (_, flags, value) in zip(some, replies, strict=True):
                if len(flags) == 1 and value is not None:
                    hits[key] = value
                else:
                    self._missed(found, key, flags, value, connection, lifetime_s)
        self.metrics.hits += len(hits) - before
        return lost

    def _missed(
        self,
        found: Found,
        key: Key,
        flags: list[bytes],
        value: bytes | None,
        connection: Connection,
        lifetime_s: int,
    ) -> None:
        if b"W" in flags:
            found.won[key] = Lease(connection, flags[0][1:], lifetime_s)
            self.metrics.won += 1
        else:
            found.waiting.append(key)
            self.metrics.waiting += 1
        if value and b"X" in flags:  # the empty value of a broken lease is none
            found.stale[key] = value
            self.metrics.stale += 1

    async def reserve(self, key: Key) -> Lease | None:
        """The right to replace the value that is there now, as long as nobody deletes or replaces it before; None when
        nothing is there, or somebody else fills it. Read the database after this, and not before."""
        ((_, replies, connection),) = await self.servers.ask((key,), _CAS)
        if replies is None or connection is None or replies[0][0] != b"HD":
            return None
        cas, *tokens = replies[0][1]
        return None if b"Z" in tokens else Lease(connection, cas[1:], LIFETIME_S)

    # Fills

    def fill(self, key: Key, lease: Lease, value: bytes, version: int = 0) -> None:
        """Store what was read under a lease; nothing happens if it was broken meanwhile. Not waited for.

        `version` goes into the client flags, so that the consumer of the commit log can leave what is new enough alone.
        """
        if len(value) > VALUE_LIMIT:
            raise _too_large(value)
        if not lease.connection.alive:
            return
        flags = version if 0 <= version < 1 << 32 else 0  # unknown: always deleted
        command = b"ms %b %d C%b T%d F%d\r\n%b\r\n" % (
            key,
            len(value),
            lease.cas,
            lease.lifetime_s,
            flags,
            value,
        )
        self.metrics.fills += lease.connection.tell(command, 1)

    def release(self, key: Key, lease: Lease) -> None:
        """Give a lease back unused, so that the next reader wins one at once. Not waited for."""
        _release(key, lease.connection, lease.cas)

    # Plain writes: for what has no database behind it

    # `ttl_s` of 0: until it is evicted; less: at once.

    async def set(self, key: Key, value: bytes, ttl_s: int = 0) -> bool:
        """Store a value; False when no server took it."""
        return await self._store(key, value, ttl_s, b"S")

    async def add(self, key: Key, value: bytes, ttl_s: int = 0) -> bool:
        """Store a value unless there is one; whether it was stored."""
        return await self._store(key, value, ttl_s, b"E")

    async def _store(self, key: Key, value: bytes, ttl_s: int, mode: bytes) -> bool:
        if len(value) > VALUE_LIMIT:
            raise _too_large(value)
        reply = await self._one(
            key, lambda ttl: b"ms %b %d T%d M%b\r\n%b\r\n" % (key, len(value), ttl, mode, value), ttl_s
        )
        return reply is not None and reply[0] == b"HD"

    async def increment(self, key: Key, by: int = 1, ttl_s: int = 0) -> int | None:
        """Add to a counter, which starts from `by` and lives `ttl_s` from then; its value, None when no server answers.
        Raises `CacheMisused` when what is there is no number."""
        reply = await self._one(key, lambda ttl: b"ma %b N%d J%d D%d v\r\n" % (key, ttl, by, by), ttl_s)
        return _number(reply)

    async def adjust(self, key: Key, by: int) -> int | None:
        """Add to a counter that is there, or take from it, down to 0; its value, None when it is not there or no server
        answers. Raises `CacheMisused` when what is there is no number."""
        mode = b"I" if by >= 0 else b"D"
        return _number(await self._one(key, lambda ttl: b"ma %b M%b D%d v\r\n" % (key, mode, abs(by)), 0))

    async def touch(self, key: Key, ttl_s: int) -> bool:
        """Give an entry a new lifetime; whether it is there."""
        reply = await self._one(key, lambda ttl: b"mg %b T%d\r\n" % (key, ttl), ttl_s)
        return reply is not None and reply[0] == b"HD"

    async def remove(self, keys: Sequence[Key]) -> int:
        """Remove plain entries; how many were there."""
        at_home, in_gutter = await self._remove(keys)
        answers = at_home + in_gutter
        return sum(status == b"HD" for answer in answers for status, _, _ in answer.replies or ())

    async def flush(self) -> None:
        """Forget everything, on every server of the region. Raises `CacheUnavailable` if one does not answer."""
        replies = await self.servers.each(b"flush_all\r\n")
        if self.gutter:
            replies += await self.gutter.each(b"flush_all\r\n")
        if None in replies:
            raise CacheUnavailable(f"{replies.count(None)} of {len(replies)} memcached servers are away")

    # Deletes

    async def delete(self, keys: Sequence[Key]) -> list[Key]:
        """Remove entries, and break the leases of whoever fills them now: what a writer does after its commit.

        Best effort: the keys whose server is away are returned, and the commit log's consumer sees to them.
        """
        self.metrics.deletes += len(keys)
        at_home, _ = await self._remove(keys)
        return _keys_away(at_home)

    async def invalidate(self, versions: Mapping[Key, int | None]) -> int:
        """Outdate what is older than these versions, which the commit log tells (None: whatever is there), each on the
        key's own server, never in the gutter; how many entries were outdated.

        Raises `CacheUnavailable` unless all of it was done: nothing may be acknowledged then, though the servers that
        answered have done their part. Asks for the flags first, since few of the keys are there and fewer are old.
        """
        asked = await self.servers.ask(list(versions), _FLAGS)
        outdated: list[tuple[Key, Command]] = []
        for keys, replies, _ in asked:
            for key, reply in zip(keys, replies or (), strict=False):
                if (command := _verdict(reply, versions[key])) is not None:
                    outdated.append((key, command))
        away = _keys_away(asked)
        for command in dict.fromkeys(command for _, command in outdated):
            some = [key for key, how in outdated if how is command]
            away += _keys_away(await self.servers.ask(some, command))
        if away:
            raise CacheUnavailable(f"the memcached server of {len(away)} keys is away")
        self.metrics.deletes += len(outdated)
        return len(outdated)

    # On every server alike, for the few things that must be found whichever of them is away

    async def set_everywhere(self, key: Key, value: bytes) -> bool:
        """Store a value on each server of the region; whether all of them took it."""
        command = b"ms %b %d\r\n%b\r\n" % (key, len(value), value)
        return None not in await self.servers.each(command)

    async def get_everywhere(self, key: Key) -> list[bytes]:
        """The values that the servers have."""
        replies = await self.servers.each(b"mg %b v\r\n" % key)
        return [reply[2] for reply in replies if reply is not None and reply[2]]

    # All of it

    async def healthy(self) -> bool:
        """Whether every server of the region answers."""
        return None not in await self.servers.each(b"mn\r\n")

    async def close(self) -> None:
        """Close every connection; whatever is under way fails."""
        await self.servers.close()
        await self.gutter.close()

    async def _remove(self, keys: Sequence[Key]) -> tuple[list[Answer], list[Answer]]:
        """What the keys' own servers answer, and what the gutter does for those whose server is away."""
        at_home = await self.servers.ask(keys, _REMOVE)
        away = _keys_away(at_home) if self.gutter else []
        return at_home, await self.gutter.ask(away, _REMOVE) if away else []

    async def _one(self, key: Key, command: Callable[[int], bytes], ttl_s: int) -> Reply | None:
        """One command on the key's server or, when that is away, in the gutter with its short lifetime."""
        try:
            return await self.servers.one(key, command(_expiry(ttl_s)))
        except CacheUnavailable:
            if not self.gutter:
                return None
        try:
            return await self.gutter.one(key, command(min(ttl_s or GUTTER_S, GUTTER_S)))
        except CacheUnavailable:
            return None


def _take(found: dict[Key, bytes], answer: Answer) -> None:
    """The values of a plain read. It cannot fill what is marked stale, though it has won the right to: that is removed,
    so that a reader with leases wins it next."""
    won: list[Key] = []
    for key, (_, flags, value) in zip(answer.keys, answer.replies or (), strict=False):
        if value is not None and not flags:
            found[key] = value
        elif b"W" in flags:
            won.append(key)
    if won and answer.connection is not None:
        answer.connection.tell(_REMOVE.of(won), len(won))


def _take_none(late: Answer) -> None:
    """A plain read that nobody waited for any longer."""
    _take({}, late)


def _look(found: dict[Key, tuple[bytes, int]], answer: Answer) -> None:
    """The values and versions of a look, which marks as stale again what it has won the right to fill."""
    for key, (_, facts, value) in zip(answer.keys, answer.replies or (), strict=False):
        if value is None:
            continue
        flags, cas, *tokens = facts
        if not tokens:
            found[key] = value, int(flags[1:])
        elif b"W" in tokens and answer.connection is not None:
            answer.connection.tell(b"md %b I C%b\r\n" % (key, cas[1:]), 1)


def _look_at_none(late: Answer) -> None:
    """One that nobody waited for any longer."""
    _look({}, late)


def _give_back(late: Answer) -> None:
    """The leases that were won when nobody waited for them any longer."""
    for key, (_, flags, _) in zip(late.keys, late.replies or (), strict=False):
        if b"W" in flags and late.connection is not None:
            _release(key, late.connection, flags[0][1:])


def _release(key: Key, connection: Connection, cas: bytes) -> None:
    connection.tell(b"md %b C%b\r\n" % (key, cas), 1)


def _number(reply: Reply | None) -> int | None:
    return None if reply is None or reply[2] is None else int(reply[2])


def _expiry(ttl_s: int) -> int:
    """As memcached wants it: seconds from now or, if that is far away, the moment."""
    return ttl_s if ttl_s <= RELATIVE_LIMIT_S else int(time.time()) + ttl_s


def _keys_away(answers: list[Answer]) -> list[Key]:
    return [key for answer in answers if answer.replies is None for key in answer.keys]


def _verdict(reply: Reply, version: int | None) -> Command | None:
    """What must be done to an entry for a record of this version.

    One that is marked stale already must go again, since the question itself has taken the right to fill it (`W`); it
    keeps the rest of its time, lest a key that is written again and again is shown stale for ever.
    """
    if reply[0] == b"EN":
        return None
    flags, left, *tokens = reply[1]
    if tokens:
        left_s = int(left[1:]) - 1
        return _outdate(left_s) if 0 < left_s < STALE_S else _REMOVE
    return _outdate(STALE_S) if version is None or int(flags[1:]) < version else None


@cache
def _outdate(seconds: int) -> Command:
    """Mark stale, for so long at most."""
    return Command(b"md", b"I T%d" % seconds)


def _too_large(value: bytes) -> ValueTooLarge:
    return ValueTooLarge(
        f"a value of {len(value)} bytes; memcached takes {VALUE_LIMIT}",
        size_bytes=len(value),
        limit_bytes=VALUE_LIMIT,
    )
