"""Push, pull and hybrid, by formulas: what each writes, what a page reads, and how long the largest author takes."""

from __future__ import annotations

from math import ceil
from typing import Literal

import msgspec

from calotype.cli.capacity.assumptions import DAY_S, Assumptions, Demand
from calotype.cli.capacity.costs import Costs
from calotype.cli.capacity.degrees import Degrees, followers_above, mean_pushed, of_posts
from calotype.cli.capacity.loads import ENTRIES_A_RUN

Name = Literal["push", "pull", "hybrid"]

STATEMENTS_A_RUN = 5
"""Of one run of `feed.fan_out` besides those for each entry: author, post, count, a page of followers, the push."""

THRESHOLDS = (0, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
"""Of the sweep, with that of push as the last. 0 is pull."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """A graph, what happens in it at the peak, and what that costs."""

    law: Degrees
    posts: Degrees
    """The law of the followers of a post's author."""
    posts_a_second: float
    pages_a_second: float
    run_s: float
    """Of one run of the job, without its entries."""
    costs: Costs
    timeline_postgres_s: float
    """Of a page."""


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold, at the peak."""

    pulled_from: float
    entries_a_second: float
    lists_a_page: float
    """Followees whose own lists are merged into a page: as many on average as there are followers of such accounts."""
    page_app_s: float
    """CPU of a feed page in the web worker."""
    page_postgres_s: float
    cores: float
    """CPU seconds a second of jobs, of writing entries and of reading what was not written, the page itself left out."""
    largest_s: float
    """From the post of the largest author who is pushed to the last of their followers, if nothing else is to do. One
    run follows the other, so that a worker more does not help."""


def world(demand: Demand, assumptions: Assumptions, costs: Costs, law: Degrees) -> World:
    """Of the synthetic graph's accounts, who are as busy as all people."""
    share = law.accounts / demand.people * assumptions.peak_to_mean / DAY_S
    return World(
        law=law,
        posts=of_posts(law, assumptions.posting_bias),
        posts_a_second=demand.uploads_per_day / assumptions.photos_a_post * share,
        pages_a_second=demand.daily * assumptions.feed_pages * share,
        run_s=1 / costs.jobs_a_s + STATEMENTS_A_RUN * costs.object_read_app_s,
        costs=costs,
        timeline_postgres_s=costs.feed_page_postgres_s,
    )


def threshold(name: Name, law: Degrees, pulled_from: float) -> float:
    """From how many followers on an author is pulled. Nobody has more than the largest account."""
    return {"push": law.top, "pull": 0.0, "hybrid": min(pulled_from, law.top)}[name]


def sums(world: World, pulled_from: float) -> Sums:
    """What a threshold costs: writes fall and reads rise as it falls."""
    costs = world.costs
    entries = world.posts_a_second * mean_pushed(world.posts, pulled_from)
    lists = followers_above(world.law, pulled_from)
    written_s = costs.entry_app_s + costs.entry_postgres_s
    merged_s = costs.list_read_app_s + costs.read_postgres_s
    return Sums(
        pulled_from=pulled_from,
        entries_a_second=entries,
        lists_a_page=lists,
        page_app_s=costs.feed_page_app_s + lists * costs.list_read_app_s,
        page_postgres_s=lists * costs.read_postgres_s + (world.timeline_postgres_s if pulled_from else 0),
        cores=_runs(world, pulled_from) * world.run_s
        + entries * written_s
        + world.pages_a_second * lists * merged_s,
        largest_s=_largest_s(world, pulled_from),
    )


def sweep(world: World, pulled_from: float) -> list[Sums]:
    """By rising threshold, `pulled_from` among them."""
    top = world.law.top
    wanted = {float(each) for each in (*THRESHOLDS, pulled_from) if each < top}
    return [sums(world, each) for each in sorted(wanted | {top})]


def workers(world: World, pulled_from: float, utilisation: float) -> int:
    """Processes that are busy for this share of the time. They wait for PostgreSQL as long as they work."""
    entries = world.posts_a_second * mean_pushed(world.posts, pulled_from)
    busy_s = _runs(world, pulled_from) * world.run_s + entries * world.costs.entry_wall_s
    return max(1, ceil(busy_s / utilisation))


def _runs(world: World, pulled_from: float) -> float:
    """Jobs a second. Whoever is pulled has one for each post too, which finds that out; where nobody is pushed there are
    none."""
    if not pulled_from:
        return 0.0
    return world.posts_a_second * (1 + mean_pushed(world.posts, pulled_from) / ENTRIES_A_RUN)


def _largest_s(world: World, followers: float) -> float:
    runs = ceil(followers / ENTRIES_A_RUN)
    return runs * (world.run_s + world.costs.job_latency_p50_s) + followers * world.costs.entry_wall_s
