"""What relays do by and by, done now."""

from __future__ import annotations

from calotype.infra.tao import Sweep

_DUE = "select count(*) from outbox where due <= now_ms() and (kind = 'mirror' or kind = any($1::text[]))"


async def all_done(sweep: Sweep) -> None:
    """Sweep until nothing is due that it can do: a sweep takes a page of rows, and what other tests have left to nobody is
    put off a page at a time. What fails is put off too."""
    while True:
        due = [await pool.fetch(_DUE, list(sweep.handlers)) for pool in sweep.shards.pools.values()]
        if not sum(count for ((count,),) in due):
            return
        await sweep.once()
