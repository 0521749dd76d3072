"""What the cache's own calls raise. A read-through never raises these: it reads the database instead."""

from __future__ import annotations

from calotype.std.errors import CalotypeError, TooLarge, Unavailable


class CacheUnavailable(Unavailable):
    """The memcached server of a key does not answer, or did not in time. A command may or may not have been done."""

    code = "cache_unavailable"


class ValueTooLarge(TooLarge):
    """A value over `VALUE_LIMIT` bytes: memcached would refuse it."""

    code = "value_too_large"


class CacheMisused(CalotypeError):
    """memcached answered with an error to what it was sent: a fault in the program."""

    code = "cache_misused"


class ReadersWait(Unavailable):
    """Too many readers of one place have missed the cache: the time of this one was up before its turn came."""

    code = "readers_wait"
