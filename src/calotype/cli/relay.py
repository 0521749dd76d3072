"""`calotype relay`: does what the outboxes hold. `calotype up` runs one; any number may run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time

import click

SWEEP_EVERY_S = 0.5
TIDY_EVERY_S = 3600.0

log = logging.getLogger(__name__)


@click.command()
def relay() -> None:
    """Finish what commits have left to do: inverse edges after a crash, edges of deleted posts, files to remove.

    Runs until it is told to end. Everything it does is idempotent, so it may be killed at any moment and run twice.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calotype.config.settings")
    import django

    django.setup(set_prefix=False)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run())


async def _run() -> None:
    from django.conf import settings

    from calotype.config.wiring import open_site, outbox_handlers
    from calotype.infra.tao import Sweep, forget_claims
    from calotype.std.errors import CalotypeError
    from calotype.web.idempotency import KEPT_S, KINDS
    from calotype.web.rate_limits import forget_old

    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    async with open_site(settings.SITE, settings.DATA) as site:
        sweep = Sweep(site.graph.shards, outbox_handlers(site))
        tidied_at = -TIDY_EVERY_S
        while not end.is_set():
            await sweep.once()
            if time.monotonic() - tidied_at >= TIDY_EVERY_S:
                tidied_at = time.monotonic()
                try:
                    purged = await sweep.purge_tombstones()
                    forgotten = await forget_old(site.sessions.pool)
                    await forget_claims(site.graph.shards, KINDS, KEPT_S)
                    log.info("purged %d tombstones and %d rate-limit windows", purged, forgotten)
                except CalotypeError as error:
                    log.warning("tidying waits for an hour: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), SWEEP_EVERY_S)
