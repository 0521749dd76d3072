"""Read your own writes: what somebody has written lately, so that they are shown nothing older.

A ticket says of one commit log up to where it must have been followed: log -> a position read from the server after the
commit (`pg_current_wal_lsn`; read before it, another commit in between could satisfy the ticket too early). The answer
to a write carries tickets, the same person's next requests bring them back (docs/invalidation.md).

What is current belongs to the context of one piece of work, as deadlines do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

_POSITION = "select (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint"


class Server(Protocol):
    """What is needed of a pool."""

    @property
    def name(self) -> str: ...

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Any]:
        """Rows."""
        ...


@dataclass
class Tickets:
    """`held`: log -> position, as the request brought them. `written`: the servers that this piece of work has written."""

    held: Mapping[str, int] = field(default_factory=dict)
    written: dict[str, Server] = field(default_factory=dict)
    read: dict[object, dict[object, object]] = field(default_factory=dict)
    """What this piece of work has read already, kind by kind; unused from its first write on."""

    @property
    def fresh_only(self) -> bool:
        """Whether this reader must not be shown what is known to be old."""
        return bool(self.held or self.written)

    async def issue(self) -> dict[str, int]:
        """Tickets for what was written: one statement a server. Raises what `Pool.fetch` raises."""
        return {name: (await pool.fetch(_POSITION))[0][0] for name, pool in self.written.items()}


_current: ContextVar[Tickets | None] = ContextVar("calotype_tickets", default=None)


@contextmanager
def carrying(held: Mapping[str, int]) -> Iterator[Tickets]:
    """Everything inside is done by somebody who holds these tickets; yields what is kept of it."""
    tickets = Tickets(held)
    token = _current.set(tickets)
    try:
        yield tickets
    finally:
        _current.reset(token)


@contextmanager
def untracked() -> Iterator[None]:
    """Writes inside leave no ticket: whoever does not see them at once misses nothing."""
    with carrying({}):
        yield


def current() -> Tickets | None:
    """Those of this piece of work; None outside of one."""
    return _current.get()


def wrote(pool: Server) -> None:
    """Note that this piece of work writes on a server, before it does: a write that failed may have happened."""
    tickets = _current.get()
    if tickets is not None:
        tickets.written[pool.name] = pool
