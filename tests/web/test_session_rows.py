"""Sessions through the region's cache: read once, ended everywhere, and nobody's to list."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from calotype.infra.shards.tickets import carrying
from calotype.web.session_rows import SessionRows
from calotype.web.sessions import SessionStore
from calotype.web.site import Site
from tests.cached_site import caught_up
from tests.memcached import RunningMemcached, raw
from tests.statements import counted

pytestmark = pytest.mark.memcached


@pytest.fixture
async def session(cached_web_site: Site) -> SessionStore:
    made = SessionStore(None, cached_web_site.sessions)
    await made.aset("seen", 1)
    await made.asave()
    await caught_up(cached_web_site)
    return made


async def seen(rows: SessionRows, key: str | None) -> object:
    """What a request finds in the session."""
    with carrying({}):
        again = SessionStore(key, rows)
        await again.aload_now()
        return await again.aget("seen")


async def test_a_session_is_read_from_the_database_once(cached_web_site: Site, session: SessionStore) -> None:
    assert await seen(cached_web_site.sessions, session.session_key) == 1
    async with counted(cached_web_site) as statements:
        assert await seen(cached_web_site.sessions, session.session_key) == 1
    assert statements == []


async def test_a_changed_session_is_seen_at_once(cached_web_site: Site, session: SessionStore) -> None:
    assert await seen(cached_web_site.sessions, session.session_key) == 1
    await session.aset("seen", 2)
    await session.asave()
    assert await seen(cached_web_site.sessions, session.session_key) == 2


async def test_an_ended_session_is_ended_at_once(cached_web_site: Site, session: SessionStore) -> None:
    assert await seen(cached_web_site.sessions, session.session_key) == 1
    await session.adelete()
    assert await seen(cached_web_site.sessions, session.session_key) is None


async def test_a_session_that_somebody_else_ends_is_ended_by_the_log(
    web_site: Site, cached_web_site: Site, session: SessionStore
) -> None:
    """As Django's admin does it, and every worker of another region: without our cache."""
    assert await seen(cached_web_site.sessions, session.session_key) == 1
    await web_site.sessions.delete(session.session_key or "")
    async with asyncio.timeout(5):
        while await seen(cached_web_site.sessions, session.session_key) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_all_sessions_of_an_account_end_at_once(cached_web_site: Site) -> None:
    rows = cached_web_site.sessions
    expires = datetime.now(UTC) + timedelta(days=1)
    keys = [f"{n:032x}" for n in range(3)]
    for key in keys:
        assert await rows.create(key, "data", expires, 4711)
        assert await rows.load(key) is not None
    assert await rows.end_all(4711, keep=keys[0]) == 2
    assert [await rows.load(key) is not None for key in keys] == [True, False, False]
    await rows.delete(keys[0])


async def test_an_entry_that_outlives_its_session_is_none(cached_web_site: Site) -> None:
    rows = cached_web_site.sessions
    await rows.create("e" * 32, "data", datetime.now(UTC) + timedelta(seconds=1), None)
    assert await rows.load("e" * 32) is not None
    await asyncio.sleep(1.1)
    assert await rows.load("e" * 32) is None


async def test_a_session_that_does_not_exist_is_not_kept(cached_web_site: Site) -> None:
    """Anybody can ask for any number of them."""
    for _ in range(2):
        async with counted(cached_web_site) as statements:
            assert await cached_web_site.sessions.load("f" * 32) is None
        assert len(statements) == 1


async def test_the_keys_in_memcached_are_no_sessions(
    cached_web_site: Site, session: SessionStore, web_memcached: RunningMemcached
) -> None:
    assert await seen(cached_web_site.sessions, session.session_key) == 1
    async with raw(web_memcached) as server:
        assert (await server.ask(b"mg " + (session.session_key or "").encode() + b" v")) == b"EN"


async def test_whose_a_session_is_is_known_without_looking_into_it(cached_web_site: Site) -> None:
    rows = cached_web_site.sessions
    await rows.create("a" * 32, "what nobody can decode", datetime.now(UTC) + timedelta(days=1), 12)
    store = SessionStore("a" * 32, rows)
    await store.aload_now()
    assert store.account_id == 12
    assert not store.accessed
    await rows.delete("a" * 32)
