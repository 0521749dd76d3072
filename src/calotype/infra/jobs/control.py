"""The control database, where failed jobs and the timetable lie: a connection for one short transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from calotype.std.errors import Unavailable

CONNECT_S = 5
STATEMENT_MS = 10_000


@contextmanager
def connected(dsn: str, away: Callable[[psycopg.Error], Unavailable]) -> Iterator[psycopg.Connection]:
    """Raises what `away` makes of an error of the database."""
    try:
        options = f"-c statement_timeout={STATEMENT_MS}"
        with psycopg.connect(dsn, connect_timeout=CONNECT_S, options=options) as connection:
            yield connection
    except psycopg.Error as error:
        raise away(error) from error
