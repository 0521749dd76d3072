"""`GET /healthz`: whether each engine answers, as JSON; 200 when all do that are needed, 503 otherwise.

Without memcached or what keeps the timelines every page works, only slower: that is 200, and `degraded` for timelines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Literal

import msgspec
from django.http import HttpResponse

from calotype.std.deadline import deadline
from calotype.std.together import together
from calotype.web.pages import json
from calotype.web.request import SiteRequest

State = Literal["up", "down", "absent"]

PROBE_SECONDS = 2.0
MEMCACHED = "memcached"
TIMELINES = "timelines"


class Health(msgspec.Struct):
    status: Literal["ok", "degraded"]
    engines: dict[str, State]


async def healthz(request: SiteRequest) -> HttpResponse:
    site = request.site
    probes = {name: pool.healthy() for name, pool in site.graph.shards.pools.items()}
    probes |= {"sessions": site.sessions.healthy(), "blobs": site.blobs.healthy()}
    probes |= {
        pool.standby.name: pool.standby.healthy()
        for pool in (*site.graph.shards.pools.values(), site.sessions.pool)
        if pool.standby is not None
    }
    with deadline(PROBE_SECONDS):
        answers, timely = await together(_all(probes.values()), site.timelines.healthy())
        cached: State = "absent" if site.cache is None else _state(await site.cache.cache.healthy())
    engines = {name: _state(up) for name, up in zip(probes, answers, strict=True)}
    down = "down" in engines.values()
    engines[TIMELINES] = _state(timely)
    engines[MEMCACHED] = cached
    return json(Health("ok" if timely and not down else "degraded", engines), status=503 if down else 200)


async def _all(probes: Iterable[Awaitable[bool]]) -> list[bool]:
    return list(await asyncio.gather(*probes))


def _state(up: bool) -> State:
    return "up" if up else "down"
