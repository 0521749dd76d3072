"""Be told when an outbox has work that is due at once."""

from __future__ import annotations

import asyncio
import logging

import asyncpg

from calotype.infra.shards import Pool

log = logging.getLogger(__name__)

CHANNEL = "calotype_outbox"
ANSWER_S = 10.0
FIRST_RETRY_S = 0.2
LAST_RETRY_S = 5.0


async def wake(pool: Pool, due: asyncio.Event) -> None:
    """Set `due` whenever a row comes into an outbox of this server, until cancelled. Rows that come while the server
    cannot be heard are found by the sweep."""
    retry_s = FIRST_RETRY_S
    while True:
        try:
            connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(pool.dsn, timeout=ANSWER_S)
            gone = asyncio.Event()
            connection.add_termination_listener(lambda *_, gone=gone: gone.set())
            try:
                async with asyncio.timeout(ANSWER_S):
                    await connection.add_listener(CHANNEL, lambda *_: due.set())
                retry_s = FIRST_RETRY_S
                due.set()
                await gone.wait()
            finally:
                connection.terminate()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            log.warning("%s does not tell of its outbox: %s", pool.name, error)
        await asyncio.sleep(retry_s)
        retry_s = min(retry_s * 2, LAST_RETRY_S)
