"""The ASGI application: the lean handler for the site, Django's stock handler for what staff see."""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import AbstractAsyncContextManager
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calotype.config.settings")

import django

django.setup(set_prefix=False)

from django.conf import settings
from django.core.asgi import get_asgi_application

from calotype.config.wiring import open_site
from calotype.efficiency.dynostats import MeteredASGI
from calotype.efficiency.dynostats.django import recorder
from calotype.web import patches
from calotype.web.handler import COLLECT_AFTER, LeanHandler, Receive, Scope, Send
from calotype.web.site import Site
from calotype.web.static_mount import StaticMount

FOR_STAFF = ("/admin/", "/ops/", "/design/")
"""Synchronous views: the stock handler gives each a thread."""

patches.apply(patches.PATCHES)


class Application:
    """Opens the site when the server starts its loop, closes it when the server stops."""

    def __init__(self) -> None:
        self._stock = get_asgi_application()
        self._lean: LeanHandler | None = None
        self._site: AbstractAsyncContextManager[Site] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(FOR_STAFF):
            await self._stock(scope, receive, send)
        else:
            assert self._lean is not None, "the server does not speak the lifespan protocol"
            await self._lean(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._site = open_site(settings.SITE, settings.DATA)
                self._lean = LeanHandler(await self._site.__aenter__())
                gc.collect()
                gc.freeze()  # what was imported stays: no collection need look at it again
                gc.set_threshold(*COLLECT_AFTER)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._site is not None:
                    await self._site.__aexit__(None, None, None)
                if settings.SITE.dynostats.enabled:
                    await asyncio.to_thread(recorder().close)
                await send({"type": "lifespan.shutdown.complete"})
                return


application: Any = StaticMount(
    MeteredASGI(Application(), recorder()) if settings.SITE.dynostats.enabled else Application(),
    settings.STATIC_URL,
    settings.STATIC_ROOT,
)
