"""`GET /healthz`: whether each engine answers, as JSON; 200 when all do, 503 otherwise."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
from django.http import HttpResponse

from calotype.std.deadline import deadline
from calotype.web.pages import json
from calotype.web.request import SiteRequest

State = Literal["up", "down"]

PROBE_SECONDS = 2.0


class Health(msgspec.Struct):
    status: Literal["ok", "degraded"]
    engines: dict[str, State]


async def healthz(request: SiteRequest) -> HttpResponse:
    site = request.site
    probes = {name: pool.healthy() for name, pool in site.graph.shards.pools.items()}
    probes |= {"sessions": site.sessions.healthy(), "blobs": site.blobs.healthy()}
    with deadline(PROBE_SECONDS):
        answers = await asyncio.gather(*probes.values())
    engines: dict[str, State] = {
        name: "up" if up else "down" for name, up in zip(probes, answers, strict=True)
    }
    down = "down" in engines.values()
    return json(Health("degraded" if down else "ok", engines), status=503 if down else 200)
