"""`calotype relay`: does what the outboxes hold. `calotype up` runs one; any number may run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from typing import TYPE_CHECKING

import click

from calotype.infra.tao.relay import SWEEP_BATCH
from calotype.std.errors import CalotypeError

if TYPE_CHECKING:
    from calotype.infra.jobs.dispatch import Dispatcher
    from calotype.infra.jobs.periodic import Timetable
    from calotype.infra.tao import Sweep
    from calotype.web.site import Site

SWEEP_EVERY_S = 0.5
"""Without being told: for what is due later, and for what a process left that died."""

RETRY_EVERY_S = 1.0
TIDY_EVERY_S = 3600.0
PERIODIC_EVERY_S = 5.0
"""How often it is asked what has come round: it may be so much late."""

log = logging.getLogger(__name__)


@click.command()
def relay() -> None:
    """Finish what commits have left to do: send the jobs that follow them, inverse edges after a crash, files to remove.

    Runs until it is told to end. Everything it does is idempotent, so it may be killed at any moment and run twice.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calotype.config.settings")
    import django

    django.setup(set_prefix=False)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run())


async def _run() -> None:
    from django.conf import settings

    from calotype.config.jobs import broker, failures
    from calotype.config.periodic import timetable
    from calotype.config.wiring import open_site, outbox_handlers
    from calotype.infra.jobs.dispatch import Dispatcher
    from calotype.infra.tao import Sweep
    from calotype.infra.tao.wake import wake

    end, due = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _set, end, due)
    async with open_site(settings.SITE, settings.DATA) as site:
        with Dispatcher(broker(settings.SITE), failures(settings.SITE)) as dispatcher:
            sweep = Sweep(site.graph.shards, outbox_handlers(site, dispatcher))
            others = [
                *(asyncio.create_task(wake(pool, due)) for pool in site.graph.shards.pools.values()),
                asyncio.create_task(_retry(dispatcher)),
                asyncio.create_task(_periodic(dispatcher, timetable(settings.SITE))),
                asyncio.create_task(_tidy(site, sweep)),
            ]
            while not end.is_set():
                due.clear()
                if await sweep.once() >= SWEEP_BATCH:
                    continue
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(due.wait(), SWEEP_EVERY_S)
            for task in others:
                task.cancel()
            await asyncio.wait(others)


def _set(*events: asyncio.Event) -> None:
    for event in events:
        event.set()


async def _retry(dispatcher: Dispatcher) -> None:
    """Send failed jobs whose next attempt is due."""
    while True:
        try:
            await dispatcher.retry_due()
        except CalotypeError as error:
            log.warning("failed jobs wait: %s", error)
        await asyncio.sleep(RETRY_EVERY_S)


async def _periodic(dispatcher: Dispatcher, timetable: Timetable) -> None:
    """Send what has come round."""
    while True:
        try:
            await dispatcher.send_periodic(timetable)
        except CalotypeError as error:
            log.warning("periodic jobs wait: %s", error)
        await asyncio.sleep(PERIODIC_EVERY_S)


async def _tidy(site: Site, sweep: Sweep) -> None:
    """Remove what nobody needs any longer."""
    from calotype.infra.tao import forget_claims
    from calotype.web.idempotency import KEPT_S, KINDS
    from calotype.web.rate_limits import forget_old

    while True:
        try:
            purged = await sweep.purge_tombstones()
            forgotten = await forget_old(site.sessions.pool)
            await forget_claims(site.graph.shards, KINDS, KEPT_S)
            idle = await site.timelines.drop_idle()
            log.info(
                "purged %d tombstones, %d rate-limit windows, %d idle timelines", purged, forgotten, idle
            )
        except CalotypeError as error:
            log.warning("tidying waits for an hour: %s", error)
        await asyncio.sleep(TIDY_EVERY_S)
