"""Which cache a region has and what outdates its entries: known without Django, so that an invalidator is small."""

from __future__ import annotations

from calotype.config.site import SESSIONS, Region, Site
from calotype.infra.cache import Cache
from calotype.infra.invalidation import Consumer, RecordsOf, RegionCache
from calotype.infra.tao import records_of as graph_records
from calotype.web.session_rows import session_records

PUBLICATION = "calotype"
"""In each database whose log is followed: made by its migrations, tables and columns included."""


def region_cache(site: Site, here: Region) -> RegionCache:
    """The cache of a region that has one."""
    return RegionCache(Cache(here.memcached, here.gutter), site.logs)


def records_of(log: str) -> RecordsOf:
    """Which entries of the cache a row of this log outdates."""
    return session_records if log == SESSIONS else graph_records


def consumer(site: Site, name: str, here: Region, log: str) -> Consumer:
    """What follows this log for a region: in the database that the region fills its cache from."""
    primary = site.logs[log]
    caches = [Cache(servers) for servers in (here.memcached, *here.memcached_before)]
    return Consumer(log, name, here.standbys.get(log, primary), primary, PUBLICATION, caches, records_of(log))
