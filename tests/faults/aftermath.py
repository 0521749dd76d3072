"""What must be so once a fault is over: nothing stale in any region, and everything acknowledged is shown everywhere."""

from __future__ import annotations

import asyncio
import time

from calotype.infra.cache import STALE_S
from calotype.infra.shards.tickets import carrying
from calotype.infra.tao import Graph
from calotype.std.deadline import deadline
from tests.faults.comparison import compare
from tests.faults.people import LIST, Acknowledged, Crowd
from tests.faults.world import PATIENCE_S, Region
from tests.infra.tao.conftest import sweep_all
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, Person

KEPT_S = 1.0
"""What a worker keeps of its own may be so old, whatever the region's cache holds."""

DEATH_S = STALE_S + KEPT_S
"""A consumer that is killed at the right moment has taken the right to fill what is marked stale along."""

POLL_S = 0.1


async def all_is_well(crowd: Crowd, primary: Graph, *regions: Region, shown_within_s: float = KEPT_S) -> None:
    """Nobody saw what they should not have seen; then wait for the consumers, and look at every entry and answer."""
    for requests in crowd.requests:
        assert requests.errors == []
    assert crowd.unseen == []
    assert crowd.acknowledged > len(crowd.said.follows) / 2
    await settled(primary)
    await sweep_all(primary)
    for region in regions:
        await region.caught_up()
        found = await compare(region, primary.shards, crowd.things)
        assert found.stale == []
        assert found.entries
        for worker in region.workers:
            await shows(worker, crowd.said, shown_within_s)
        found = await compare(region, primary.shards, crowd.things)
        assert found.stale == []
        assert found.entries > 2 * len(crowd.things.people)


async def settled(graph: Graph) -> None:
    """Until every server answers again."""
    async with asyncio.timeout(PATIENCE_S):
        for pool in graph.shards.pools.values():
            while not await pool.healthy():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def shows(worker: Graph, said: Acknowledged, within_s: float) -> None:
    """Whoever asks later than `within_s` is shown everything that was acknowledged."""
    asked = time.monotonic()
    until = asked + within_s
    while missing := await _missing(worker, said):
        assert asked < until, missing[:5]
        await asyncio.sleep(POLL_S)
        asked = time.monotonic()


async def _missing(worker: Graph, said: Acknowledged) -> list[str]:
    with carrying({}), deadline(PATIENCE_S):
        nodes = await worker.obj_get_many(Person, said.cats)
        follows = await worker.assoc_get_many(FOLLOWS, said.follows)
        lists = await worker.assoc_range_many(FOLLOWS, list(said.cats), 2 * LIST)  # of the long entries, too
        inverse = await worker.assoc_get_many(FOLLOWED_BY, [(other, one) for one, other in said.follows])
    wrong = [
        f"object {id_}"
        for id_, cats in said.cats.items()
        if cats is not None and (id_ not in nodes or nodes[id_].data.cats != cats)
    ]
    for (one, other), on in said.follows.items():
        listed = other in {edge.id2 for edge in lists[one]}
        if on is not None and {(one, other) in follows, (other, one) in inverse, listed} != {on}:
            wrong.append(f"edge {one} to {other}")
    return wrong
