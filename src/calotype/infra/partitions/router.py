"""A Django database router that maps model labels to database aliases.

    DATABASE_ROUTERS = [VerticalPartitionRouter({"sessions": "sessions", "accounts.audit": "archive"})]

A key is an app label or `app_label.modelname`; the more specific one wins; everything else goes to `default`. This is
the first split that Instagram made, before sharding (Krieger 2012). Relations and migrations never cross aliases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

DEFAULT = "default"


class Options(Protocol):
    """What is read of a model's `_meta`."""

    app_label: str
    model_name: str | None


class Model(Protocol):
    _meta: Options


class VerticalPartitionRouter:
    """Stateless but for its routes, which are fixed at start."""

    def __init__(self, routes: Mapping[str, str]) -> None:
        self._routes = dict(routes)

    def alias(self, app_label: str, model_name: str | None = None) -> str:
        """The database alias of a model or, without a model, of an app."""
        if model_name is not None and (found := self._routes.get(f"{app_label}.{model_name.lower()}")):
            return found
        return self._routes.get(app_label, DEFAULT)

    def db_for_read(self, model: type[Model], **hints: object) -> str:
        return self.alias(model._meta.app_label, model._meta.model_name)

    def db_for_write(self, model: type[Model], **hints: object) -> str:
        return self.db_for_read(model)

    def allow_relation(self, one: Model, other: Model, **hints: object) -> bool:
        return self.db_for_read(type(one)) == self.db_for_read(type(other))

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: object) -> bool:
        return self.alias(app_label, model_name) == db
