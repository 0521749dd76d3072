from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from calotype.infra.cache import Cache
from calotype.infra.invalidation import RegionCache
from calotype.std.errors import TooManyRequests
from calotype.web import rate_limits
from calotype.web.rate_limits import RateLimit, forget_old
from calotype.web.session_rows import SessionRows
from calotype.web.site import Site
from tests.statements import counted


async def test_the_limit_holds_for_attempts_at_the_same_time(web_site: Site) -> None:
    limit = RateLimit("test-at-once", amount=5, seconds=60)
    results = await asyncio.gather(
        *(limit.spend(web_site.sessions, "key") for _ in range(12)), return_exceptions=True
    )
    assert sum(isinstance(result, TooManyRequests) for result in results) == 7
    await limit.spend(web_site.sessions, "another key")


async def test_the_next_window_starts_anew_and_old_ones_are_forgotten(
    web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = RateLimit("test-window", amount=1, seconds=60)
    now = rate_limits.seconds_now()
    await limit.spend(web_site.sessions, "key")
    with pytest.raises(TooManyRequests) as refused:
        await limit.spend(web_site.sessions, "key")
    assert 0 < int(str(refused.value.data["retry_after_s"])) <= 60
    monkeypatch.setattr(rate_limits, "seconds_now", lambda: now + 60)
    await limit.spend(web_site.sessions, "key")
    monkeypatch.setattr(rate_limits, "seconds_now", lambda: now + 90_000)
    assert await forget_old(web_site.sessions.pool) >= 2


async def test_the_key_is_not_stored(web_site: Site) -> None:
    await RateLimit("test-secret", amount=1, seconds=60).spend(web_site.sessions, "me@mail.example")
    rows = await web_site.sessions.pool.fetch("select key from public.web_attempts")
    assert not any("mail.example" in row[0] for row in rows)


@pytest.mark.memcached
async def test_with_a_cache_attempts_are_counted_there(cached_web_site: Site) -> None:
    limit = RateLimit("test-cached", amount=3, seconds=60)
    async with counted(cached_web_site) as statements:
        answers = await asyncio.gather(
            *(limit.spend(cached_web_site.sessions, "key") for _ in range(5)), return_exceptions=True
        )
    assert [isinstance(answer, TooManyRequests) for answer in answers].count(True) == 2
    assert statements == []
    await limit.spend(cached_web_site.sessions, "another key")


async def test_a_cache_that_is_away_counts_in_the_database(web_site: Site, short_directory: Path) -> None:
    async with RegionCache(Cache([str(short_directory / "nobody.sock")]), ()) as away:
        rows = SessionRows(web_site.sessions.pool, away)
        limit = RateLimit("test-away", amount=1, seconds=60)
        await limit.spend(rows, "key")
        with pytest.raises(TooManyRequests):
            await limit.spend(rows, "key")
