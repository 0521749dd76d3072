"""Calls that come round by themselves: once a period for the whole site, however many relays there are.

When each is due next is a row of the control database. Whoever sends one holds its row until the broker has it and the
next time is noted: a second relay passes over it, and one that dies in between leaves it due. So none is missed, and one
may be sent twice. Periods in which nothing ran are not made up for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import psycopg

from calotype.infra.jobs.control import connected
from calotype.infra.jobs.types import Call
from calotype.std.errors import Unavailable

SCHEMA = """
create schema if not exists calotype_jobs;
create table if not exists calotype_jobs.periodic (
    name text primary key,
    due timestamptz not null default now()
);
"""
_DECLARE = "insert into calotype_jobs.periodic (name) select unnest(%s::text[]) on conflict do nothing"
_DUE = """
select name from calotype_jobs.periodic where name = %s and due <= now() for update skip locked
"""
_NEXT = """
update calotype_jobs.periodic set due = now() + make_interval(secs => %s) where name = %s
"""


class PeriodicUnavailable(Unavailable):
    """The control database, which knows when each periodic job is due, does not answer."""

    code = "periodic_unavailable"


@dataclass(frozen=True)
class Periodic:
    """`call` makes the call, which a worker runs `every_s` seconds. The name is stored: it never changes its meaning."""

    name: str
    every_s: float
    call: Callable[[], Call]


@dataclass(frozen=True)
class Timetable:
    """Of a whole site. Raises `PeriodicUnavailable` when the control database is away. Synchronous, as Celery is."""

    dsn: str
    periodic: Sequence[Periodic]

    def _connection(self) -> AbstractContextManager[psycopg.Connection]:
        return connected(
            self.dsn, lambda error: PeriodicUnavailable(f"it cannot be seen which jobs are due: {error}")
        )

    def install(self) -> None:
        """Make the table, unless it is there."""
        with self._connection() as connection:
            connection.execute(SCHEMA)

    def send_due(self, send: Callable[[Call], None]) -> int:
        """Send what is due and nobody else is sending; how many. What was never sent is due. Raises what `send` does."""
        sent = 0
        with self._connection() as connection:
            connection.execute(_DECLARE, ([each.name for each in self.periodic],))
            connection.commit()
            for each in self.periodic:
                with connection.transaction():
                    if connection.execute(_DUE, (each.name,)).fetchone():
                        send(each.call())
                        connection.execute(_NEXT, (each.every_s, each.name))
                        sent += 1
        return sent
