"""Sessions for the consistency checker: whether an ended session lives on in some region's cache.

A session has no version. In its place stands a hash of what its row says, so a session that was changed since it was
sampled is not judged. No report names a session's key: whoever has it is that person.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

import msgspec

from calotype.infra.cache import Key
from calotype.infra.invalidation import Change
from calotype.infra.shards import Pool
from calotype.infra.tao.consistency import GONE, UNTOLD, Entry, Known, Subject, Verdict
from calotype.web.session_rows import RELATION, SessionEntries, SessionRow, entry_key

_READ = """
select session_key, session_data, expire_date, account_id from public.web_session where session_key = any($1::text[])
"""
_RANDOM = """
select session_key from public.web_session where session_key >= $1 order by session_key limit $2
"""


class SessionKind:
    """K: the session's key."""

    name = "session"
    _entries = SessionEntries()

    def key(self, space: bytes, k: str) -> Key:
        return entry_key(space, k)

    def words(self, k: str) -> str:
        return "a session"

    async def read(self, pool: Pool, ks: Sequence[str]) -> Mapping[str, SessionRow]:
        """The expired ones, too: whether one has expired is asked by whoever reads it."""
        return {row[0]: SessionRow(row[1], row[2], row[3]) for row in await pool.fetch(_READ, list(ks))}

    def known(self, row: SessionRow | None) -> int:
        return GONE if row is None else _hash(row)

    def judge(self, k: str, known: int, entry: Entry, row: SessionRow | None) -> Verdict:
        cached = self._entries.decode(k, entry.value)
        if self.known(row) != known or cached == row:
            return Verdict(None)
        return Verdict("gone on the primary" if row is None else "different content")


SESSIONS = SessionKind()


class SessionLog:
    """The database of sessions."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def written(self, changes: Sequence[Change]) -> Iterator[tuple[Subject, Known]]:
        for change in changes:
            session_key = change.row.get("session_key")
            if change.relation == RELATION and isinstance(session_key, str):
                yield Subject(SESSIONS, session_key), UNTOLD

    async def random(self, amount: int) -> list[tuple[Subject, Known]]:
        """From a random key on: they are random themselves."""
        rows = await self.pool.fetch(_RANDOM, secrets.token_hex(4), amount)
        return [(Subject(SESSIONS, row[0]), UNTOLD) for row in rows]


def _hash(row: SessionRow) -> int:
    digest = blake2b(msgspec.msgpack.encode(row), digest_size=7).digest()
    return int.from_bytes(digest) or 1
