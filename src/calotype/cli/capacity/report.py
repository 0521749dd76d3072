"""Everything that `calotype capacity` says, as one structure: what was asked, the fleet, the fan-out, and what went in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from calotype.cli.capacity import simulation, strategies
from calotype.cli.capacity.assumptions import Assumptions, CapacityInvalid, Demand, Engine, Stated, stated
from calotype.cli.capacity.costs import Costs, Measured, costs
from calotype.cli.capacity.degrees import Bucket, Degrees, buckets, mean
from calotype.cli.capacity.fleet import SHAPES, Servers, Shape, fleet
from calotype.cli.capacity.loads import followers, loads
from calotype.cli.capacity.simulation import Outcome
from calotype.cli.capacity.strategies import Name, Sums, World

type Say = Callable[[int, int], None]
"""Called with how many simulations are done, of how many."""

MOST_ENTRIES = 5e9

STRATEGIES: tuple[Name, ...] = ("push", "pull", "hybrid")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says besides the demand and the assumptions."""

    pulled_from: float
    timelines: Engine = "postgresql"
    posts: int = 50_000
    """Of each simulation; 0: none."""
    seed: int = 1841


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """The synthetic followers."""

    accounts: float
    exponent: float
    top: float
    mean: float
    scale: float
    buckets: list[Bucket]


class FanOut(msgspec.Struct, frozen=True, kw_only=True):
    """At the peak, of the synthetic graph's accounts."""

    posts_a_second: float
    pages_a_second: float
    sweep: list[Sums]
    simulated: list[Outcome]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    demand: Demand
    asked: Asked
    engines: list[Servers]
    cores: float
    servers: int
    servers_in_a_year: int
    graph: Graph
    fan_out: FanOut
    measured: dict[str, Measured]
    assumptions: list[Stated]
    shapes: list[Shape]


def report(
    demand: Demand,
    assumptions: Assumptions,
    measured: Mapping[str, Measured],
    asked: Asked,
    say: Say,
) -> Report:
    """Compute all of it. The same arguments give the same report; `say` is told how far it has come."""
    cost, law = costs(measured), followers(assumptions, demand.people)
    found = fleet(
        demand, assumptions, cost, loads(demand, assumptions, law, asked.pulled_from), asked.timelines
    )
    return Report(
        demand=demand,
        asked=asked,
        engines=found.engines,
        cores=found.cores,
        servers=found.servers,
        servers_in_a_year=found.servers_in_a_year,
        graph=_graph(law),
        fan_out=_fan_out(demand, assumptions, cost, law, asked, say),
        measured=dict(measured),
        assumptions=list(stated(assumptions)),
        shapes=list(SHAPES),
    )


def encode(made: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(made)).decode()


def _graph(law: Degrees) -> Graph:
    return Graph(
        accounts=law.accounts,
        exponent=law.exponent,
        top=law.top,
        mean=mean(law),
        scale=law.scale,
        buckets=buckets(law, 1),
    )


def _fan_out(
    demand: Demand,
    assumptions: Assumptions,
    cost: Costs,
    law: Degrees,
    asked: Asked,
    say: Say,
) -> FanOut:
    world = strategies.world(demand, assumptions, cost, law)
    return FanOut(
        posts_a_second=world.posts_a_second,
        pages_a_second=world.pages_a_second,
        sweep=strategies.sweep(world, asked.pulled_from),
        simulated=_simulated(world, assumptions, asked, say) if asked.posts and world.posts_a_second else [],
    )


def _simulated(world: World, assumptions: Assumptions, asked: Asked, say: Say) -> list[Outcome]:
    """All with as many workers as the hybrid wants. Raises `CapacityInvalid` if it would take minutes."""
    entries = asked.posts * mean(world.posts) + world.law.top
    if entries > MOST_ENTRIES:
        raise CapacityInvalid(
            f"to push {asked.posts:,} such posts is {entries:,.0f} entries, and {MOST_ENTRIES:,.0f} can be simulated: "
            "ask for fewer --posts, for fewer followers, or for --no-simulation"
        )
    amount = strategies.workers(world, asked.pulled_from, assumptions.utilisation)
    found: list[Outcome] = []
    for name in STRATEGIES:
        say(len(found), len(STRATEGIES))
        found.append(simulation.simulate(world, name, asked.pulled_from, amount, asked.posts, asked.seed))
    say(len(found), len(STRATEGIES))
    return found
