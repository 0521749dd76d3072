"""The published site, as the measured costs and the default assumptions have it."""

from __future__ import annotations

from functools import cache

import msgspec

from calotype.cli.capacity.assumptions import Assumptions, Demand
from calotype.cli.capacity.costs import Costs, costs, measured
from calotype.cli.capacity.fleet import Fleet, fleet
from calotype.cli.capacity.loads import followers, loads
from calotype.cli.capacity.strategies import World, world

PULLED_FROM = 10_000.0


@cache
def figures() -> Costs:
    return costs(measured())


def default_world(**changed: float) -> World:
    assumptions = msgspec.structs.replace(Assumptions(), **changed)
    return world(Demand(), assumptions, figures(), followers(assumptions, Demand().people))


def default_fleet(
    demand: Demand, assumptions: Assumptions | None = None, pulled_from: float = PULLED_FROM
) -> Fleet:
    assumptions = assumptions or Assumptions()
    law = followers(assumptions, demand.people)
    done = loads(demand, assumptions, law, pulled_from)
    return fleet(demand, assumptions, figures(), done, "postgresql")
