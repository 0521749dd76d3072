"""Django's ORM, hashers and admin-side code from async views: in a thread, with its connections kept healthy.

For the few things that stay in the ORM (an account's password, its e-mail). Nothing on the way of a feed goes here.
"""

from __future__ import annotations

from collections.abc import Callable

from asgiref.sync import sync_to_async
from django.db import OperationalError, close_old_connections

from calotype.std.errors import Unavailable


class DatabaseUnavailable(Unavailable):
    """A database of Django's own models does not answer."""

    code = "database_unavailable"


async def in_thread[**P, R](function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Run blocking code of Django's; raises `DatabaseUnavailable` when its database is away."""

    def run() -> R:
        close_old_connections()
        try:
            return function(*arguments, **named)
        except OperationalError as error:
            raise DatabaseUnavailable(
                f"the accounts' database cannot be reached: {error}".splitlines()[0]
            ) from error
        finally:
            close_old_connections()

    return await sync_to_async(run, thread_sensitive=False)()
