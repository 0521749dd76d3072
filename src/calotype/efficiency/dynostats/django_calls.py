"""Count what a Django site asks its databases and caches, for the request that asks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import iscoroutinefunction
from typing import Any

from django.core.cache import CacheHandler
from django.core.cache.backends.base import BaseCache
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from calotype.efficiency.meter import calling

CACHE = "cache"
_inside: ContextVar[bool] = ContextVar("calotype_cache_call", default=False)
_OF_CACHES = (
    "add",
    "clear",
    "delete",
    "delete_many",
    "get",
    "get_many",
    "has_key",
    "incr",
    "set",
    "set_many",
    "touch",
)


def install() -> None:
    """From now on: connections of any thread by their vendor (`postgresql`, `sqlite`, ...), and caches. Again does nothing."""
    connection_created.connect(_count, dispatch_uid=__name__)
    for connection in connections.all(initialized_only=True):
        _count(connection=connection)
    if not hasattr(CacheHandler.create_connection, "__wrapped__"):
        CacheHandler.create_connection = _counting(CacheHandler.create_connection)  # type: ignore[method-assign, assignment]  # where all caches are made


def _count(*, connection: BaseDatabaseWrapper, **_: object) -> None:
    if execute not in connection.execute_wrappers:
        connection.execute_wrappers.append(execute)


def execute(
    statement: Callable[..., Any], sql: str, parameters: Any, many: bool, context: dict[str, Any]
) -> Any:
    """A wrapper as `connection.execute_wrapper` takes them."""
    with calling(context["connection"].vendor):
        return statement(sql, parameters, many, context)


def _counting(create: Callable[[CacheHandler, str], BaseCache]) -> Callable[[CacheHandler, str], BaseCache]:
    @functools.wraps(create)
    def counted(handler: CacheHandler, alias: str) -> BaseCache:
        cache = create(handler, alias)
        for name in _OF_CACHES:
            setattr(cache, name, _counted(getattr(cache, name)))
            # Most have no asynchronous methods of their own, and do the above in a thread.
            if getattr(type(cache), f"a{name}") is not getattr(BaseCache, f"a{name}"):
                setattr(cache, f"a{name}", _counted(getattr(cache, f"a{name}")))
        return cache

    return counted


def _counted(method: Callable[..., Any]) -> Callable[..., Any]:
    """A backend may do one of its methods by another: the outermost is the call."""
    if iscoroutinefunction(method):

        @functools.wraps(method)
        async def asynchronous(*args: Any, **named: Any) -> Any:
            with _outermost():
                return await method(*args, **named)

        return asynchronous

    @functools.wraps(method)
    def synchronous(*args: Any, **named: Any) -> Any:
        with _outermost():
            return method(*args, **named)

    return synchronous


@contextmanager
def _outermost() -> Iterator[None]:
    if _inside.get():
        yield
        return
    token = _inside.set(True)
    try:
        with calling(CACHE):
            yield
    finally:
        _inside.reset(token)
