"""Fixed-window rate limits, counted where all workers of a region see it: in its memcached, else in the database."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from django.utils.translation import ngettext

from calotype.infra.cache import safe_key
from calotype.infra.shards import Pool
from calotype.std.errors import TooManyRequests
from calotype.web.session_rows import SessionRows

_COUNT = """
insert into public.web_attempts (key, "window", count) values ($1, $2, 1)
on conflict (key, "window") do update set count = web_attempts.count + 1 returning count
"""
_FORGET = 'delete from public.web_attempts where "window" < $1 returning id'

SLACK_S = 60
"""How much longer than its window a counter is kept: clocks of workers may differ by less."""


def seconds_now() -> int:
    """The clock of the windows; tests stop it, so that none of them straddles two."""
    return int(time.time())


@dataclass(frozen=True)
class RateLimit:
    """At most `amount` attempts in each window of `seconds` for one key."""

    name: str
    amount: int
    seconds: int

    async def spend(self, rows: SessionRows, key: str) -> None:
        """Count one attempt; raises `TooManyRequests` when it is over the limit. The key is stored as a hash only."""
        now = seconds_now()
        digest = hashlib.sha256(key.encode()).hexdigest()[:32]
        if await self._count(rows, f"{self.name}:{digest}", now - now % self.seconds) > self.amount:
            wait = self.seconds - now % self.seconds
            raise TooManyRequests(self._sentence(max(1, wait // 60)), retry_after_s=wait)

    def _sentence(self, wait_min: int) -> str:
        return ngettext(
            "Too many attempts: %(amount)d in %(minutes)d minutes is the limit. Try again in a minute.",
            "Too many attempts: %(amount)d in %(minutes)d minutes is the limit. Try again in %(wait)d minutes.",
            wait_min,
        ) % {"amount": self.amount, "minutes": self.seconds // 60, "wait": wait_min}

    async def _count(self, rows: SessionRows, key: str, window: int) -> int:
        """How many attempts of this window there were, with this one."""
        if rows.cache is not None:
            counter = safe_key(f"limit:{key}:{window}")
            count = await rows.cache.cache.increment(counter, ttl_s=self.seconds + SLACK_S)
            if count is not None:
                return count
        return int((await rows.pool.write(_COUNT, key, window))[0][0])


async def forget_old(pool: Pool, older_than_s: int = 86_400) -> int:
    """Remove windows that no limit can ask for any more; how many."""
    return len(await pool.write(_FORGET, seconds_now() - older_than_s))
