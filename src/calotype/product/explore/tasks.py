from __future__ import annotations

import msgspec

from calotype.infra.jobs import Queue, job
from calotype.product.explore import actions
from calotype.web.site import Site


class Rank(msgspec.Struct, frozen=True):
    pass


@job("explore.rank", Rank, queue=Queue.BULK, retries=1)
async def rank(site: Site, arguments: Rank) -> None:
    """Rank recent posts. Comes round every ten minutes, so one that fails is not worth many attempts."""
    await actions.rank(site.graph)
