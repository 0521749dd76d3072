"""The jobs of notifications: each follows from what was committed, and may run twice."""

from __future__ import annotations

import msgspec

from calotype.infra.ids import shard_of
from calotype.infra.jobs import Call, Queue, job
from calotype.product.comments.types import Commented
from calotype.product.follows.types import Followed
from calotype.product.likes.types import Liked
from calotype.product.notifications import actions
from calotype.product.words.types import Mentioned
from calotype.web.site import Site


class BuildActivity(msgspec.Struct, frozen=True):
    owner: int


@job("notifications.liked", Liked, queue=Queue.INTERACTIVE)
async def liked(site: Site, event: Liked) -> None:
    """Tell a post's author who likes it."""
    await actions.liked(site.graph, site.timelines, site.live, event.liker, event.post, event.at)


@job("notifications.commented", Commented, queue=Queue.INTERACTIVE)
async def commented(site: Site, event: Commented) -> None:
    """Tell a post's author who said something under it."""
    await actions.commented(
        site.graph, site.timelines, site.live, event.author, event.post, event.comment, event.at
    )


@job("notifications.followed", Followed, queue=Queue.INTERACTIVE)
async def followed(site: Site, event: Followed) -> None:
    """Tell somebody who follows them now."""
    await actions.followed(site.graph, site.timelines, site.live, event.follower, event.followee, event.at)


@job("notifications.mentioned", Mentioned, queue=Queue.INTERACTIVE)
async def mentioned(site: Site, event: Mentioned) -> None:
    """Tell somebody who mentions them."""
    await actions.mentioned(site.graph, site.timelines, site.live, event)


@job("notifications.build", BuildActivity, queue=Queue.INTERACTIVE)
async def build(site: Site, arguments: BuildActivity) -> None:
    """Make the notifications of somebody who has none, or has not looked for long."""
    await actions.build(site.graph, site.timelines, arguments.owner)


def build_for(owner: int) -> tuple[int, Call]:
    """On which shard the call waits, and the call."""
    return shard_of(owner), build(BuildActivity(owner))
