"""The consistency checker knows when a session that was changed or ended lives on in a cache."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from calotype.config.caches import PUBLICATION
from calotype.infra.cache import Key
from calotype.infra.tao.consistency import Report, check_consistency
from calotype.web.session_consistency import SESSIONS, SessionLog
from calotype.web.session_rows import LOG
from calotype.web.sessions import SessionStore
from calotype.web.site import Site
from tests.cached_site import caught_up

pytestmark = pytest.mark.memcached


async def check(site: Site, meanwhile: Callable[[], Awaitable[None]]) -> Report:
    assert site.cache is not None
    followed = asyncio.Event()
    checking = asyncio.create_task(
        check_consistency(
            {LOG: SessionLog(site.sessions.pool)},
            {"a": site.cache.cache},
            PUBLICATION,
            scales_s=(2.0,),
            duration_s=7.0,
            sample=1_000,
            tell=lambda *_: followed.set(),
        )
    )
    await followed.wait()  # what is written before the log is followed is not seen
    await meanwhile()
    return await checking


async def session_in_the_cache(site: Site) -> tuple[SessionStore, Key, bytes]:
    """A session with its key in the cache and what is there."""
    store = SessionStore(None, site.sessions)
    await store.aset("seen", 1)
    await store.asave()
    assert store.session_key is not None
    assert site.cache is not None
    key = SESSIONS.key(site.cache.progress.spaces[LOG], store.session_key)
    found: dict[Key, tuple[bytes, int]] = {}
    async with asyncio.timeout(5):
        while key not in found:  # the log's consumer may come in between
            await site.sessions.load(store.session_key)
            await asyncio.sleep(0.02)
            found = await site.cache.cache.look_many([key])
    return store, key, found[key][0]


async def test_what_a_session_was_before_it_was_changed_or_ended_is_reported(cached_web_site: Site) -> None:
    assert cached_web_site.cache is not None
    cache = cached_web_site.cache.cache
    changed, changed_key, before = await session_in_the_cache(cached_web_site)
    ended, ended_key, alive = await session_in_the_cache(cached_web_site)
    ended_name = str(ended.session_key)

    async def write() -> None:
        await changed.aset("seen", 2)
        await changed.asave()
        await ended.adelete()
        await caught_up(cached_web_site)
        assert await cache.set(changed_key, before)
        assert await cache.set(ended_key, alive)

    report = await check(cached_web_site, write)
    await cache.delete([changed_key, ended_key])
    found = {one.key: one for one in report.inconsistencies}
    assert found[changed_key.decode()].problem == "different content"
    assert found[ended_key.decode()].problem == "gone on the primary"
    one = found[ended_key.decode()]
    assert (one.what, one.written_version, one.cached_version) == ("a session", None, None)
    assert ended_name not in str(report.inconsistencies), "whoever has it is that person"


async def test_sessions_that_are_right_are_not_reported(cached_web_site: Site) -> None:
    store, key, _ = await session_in_the_cache(cached_web_site)

    async def write() -> None:
        for number in range(5):
            await store.aset("seen", number)
            await store.asave()
            await cached_web_site.sessions.load(store.session_key or "")
        await caught_up(cached_web_site)
        await cached_web_site.sessions.load(store.session_key or "")

    report = await check(cached_web_site, write)
    assert key.decode() not in {one.key for one in report.inconsistencies}
    assert report.checked > 0
