"""Choose the engines that the configuration names, and tie what happens in one slice to what follows in another."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from calotype.config.site import Site as Configuration
from calotype.infra.blobs import LocalBlobs
from calotype.infra.shards import Pool, Shards
from calotype.infra.tao import Graph, Handler
from calotype.infra.tao.forget import forget
from calotype.product import graph_types
from calotype.product.accounts.actions import abandoned_sign_up, send_reset_mail
from calotype.product.photos.actions import remove_blobs
from calotype.web.site import Site

__all__ = ["graph_types", "open_site", "outbox_handlers"]
"""`graph_types` is imported for its declarations."""


@asynccontextmanager
async def open_site(configuration: Configuration, data: Path) -> AsyncIterator[Site]:
    """Everything that a process needs to serve or tend the site, opened and closed with the block."""
    blobs = LocalBlobs(Path(configuration.blobs) if configuration.blobs else data / "blobs")
    sessions = Pool("sessions", configuration.databases["sessions"])
    threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="imaging")
    async with Shards(configuration.databases["default"], configuration.servers) as shards:
        try:
            yield Site(graph=Graph(shards), sessions=sessions, blobs=blobs, imaging=threads, data=data)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            await sessions.close()


def outbox_handlers(site: Site) -> Mapping[str, Handler]:
    """What follows a commit, by the kind of its outbox row."""
    return {
        "forget": forget(site.graph),
        "sign_up": abandoned_sign_up(site.graph),
        "reset_mail": send_reset_mail,
        "blobs": remove_blobs(site.blobs),
    }
