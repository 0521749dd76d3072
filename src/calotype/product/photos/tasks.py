"""The jobs of photographs."""

from __future__ import annotations

from calotype.infra.jobs import Queue, job
from calotype.product.photos import rendering
from calotype.product.photos.types import PhotoStored
from calotype.web.site import Site


@job("photos.render", PhotoStored, queue=Queue.BULK)
async def render(site: Site, arguments: PhotoStored) -> None:
    """Make the variants of a photograph that its upload has left to later."""
    await rendering.render(site, arguments.post, arguments.photo)
