"""Jobs that failed: those that will be tried again, and those that were given up (the dead letters).

They wait in a table and not with the broker: a message that is held back by a worker is lost with its patience, brokers
differ in what they can delay, and a person wants to see, mend and repeat them. A retry is due at a time; the relay sends
it again. Synchronous, since it is the last thing that a failing process does; every call is one short transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

import msgspec
import psycopg
from psycopg.rows import class_row

from calotype.infra.jobs.control import connected
from calotype.infra.jobs.types import Call, JobInvalid
from calotype.std.errors import NotFound, Unavailable

TRACEBACK_LIMIT = 20_000
ERROR_LIMIT = 500

SCHEMA = """
create schema if not exists calotype_jobs;
create table if not exists calotype_jobs.failures (
    id text primary key,
    job text not null,
    arguments jsonb not null,
    attempts int not null,
    error text not null,
    traceback text not null,
    first_failed timestamptz not null default now(),
    last_failed timestamptz not null default now(),
    due timestamptz,  -- of the next attempt; null: none is planned
    sent boolean not null default false  -- the next attempt is with the broker or running
);
create index if not exists failures_due on calotype_jobs.failures (due) where due is not null and not sent;
"""
_RECORD = """
insert into calotype_jobs.failures (id, job, arguments, attempts, error, traceback, due)
values (%(id)s, %(job)s, %(arguments)s::jsonb, %(attempts)s, %(error)s, %(traceback)s, now() + make_interval(secs => %(after_s)s))
on conflict (id) do update set attempts = excluded.attempts, error = excluded.error, traceback = excluded.traceback,
    last_failed = now(), due = excluded.due, sent = false
"""
_COLUMNS = (
    "id, job, arguments::text as arguments, attempts, error, traceback, first_failed, last_failed, due, sent"
)
_LIST = f"""
select {_COLUMNS} from calotype_jobs.failures
where (%(id)s::text is null or id = %(id)s) order by due is not null, last_failed desc limit %(limit)s
"""  # noqa: S608  the columns are ours
_DUE = f"""
select {_COLUMNS} from calotype_jobs.failures where due <= now() and not sent order by due limit %s for update skip locked
"""  # noqa: S608
_SENT = """
update calotype_jobs.failures set sent = true where id = any(%s)
"""
_INVALID = """
update calotype_jobs.failures set due = null, error = %s, last_failed = now() where id = %s
"""
_RETRY = """
update calotype_jobs.failures set due = now(), sent = false, attempts = 0 where not sent and (%(all)s and due is null or id = any(%(ids)s))
"""
_DROP = """
delete from calotype_jobs.failures where not sent and (%(all)s and due is null or id = any(%(ids)s))
"""


class JobMissing(NotFound):
    code = "job_missing"


class FailuresUnavailable(Unavailable):
    """The control database, which remembers failed jobs, does not answer."""

    code = "failures_unavailable"


@dataclass(frozen=True)
class Failure:
    """`due`: of the next attempt, None when it was given up. `sent`: that attempt is waiting with the broker, or running."""

    id: str
    job: str
    arguments: str
    attempts: int
    error: str
    traceback: str
    first_failed: datetime
    last_failed: datetime
    due: datetime | None
    sent: bool

    @property
    def dead(self) -> bool:
        return self.due is None

    @property
    def call(self) -> Call:
        return Call(self.job, msgspec.Raw(self.arguments.encode()), self.id, self.attempts, again=True)


@dataclass(frozen=True)
class Failures:
    """Raises `FailuresUnavailable` when the control database is away."""

    dsn: str

    def _connection(self) -> AbstractContextManager[psycopg.Connection]:
        return connected(
            self.dsn, lambda error: FailuresUnavailable(f"failed jobs cannot be looked up: {error}")
        )

    def install(self) -> None:
        """Make the table, unless it is there."""
        with self._connection() as connection:
            connection.execute(SCHEMA)

    def record(self, call: Call, error: str, traceback: str, retry_after_s: float | None) -> None:
        """Remember that this call failed, once more than `call.attempts`. None: it is given up."""
        with self._connection() as connection:
            connection.execute(
                _RECORD,
                {
                    "id": call.id,
                    "job": call.job,
                    "arguments": bytes(call.arguments).decode(),
                    "attempts": call.attempts + 1,
                    "error": error[:ERROR_LIMIT],
                    "traceback": traceback[-TRACEBACK_LIMIT:],
                    "after_s": retry_after_s,
                },
            )

    def forget(self, id_: str) -> None:
        """It has succeeded after all."""
        with self._connection() as connection:
            connection.execute("delete from calotype_jobs.failures where id = %s", (id_,))

    def all(self, limit: int = 1_000) -> list[Failure]:
        """The dead first, then by when they failed last."""
        return self._find(None, limit)

    def one(self, id_: str) -> Failure:
        """Raises `JobMissing`."""
        for found in self._find(id_, 1):
            return found
        raise JobMissing(f"no failed job has the id {id_!r}: `calotype jobs list` shows them")

    def _find(self, id_: str | None, limit: int) -> list[Failure]:
        with self._connection() as connection, connection.cursor(row_factory=class_row(Failure)) as cursor:
            return cursor.execute(_LIST, {"id": id_, "limit": limit}).fetchall()

    def send_due(self, send: Callable[[Call], None], limit: int = 100) -> int:
        """Send the calls whose next attempt is due; how many. What was sent is noted, whatever else fails.

        Their rows are locked meanwhile, and noted as sent afterwards: whoever dies in between has them sent again, and an
        outcome that is recorded before is recorded after. Raises what `send` does, but for `JobInvalid`: that call is
        given up.
        """
        done: list[str] = []
        with self._connection() as connection, connection.cursor(row_factory=class_row(Failure)) as cursor:
            try:
                for failure in cursor.execute(_DUE, (limit,)).fetchall():
                    try:
                        send(failure.call)
                    except JobInvalid as error:
                        connection.execute(_INVALID, (str(error)[:ERROR_LIMIT], failure.id))
                    else:
                        done.append(failure.id)
            except Unavailable:
                connection.execute(_SENT, (done,))
                connection.commit()
                raise
            connection.execute(_SENT, (done,))
        return len(done)

    def retry(self, ids: Sequence[str], *, all_dead: bool = False) -> int:
        """Have them tried again at once, with all their attempts before them; how many."""
        with self._connection() as connection:
            return connection.execute(_RETRY, {"ids": list(ids), "all": all_dead}).rowcount

    def drop(self, ids: Sequence[str], *, all_dead: bool = False) -> int:
        """Forget them for good; how many."""
        with self._connection() as connection:
            return connection.execute(_DROP, {"ids": list(ids), "all": all_dead}).rowcount
