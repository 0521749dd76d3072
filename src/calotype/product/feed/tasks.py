"""The feed's jobs. Each does a part of what there is to do, and leaves the rest to another job in the outbox."""

from __future__ import annotations

import msgspec
from django.conf import settings

from calotype.infra.ids import shard_of
from calotype.infra.jobs import JOB, Call, Queue, job
from calotype.infra.tao import START, Cursor, Graph
from calotype.infra.timelines import Entry
from calotype.product.feed import actions
from calotype.product.follows.types import Followed, Unfollowed
from calotype.product.photos.types import PostPublished
from calotype.web.site import Site


class FanOut(msgspec.Struct, frozen=True):
    """`after`: from where in the list of the author's followers on."""

    post: int
    author: int
    at: int
    after: Cursor = START


class Followers(msgspec.Struct, frozen=True):
    author: int
    after: Cursor = START


class Build(msgspec.Struct, frozen=True):
    owner: int


@job("feed.fan_out", FanOut, queue=Queue.BULK)
async def fan_out(site: Site, arguments: FanOut) -> None:
    """Push a post to its author's followers; or have them pull it, if there are too many."""
    entry = Entry(arguments.at, arguments.post, arguments.author)
    place = await actions.fan_out(
        site.graph,
        site.timelines,
        entry,
        arguments.after,
        pulled_from=settings.FEED.pulled_from,
        when_pulled=have_pulled(Followers(arguments.author)),
        kept=settings.FEED.kept,
    )
    if place is not None:
        await follow_up(
            site.graph, arguments.author, fan_out(msgspec.structs.replace(arguments, after=place))
        )


@job("feed.have_pulled", Followers, queue=Queue.BULK)
async def have_pulled(site: Site, arguments: Followers) -> None:
    """Have the followers of somebody whom so many follow read their posts themselves."""
    place = await actions.have_pulled(site.graph, arguments.author, arguments.after)
    if place is not None:
        await follow_up(site.graph, arguments.author, have_pulled(Followers(arguments.author, place)))


@job("feed.followed", Followed, queue=Queue.INTERACTIVE)
async def followed(site: Site, arguments: Followed) -> None:
    """Bring the posts of somebody who was just followed into the follower's timeline."""
    await actions.begun_to_follow(
        site.graph, site.timelines, arguments.follower, arguments.followee, kept=settings.FEED.kept
    )


@job("feed.unfollowed", Unfollowed, queue=Queue.BULK)
async def unfollowed(site: Site, arguments: Unfollowed) -> None:
    """Take back what `followed` did for somebody who is pulled."""
    await actions.stopped_following(site.graph, arguments.follower, arguments.followee)


@job("feed.build", Build, queue=Queue.INTERACTIVE)
async def build(site: Site, arguments: Build) -> None:
    """Make the timeline of somebody who has none, or has come back."""
    await actions.build(site.graph, site.timelines, arguments.owner, kept=settings.FEED.kept)


def fan_out_of(event: PostPublished) -> Call:
    return fan_out(FanOut(event.post, event.author, event.at))


async def follow_up(graph: Graph, person: int, call: Call) -> None:
    """Leave a job in the outbox of a person's shard. Durable when it returns."""
    shard = shard_of(person)
    await graph.writes("people", shard).post("people", shard, JOB, call, 0)
