"""The database of alias `sessions` as every request reads it: through the region's cache, and otherwise asyncpg.

An entry of the cache is outdated by whoever changes its session, and by the commit log of the database: a session that
was ended is ended everywhere. Nothing that is marked stale is ever taken, and no process keeps sessions of its own. The
key in the cache is a hash: who can list memcached's keys has no session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

import msgspec

from calotype.infra.cache import Key
from calotype.infra.invalidation import Change, RegionCache, access
from calotype.infra.shards import Pool
from calotype.infra.shards.tickets import current

LOG = "sessions"
"""The name of this database's commit log."""

_LOAD = "select session_data, expire_date, account_id from public.web_session where session_key = $1 and expire_date > now()"
_EXISTS = "select 1 from public.web_session where session_key = $1"
_CREATE = """
insert into public.web_session (session_key, session_data, expire_date, account_id) values ($1, $2, $3, $4)
on conflict do nothing returning session_key
"""
_UPDATE = """
update public.web_session set session_data = $2, expire_date = $3, account_id = $4 where session_key = $1 returning session_key
"""
_DELETE = "delete from public.web_session where session_key = $1 returning session_key"
_END_ALL = "delete from public.web_session where account_id = $1 and session_key <> $2 returning session_key"

RELATION = "public.web_session"
FORMAT = b"\x01"


class SessionRow(msgspec.Struct, frozen=True, array_like=True):
    """`data` is in Django's own format, signed."""

    data: str
    expires: datetime
    account_id: int | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SessionRow).decode


class SessionEntries:
    """K: the session's key. A session that does not exist is not kept: anybody can ask for those."""

    def place(self, k: str) -> int:
        return 0

    def decode(self, k: str, value: bytes) -> SessionRow | None:
        if not value.startswith(FORMAT):
            raise ValueError("a session in another release's format")
        return _decode(value[1:])

    def encode(self, k: str, v: SessionRow | None) -> tuple[bytes, int] | None:
        return None if v is None else (FORMAT + _encode(v), 0)


@dataclass(frozen=True)
class SessionRows:
    """Each write is durable when its call returns."""

    pool: Pool
    cache: RegionCache | None = None

    def __post_init__(self) -> None:
        if self.cache is not None:
            self.cache.guard(self.pool)

    async def load(self, session_key: str) -> SessionRow | None:
        """A session that has not expired."""
        source, space = access(self.cache, self.pool, current())
        if self.cache is None or space is None:
            row = (await _load(source, [session_key]))[session_key]
        else:
            key = entry_key(space, session_key)
            found = await self.cache.through.read(
                {key: session_key}, SessionEntries(), lambda ks: _load(source, ks), stale_allowed=False
            )
            row = found[session_key]
        return row if row is not None and row.expires > datetime.now(UTC) else None

    async def exists(self, session_key: str) -> bool:
        return bool(await self.pool.fetch(_EXISTS, session_key))

    async def create(self, session_key: str, data: str, expires: datetime, account_id: int | None) -> bool:
        """False when there is one with this key."""
        return bool(await self._write(_CREATE, session_key, data, expires, account_id))

    async def update(self, session_key: str, data: str, expires: datetime, account_id: int | None) -> bool:
        """False when there is none: it was ended."""
        return bool(await self._write(_UPDATE, session_key, data, expires, account_id))

    async def delete(self, session_key: str) -> None:
        await self._write(_DELETE, session_key)

    async def end_all(self, account_id: int, keep: str = "") -> int:
        """End all sessions of an account but `keep`; how many."""
        return len(await self._write(_END_ALL, account_id, keep))

    async def _write(self, sql: str, *arguments: object) -> list[str]:
        """The keys of the sessions that were written; no region's cache shows their old state for long, ours no more."""
        written = [row[0] for row in await self.pool.write(sql, *arguments)]
        space = None if self.cache is None else self.cache.progress.spaces.get(self.pool.name)
        if self.cache is not None and space is not None:
            await self.cache.cache.delete([entry_key(space, session_key) for session_key in written])
        return written

    async def healthy(self) -> bool:
        return await self.pool.healthy()


def session_records(change: Change, space: str) -> Iterator[tuple[Key, int | None]]:
    """What a row of this database's commit log outdates."""
    session_key = change.row.get("session_key")
    if change.relation == RELATION and isinstance(session_key, str):
        yield entry_key(space.encode(), session_key), None


def entry_key(space: bytes, session_key: str) -> Key:
    return Key(b"s:%b:%b" % (space, blake2b(session_key.encode(), digest_size=16).hexdigest().encode()))


async def _load(source: Pool, session_keys: Iterable[str]) -> Mapping[str, SessionRow | None]:
    found: dict[str, SessionRow | None] = {}
    for session_key in session_keys:
        rows = await source.fetch(_LOAD, session_key)
        found[session_key] = SessionRow(rows[0][0], rows[0][1], rows[0][2]) if rows else None
    return found
