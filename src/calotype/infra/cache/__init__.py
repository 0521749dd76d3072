"""An asyncio client of memcached's meta protocol: pipelined, batched, with leases and a gutter (docs/cache.md)."""

from calotype.infra.cache.cache import Cache
from calotype.infra.cache.errors import CacheMisused, CacheUnavailable, ReadersWait, ValueTooLarge
from calotype.infra.cache.hot import HotKeys
from calotype.infra.cache.keys import KEY_LIMIT, Key, safe_key
from calotype.infra.cache.read_through import Entries, Load, ReadThrough
from calotype.infra.cache.types import (
    GUTTER_S,
    LEASE_S,
    LIFETIME_S,
    STALE_S,
    VALUE_LIMIT,
    CacheMetrics,
    Found,
    Lease,
)

__all__ = [
    "GUTTER_S",
    "KEY_LIMIT",
    "LEASE_S",
    "LIFETIME_S",
    "STALE_S",
    "VALUE_LIMIT",
    "Cache",
    "CacheMetrics",
    "CacheMisused",
    "CacheUnavailable",
    "Entries",
    "Found",
    "HotKeys",
    "Key",
    "Lease",
    "Load",
    "ReadThrough",
    "ReadersWait",
    "ValueTooLarge",
    "safe_key",
]
