"""The jobs of follows: what a block and a follow leave to be done on the other's shard. Each may run twice."""

from __future__ import annotations

from calotype.infra.jobs import Queue, job
from calotype.product.follows import actions
from calotype.product.follows.types import Blocked, Followed
from calotype.web.site import Site


@job("follows.part", Blocked, queue=Queue.INTERACTIVE)
async def part(site: Site, event: Blocked) -> None:
    """Have who is blocked no longer follow who blocked them."""
    await actions.part(site.graph, event)


@job("follows.part_if_apart", Followed, queue=Queue.INTERACTIVE)
async def part_if_apart(site: Site, event: Followed) -> None:
    """Take back a follow that was written while one of the two blocked the other."""
    await actions.part_if_apart(site.graph, event)
