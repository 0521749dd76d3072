"""The job that follows a text."""

from __future__ import annotations

from calotype.infra.jobs import Queue, job
from calotype.product.tags import actions
from calotype.product.words.types import Written
from calotype.web.site import Site


@job("tags.index", Written, queue=Queue.INTERACTIVE)
async def index(site: Site, arguments: Written) -> None:
    """Make the edges of a text those of its words, and say whom it mentions for the first time."""
    await actions.index(site.graph, arguments)
