"""What no bench of ours can measure: how people behave, how servers are shaped. Each with its unit and its source.

`Demand` is what the command line asks for by name; any field of `Assumptions` may be said by `--assume NAME=VALUE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Annotated, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from calotype.std.errors import Unprocessable

DAY_S = 86_400

Engine = Literal["postgresql", "cassandra"]
"""What keeps timelines."""


class CapacityInvalid(Unprocessable):
    """A figure that no site can have."""

    code = "capacity_invalid"


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Who uses the site, and what they do on a day."""

    people: float = 600e6
    """Registered."""
    daily: float = 400e6
    """Of them on a day."""
    uploads_per_day: float = 95e6
    """Photographs."""
    likes_per_day: float = 4.2e9


MOST = 1e15
"""Of anything: sums of it stay numbers."""

Amount = Annotated[float, Meta(ge=0, le=MOST)]
Positive = Annotated[float, Meta(ge=1e-6, le=MOST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Kept = Annotated[float, Meta(gt=0, le=1)]
Factor = Annotated[float, Meta(ge=1, le=MOST)]


def _stated(unit: str, source: str) -> Meta:
    return Meta(extra={"unit": unit, "source": source})


class Assumptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds are part of each type: `assumed` refuses what breaks them."""

    peak_to_mean: Annotated[Factor, _stated("", "stated: the busiest hour to the day's mean")] = 2.0
    feed_pages: Annotated[Amount, _stated("/daily person and day", "stated: 200 photos")] = 10.0
    other_pages: Annotated[
        Amount, _stated("/daily person and day", "stated: profiles, posts, notifications")
    ] = 20.0
    other_page_cost: Annotated[Amount, _stated("feed pages", "stated, CPU")] = 0.5
    other_page_reads: Annotated[Amount, _stated("graph reads", "stated")] = 40.0
    product_weight: Annotated[
        Positive, _stated("", "stated: 14 makes a feed page the 24.5 ms of Instagram's django-workload")
    ] = 1.0
    hit_rate: Annotated[Share, _stated("", "of reads of the graph; TAO published 0.964")] | None = None
    comments_a_like: Annotated[Amount, _stated("", "stated")] = 0.04
    follows: Annotated[Amount, _stated("/daily person and day", "stated")] = 0.2
    photo_share: Annotated[
        Positive, _stated("of the measured photo", "stated, bytes and CPU of an upload: 1 is 12 megapixels")
    ] = 1.0
    photos_a_post: Annotated[float, Meta(ge=1, le=20), _stated("", "stated")] = 1.0
    history_days: Annotated[Amount, _stated("days", "2.3e12 likes in all at 4.2e9 a day, published 2016")] = (
        548.0
    )

    accounts: Annotated[Factor, _stated("", "of the synthetic graph, or all people if they are fewer")] = (
        100e6
    )
    top_followers: Annotated[Factor, _stated("", "of its largest account, or all people")] = 100e6
    exponent: Annotated[
        float, Meta(ge=1.5, le=4), _stated("", "Twitter 2.28 [Kwak 2010], Flickr 1.71 [KONECT]")
    ] = 2.2
    mean_followers: Annotated[
        float,
        Meta(ge=0.01, le=MOST),
        _stated("", "stated: so the law itself puts the largest of 100M accounts at 100M; Twitter had 35"),
    ] = 120.0
    posting_bias: Annotated[
        float,
        Meta(ge=0, le=0.4),
        _stated("", "stated: who has k followers posts (1 + k/s)^bias times as often"),
    ] = 0.0

    utilisation: Annotated[Kept, _stated("of cores and network", "stated, at the peak")] = 0.5
    fullness: Annotated[Kept, _stated("of disks and memory", "stated")] = 0.7
    core_speed: Annotated[Positive, _stated("of the measured core", "stated")] = 1.0
    regions: Annotated[
        int, Meta(ge=1, le=100), _stated("", "each with a cache and a copy of each database")
    ] = 2
    web_process_mb: Annotated[Positive, _stated("MB", "stated; one process a core")] = 150.0
    worker_mb: Annotated[Positive, _stated("MB", "docs/jobs.md; one process a core")] = 95.0

    object_bytes: Annotated[
        Positive, _stated("bytes on disk", "tables and indexes of bench feed: 155,000 objects")
    ] = 320.0
    edge_bytes: Annotated[Positive, _stated("bytes on disk", "the same, with counts: 2,005,006 edges")] = (
        280.0
    )
    entry_bytes: Annotated[Positive, _stated("bytes on disk", "the same: 18,170 entries")] = 240.0
    timeline_entries: Annotated[Factor, _stated("/person", "`feed.kept`")] = 800.0
    database_hot_share: Annotated[Share, _stated("", "stated: of a database, wanted in memory")] = 0.02
    cached_bytes: Annotated[
        Positive, _stated("bytes/object", "149 MB for 100,000 objects with their lists: bench graph")
    ] = 1_490.0
    cached_value_bytes: Annotated[Positive, _stated("bytes/read", "stated")] = 400.0
    cached_days: Annotated[Amount, _stated("days", "stated: posts so young lie in the cache")] = 14.0
    broker_messages: Annotated[Positive, _stated("/s and server", "stated")] = 20_000.0

    images_a_feed_page: Annotated[Amount, _stated("", "one a post")] = 20.0
    images_an_other_page: Annotated[Amount, _stated("", "stated")] = 6.0
    image_bytes: Annotated[Positive, _stated("bytes", "stated: a variant of 640 to 1,080 pixels")] = 100e3
    browser_hit_rate: Annotated[Share, _stated("", "Huang and others, SOSP 2013")] = 0.655
    blob_share: Annotated[
        Share, _stated("of images", "that reach the blob store: Huang and others, SOSP 2013")
    ] = 0.099
    blob_copies: Annotated[Factor, _stated("", "Haystack, OSDI 2010")] = 3.0
    disk_reads: Annotated[Positive, _stated("/s and disk", "stated; one a blob: Haystack")] = 100.0
    edge_request_us: Annotated[Positive, _stated("us", "stated; Envoy took 80 to 130")] = 100.0

    cassandra_copies: Annotated[Factor, _stated("", "replication factor, in each region")] = 3.0
    cassandra_asked: Annotated[Factor, _stated("copies", "that answer a read: a quorum")] = 2.0


class Stated(msgspec.Struct, frozen=True):
    """One assumption as it is printed."""

    name: str
    value: float | None
    """None: as it was measured."""
    unit: str
    source: str
    default: bool


def check(demand: Demand) -> None:
    """Raises `CapacityInvalid` with the figure that is wrong."""
    for name in demand.__struct_fields__:
        value: float = getattr(demand, name)
        assert 0 <= value <= MOST, name
    if demand.people < 1:
        raise CapacityInvalid(f"a site has at least one person, not {demand.people:g}")
    if demand.daily > demand.people:
        raise CapacityInvalid(
            f"{demand.daily:,.0f} people cannot come on a day: {demand.people:,.0f} are registered"
        )


def assumed(said: Iterable[str]) -> Assumptions:
    """The defaults, but for what is `said` as NAME=VALUE. Raises `CapacityInvalid`."""
    given: dict[str, float] = {}
    for text in said:
        name, _, value = text.partition("=")
        given[name.strip()] = _number(name.strip(), value)
    try:
        return msgspec.convert(given, Assumptions, strict=False)
    except msgspec.ValidationError as error:
        raise CapacityInvalid(f"--assume {', '.join(given)}: {error}") from None


def stated(assumptions: Assumptions) -> Iterator[Stated]:
    """All of them, in the order of their declaration."""
    hints = get_type_hints(Assumptions, include_extras=True)
    for field in msgspec.structs.fields(Assumptions):
        extra = _extra(hints[field.name])
        value: float | None = getattr(assumptions, field.name)
        yield Stated(field.name, value, extra["unit"], extra["source"], value == field.default)


def _number(name: str, text: str) -> float:
    if name not in Assumptions.__struct_fields__:
        raise CapacityInvalid(
            f"there is no assumption {name!r}; there are {', '.join(Assumptions.__struct_fields__)}"
        )
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise CapacityInvalid(f"{name} must be a number, not {text!r}")
    return value


def _extra(hint: object) -> dict[str, str]:
    """What `_stated` says in `Annotated[...]`, or in the part of a union that has one."""
    for part in (hint, *get_args(hint)):
        for meta in getattr(part, "__metadata__", ()):
            if isinstance(meta, Meta) and meta.extra:
                return meta.extra
    raise AssertionError(hint)
