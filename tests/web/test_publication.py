"""The commit log of the sessions' database tells which sessions changed, and nothing of what is in them."""

from __future__ import annotations

import asyncio

import asyncpg
from django.core.management import call_command

from calotype.web.site import Site
from tests.site import Site as Databases

PUBLISHED = "select schemaname || '.' || tablename, attnames::text[] from pg_publication_tables where pubname = 'calotype'"


async def test_keys_of_sessions_are_published_and_a_reverse_takes_that_back(
    web_site: Site, site: Databases
) -> None:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(site.databases["sessions"])
    try:
        assert [tuple(row) for row in await connection.fetch(PUBLISHED)] == [
            ("public.web_session", ["session_key"])
        ]
        await _migrate("0001")
        assert await connection.fetch(PUBLISHED) == []
        await _migrate("0002")
        assert len(await connection.fetch(PUBLISHED)) == 1
    finally:
        await connection.close()


async def test_the_other_databases_of_django_publish_nothing(web_site: Site, site: Databases) -> None:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(site.databases["default"])
    try:
        assert await connection.fetch(PUBLISHED) == []
    finally:
        await connection.close()


async def _migrate(to: str) -> None:
    await asyncio.to_thread(
        call_command, "migrate", "web", to, database="sessions", verbosity=0, interactive=False
    )
