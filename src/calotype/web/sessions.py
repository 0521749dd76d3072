"""Sessions in the database of alias `sessions`: through asyncpg for our pages, through the ORM for Django's admin.

Both read and write the same rows in Django's own format. A row also says whose session it is, so that all of an
account's sessions can be ended at once: after a password change, or when an admin takes away the right to log in.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from calotype.web.session_rows import SessionRow, SessionRows

KEY_LENGTHS = range(8, 41)


class SessionStore(DatabaseStore):
    """With rows its async methods use them; without (Django's admin) everything is Django's own."""

    def __init__(self, session_key: str | None = None, rows: SessionRows | None = None) -> None:
        plausible = session_key is not None and len(session_key) in KEY_LENGTHS and session_key.isalnum()
        super().__init__(session_key if plausible else None)
        self._rows = rows
        self._loaded: SessionRow | None = None
        """What was read and not looked into yet: most pages need to know only whose it is."""

    @classmethod
    def get_model_class(cls) -> type[Any]:
        from calotype.web.models import Session

        return Session

    @property
    def account_id(self) -> int | None:
        """Whose session it is; None when nobody has signed in with it."""
        if self._loaded is not None and not hasattr(self, "_session_cache"):
            return self._loaded.account_id
        value = self.get(SESSION_KEY)
        return int(value) if isinstance(value, str) and value.isdigit() else None

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row = super().create_model_instance(data)
        row.account_id = data.get(SESSION_KEY)  # type: ignore[attr-defined]  # of our model, not of its abstract base
        return row

    async def aload_now(self) -> None:
        """Read the session, so that what follows finds it in memory; an unknown or expired key becomes an empty one."""
        self._loaded = await self._ours.load(self.session_key) if self.session_key else None
        if self._loaded is None:
            self._session_key = None
            self._session_cache: dict[str, Any] = {}

    def load(self) -> dict[str, Any]:
        return super().load() if self._loaded is None else self._decoded(self._loaded)

    async def aload(self) -> dict[str, Any]:
        if self._loaded is None:
            await self.aload_now()
        return {} if self._loaded is None else self._decoded(self._loaded)

    def _decoded(self, row: SessionRow) -> dict[str, Any]:
        decoded: dict[str, Any] = self.decode(row.data)
        return decoded

    async def aexists(self, session_key: str) -> bool:
        return await self._ours.exists(session_key)

    async def asave(self, must_create: bool = False) -> None:
        if self.session_key is None:
            await self.acreate()
            return
        data = getattr(self, "_session_cache", {}) if must_create else dict(await self.aitems())
        account = data.get(SESSION_KEY)
        row = (self.session_key, self.encode(data), self._expires(), int(account) if account else None)
        if must_create:
            if not await self._ours.create(*row):
                raise CreateError
        elif not await self._ours.update(*row):
            raise UpdateError

    async def adelete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            await self._ours.delete(key)

    @property
    def _ours(self) -> SessionRows:
        assert self._rows is not None, "this session belongs to Django's sync side"
        return self._rows

    def _expires(self) -> datetime:
        return datetime.fromtimestamp(datetime.now(UTC).timestamp() + self.get_expiry_age(), UTC)
