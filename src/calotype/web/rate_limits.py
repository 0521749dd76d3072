"""Fixed-window rate limits, counted in the database so that all workers share them."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from calotype.infra.shards import Pool
from calotype.std.errors import TooManyRequests

_COUNT = """
insert into public.web_attempts (key, "window", count) values ($1, $2, 1)
on conflict (key, "window") do update set count = web_attempts.count + 1 returning count
"""
_FORGET = 'delete from public.web_attempts where "window" < $1 returning id'


def seconds_now() -> int:
    """The clock of the windows; tests stop it, so that none of them straddles two."""
    return int(time.time())


@dataclass(frozen=True)
class RateLimit:
    """At most `amount` attempts in each window of `seconds` for one key."""

    name: str
    amount: int
    seconds: int

    async def spend(self, pool: Pool, key: str) -> None:
        """Count one attempt; raises `TooManyRequests` when it is over the limit. The key is stored as a hash only."""
        now = seconds_now()
        digest = hashlib.sha256(key.encode()).hexdigest()[:32]
        rows = await pool.write(_COUNT, f"{self.name}:{digest}", now - now % self.seconds)
        if rows[0][0] > self.amount:
            wait = self.seconds - now % self.seconds
            raise TooManyRequests(
                f"too many attempts: {self.amount} in {self.seconds // 60} minutes is the limit; try again in {max(1, wait // 60)} min",
                retry_after_s=wait,
            )


async def forget_old(pool: Pool, older_than_s: int = 86_400) -> int:
    """Remove windows that no limit can ask for any more; how many."""
    return len(await pool.write(_FORGET, seconds_now() - older_than_s))
