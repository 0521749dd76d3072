"""What a day's people do, a second on average: requests, reads and writes of the graph, posts, entries, images."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from calotype.cli.capacity.assumptions import DAY_S, Assumptions, Demand
from calotype.cli.capacity.degrees import (
    Degrees,
    degrees,
    fitting_mean,
    followers_above,
    mean,
    mean_pushed,
    of_posts,
)

READS_OF_A_FEED_PAGE = {"people": 40.0, "media": 20.0, "likes": 40.0, "comments": 60.0}
"""By partition, for each of 20 posts: its author and whether they are followed; itself; the count of likes and one's own;
the count of comments and the last two."""

FOLLOWERS_AT_ONCE = 2_000
PAGES_A_RUN = 10
"""As in `product.feed.actions`: a run of the job `feed.fan_out` pushes to so many times so many followers."""

ENTRIES_A_RUN = FOLLOWERS_AT_ONCE * PAGES_A_RUN


class Write(NamedTuple):
    """What one deed writes."""

    partition: str
    statements: float
    """One for each shard that takes part, and the outbox."""
    objects: float
    edges: float
    """Both directions count."""

    @property
    def logged_rows(self) -> float:
        """In the commit log: objects, edges and the count of each edge's list."""
        return self.objects + 2 * self.edges


LIKE = Write("likes", 2, 0, 2)
FOLLOW = Write("people", 2, 0, 2)
COMMENT = Write("comments", 3, 1, 4)
POST = Write("media", 3, 1, 2)


class Loads(msgspec.Struct, frozen=True, kw_only=True):
    """All a second, on average over a day. At the peak all of it is `peak_to_mean` times as much."""

    feed_pages: float
    other_pages: float
    uploads: float
    """Photographs of the measured size: `photo_share` of those that are uploaded."""
    images: float
    """That pages show; a browser has many of them already."""
    writes: dict[Write, float]
    reads: dict[str, float]
    """Of the graph through its cache, by partition."""
    merged_lists: float
    """Of posts of those who are pulled, read through the cache for a feed page."""
    lists_of_builds: float
    """Read from the primaries when a timeline is made anew, after a follow."""
    entries: float
    """Written to timelines: pushed, or by builds."""
    jobs: float

    @property
    def posts(self) -> float:
        return self.writes[POST]

    @property
    def requests(self) -> float:
        """Of the web workers."""
        return self.feed_pages + self.other_pages + sum(self.writes.values())


def followers(assumptions: Assumptions, people: float) -> Degrees:
    """The graph of followers: nobody has more followers than there are people."""
    accounts = min(assumptions.accounts, people)
    top = min(assumptions.top_followers, people)
    return degrees(accounts, assumptions.exponent, top, fitting_mean(assumptions.mean_followers, top))


def loads(demand: Demand, assumptions: Assumptions, law: Degrees, pulled_from: float) -> Loads:
    """`pulled_from`: posts of whoever has more followers are not pushed."""
    writes = _writes(demand, assumptions)
    feed_pages = demand.daily * assumptions.feed_pages / DAY_S
    other_pages = demand.daily * assumptions.other_pages / DAY_S
    pushed = mean_pushed(of_posts(law, assumptions.posting_bias), pulled_from)
    merged = feed_pages * followers_above(law, pulled_from)
    builds = writes[FOLLOW]
    return Loads(
        feed_pages=feed_pages,
        other_pages=other_pages,
        uploads=demand.uploads_per_day * assumptions.photo_share / DAY_S,
        images=feed_pages * assumptions.images_a_feed_page + other_pages * assumptions.images_an_other_page,
        writes=writes,
        reads=_reads(feed_pages, other_pages * assumptions.other_page_reads, merged),
        merged_lists=merged,
        lists_of_builds=builds * mean(law),
        entries=writes[POST] * pushed + builds * assumptions.timeline_entries,
        jobs=writes[POST] * (1 + pushed / ENTRIES_A_RUN) + builds,
    )


def _writes(demand: Demand, assumptions: Assumptions) -> dict[Write, float]:
    return {
        LIKE: demand.likes_per_day / DAY_S,
        FOLLOW: demand.daily * assumptions.follows / DAY_S,
        COMMENT: demand.likes_per_day * assumptions.comments_a_like / DAY_S,
        POST: demand.uploads_per_day / assumptions.photos_a_post / DAY_S,
    }


def _reads(feed_pages: float, other_reads: float, merged_lists: float) -> dict[str, float]:
    """Other pages read the partitions in the feed's proportions."""
    as_feed_pages = feed_pages + other_reads / sum(READS_OF_A_FEED_PAGE.values())
    reads = {partition: each * as_feed_pages for partition, each in READS_OF_A_FEED_PAGE.items()}
    reads[POST.partition] += merged_lists
    return reads
