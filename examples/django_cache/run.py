"""`django.core.cache` on memcached, and beside it a read-through with leases that needs no Django.

MEMCACHED=127.0.0.1:11211 python examples/django_cache/run.py
"""

import asyncio
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

from django.conf import settings
from django.core.cache import cache

from calotype.infra.cache import Cache, ReadThrough, safe_key

PRICES = {"tea": 3, "cake": 5}
loads: list[list[str]] = []


async def load(names: list[str]) -> dict[str, int]:
    """The slow part: a database, another service."""
    loads.append(names)
    await asyncio.sleep(0.02)
    return {name: PRICES[name] for name in names}


class Prices:
    """How a price is kept: as its digits, without a version."""

    def place(self, name: str) -> int:
        return 0

    def decode(self, name: str, value: bytes) -> int:
        return int(value)

    def encode(self, name: str, price: int) -> tuple[bytes, int]:
        return b"%d" % price, 0


async def main() -> None:
    servers = Cache(settings.CACHES["default"]["LOCATION"].split(";"))
    through = ReadThrough(servers)
    keys = {safe_key(f"price:{name}"): name for name in PRICES}
    await servers.remove(list(keys))

    answers = await asyncio.gather(*(through.read(keys, Prices(), load) for _ in range(200)))
    print(
        f"{len(answers)} readers of two cold keys: {len(loads)} load, all equal: {all(a == PRICES for a in answers)}"
    )

    PRICES["tea"] = 4  # a writer deletes what it has changed, after its commit
    await servers.delete([safe_key("price:tea")])
    print("after a write:", (await through.read(keys, Prices(), load))["tea"], "read again:", loads[-1])

    await cache.aset("greeting", {"text": "hello", "times": [1, 2]})
    print("async:", await cache.aget("greeting"))
    await cache.aclose()
    await servers.close()


if __name__ == "__main__":
    cache.set("visits", 41)
    print("visits:", cache.incr("visits"))
    asyncio.run(main())
