"""Choose the engines that the configuration names, and tie what happens in one slice to what follows in another."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from calotype.config import periodic
from calotype.config.caches import region_cache
from calotype.config.site import S3, SESSIONS, Cassandra, region, region_name
from calotype.config.site import Site as Configuration
from calotype.infra.blobs import BlobStore, Bucket, LocalBlobs, S3Blobs
from calotype.infra.invalidation import RegionCache
from calotype.infra.jobs import JOB, Call
from calotype.infra.shards import Shards, pool_with_standby
from calotype.infra.tao import Graph, Handler
from calotype.infra.tao.forget import forget
from calotype.infra.timelines import PostgresTimelines, Timelines
from calotype.product import graph_types
from calotype.product.accounts.actions import abandoned_sign_up, send_reset_mail
from calotype.product.comments.types import COMMENTED, Commented
from calotype.product.feed.tasks import fan_out_of, followed, unfollowed
from calotype.product.follows.tasks import part, part_if_apart
from calotype.product.follows.types import BLOCKED, FOLLOWED, UNFOLLOWED, Blocked, Followed, Unfollowed
from calotype.product.likes.types import LIKED, Liked
from calotype.product.notifications import tasks as notifications
from calotype.product.photos.changes import remove_blobs
from calotype.product.photos.staging import expire
from calotype.product.photos.tasks import render
from calotype.product.photos.types import EXPIRED, PUBLISHED, STORED, PhotoStored, PostPublished
from calotype.product.tags import tasks as tags
from calotype.product.words.types import MENTIONED, WRITTEN, Mentioned, Written
from calotype.web.live import Live
from calotype.web.session_rows import SessionRows
from calotype.web.site import Site

if TYPE_CHECKING:
    from calotype.infra.jobs.dispatch import Sender
    from calotype.infra.timelines.cassandra import Nodes

__all__ = ["bucket_of", "graph_types", "nodes", "open_site", "outbox_handlers", "periodic"]
"""`graph_types` and `periodic` are imported for what they declare: objects and associations, and jobs."""


@asynccontextmanager
async def open_site(configuration: Configuration, data: Path) -> AsyncIterator[Site]:
    """Everything that a process needs to serve or tend the site, opened and closed with the block."""
    here = region(configuration)
    threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="imaging")
    sessions = pool_with_standby(SESSIONS, configuration.databases[SESSIONS], here.standbys.get(SESSIONS))
    async with AsyncExitStack() as stack:
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        stack.push_async_callback(sessions.close)
        cache = await stack.enter_async_context(region_cache(configuration, here)) if here.memcached else None
        shards = await stack.enter_async_context(
            Shards(configuration.control_dsn, configuration.servers, standbys=here.standbys)
        )
        live = Live(configuration.control_dsn)
        stack.push_async_callback(live.close)
        yield Site(
            graph=Graph(shards, cache),
            sessions=SessionRows(sessions, cache),
            blobs=_blobs(configuration, data),
            imaging=threads,
            data=data,
            live=live,
            timelines=await _timelines(configuration, shards, cache, stack),
            cache=cache,
            regions=tuple(configuration.regions),
            region=region_name(configuration),
        )


async def _timelines(
    configuration: Configuration, shards: Shards, cache: RegionCache | None, stack: AsyncExitStack
) -> Timelines:
    idle_s = configuration.feed.idle_days * 86_400
    if configuration.cassandra is None:
        return PostgresTimelines(shards, cache, idle_s)
    # Its driver is an extra of the package, for those who have a cluster.
    from calotype.infra.timelines.cassandra import CassandraTimelines, Session

    session = Session(nodes(configuration.cassandra))
    stack.push_async_callback(session.close)
    return CassandraTimelines(session, idle_s)


def nodes(cassandra: Cassandra) -> Nodes:
    from calotype.infra.timelines.cassandra import Nodes

    return Nodes(cassandra.hosts, cassandra.port, cassandra.user, cassandra.password, cassandra.keyspace)


def bucket_of(s3: S3) -> Bucket:
    """The bucket that the file names, as `infra.blobs` and its `ensure_bucket` want it."""
    return Bucket(s3.endpoint, s3.bucket, s3.region, s3.access_key, s3.secret_key)


def _blobs(configuration: Configuration, data: Path) -> BlobStore:
    if configuration.s3 is not None:
        return S3Blobs(bucket_of(configuration.s3))
    return LocalBlobs(Path(configuration.blobs) if configuration.blobs else data / "blobs")


def _sent[E](sender: Sender, event: type[E], *calls_of: Callable[[E], Call]) -> Handler:
    """What has happened in one slice is a job of another, or of several."""

    async def handler(payload: bytes) -> None:
        happened = msgspec.json.decode(payload, type=event)
        await sender.send(*(call_of(happened) for call_of in calls_of))

    return handler


def outbox_handlers(site: Site, sender: Sender) -> Mapping[str, Handler]:
    """What follows a commit, by the kind of its outbox row."""
    return {
        JOB: sender.call,
        PUBLISHED: _sent(sender, PostPublished, fan_out_of),
        STORED: _sent(sender, PhotoStored, render),
        FOLLOWED: _sent(sender, Followed, part_if_apart, followed, notifications.followed),
        LIKED: _sent(sender, Liked, notifications.liked),
        COMMENTED: _sent(sender, Commented, notifications.commented),
        UNFOLLOWED: _sent(sender, Unfollowed, unfollowed),
        BLOCKED: _sent(sender, Blocked, part),
        WRITTEN: _sent(sender, Written, tags.index),
        MENTIONED: _sent(sender, Mentioned, notifications.mentioned),
        "forget": forget(site.graph),
        "sign_up": abandoned_sign_up(site.graph),
        "reset_mail": send_reset_mail,
        "blobs": remove_blobs(site.blobs),
        EXPIRED: expire(site.graph),
    }
