"""Profile pictures: one square under `avatars/<account>/<picture>/square.jpeg`."""

from __future__ import annotations

import asyncio

import msgspec

from calotype.infra.blobs import blob_key
from calotype.infra.ids import shard_of
from calotype.infra.imaging import Recipe, process
from calotype.product.accounts.types import AccountId, Person
from calotype.web.site import Site

SIDE = 320
RECIPE = Recipe(widths=(), square=SIDE, formats=("jpeg",))
REMOVE_AFTER_MS = 3_600_000
"""How long a replaced picture stays: pages that name it may still be open."""


class Blobs(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `blobs`: prefixes of blobs to remove."""

    prefixes: list[str]


def prefix(account_id: int, avatar: int) -> str:
    return f"avatars/{account_id}/{avatar}"


async def set_avatar(site: Site, account_id: AccountId, data: bytes) -> int:
    """Store a new picture and show it from now on; its id. Raises the errors of `infra.imaging`; then nothing changed."""
    loop = asyncio.get_running_loop()
    made = await loop.run_in_executor(site.imaging, lambda: process(data, recipe=RECIPE))
    shard = shard_of(account_id)
    avatar = (await site.graph.shards.next_ids(shard))[0]
    async with site.graph.transaction("people", shard) as write:
        pending = await write.post(
            "people", shard, "blobs", Blobs([prefix(account_id, avatar)]), REMOVE_AFTER_MS
        )
    for variant in made.variants:
        if variant.name == "square":
            key = blob_key(f"{prefix(account_id, avatar)}/square.{variant.format}")
            await site.blobs.put(key, variant.data, variant.content_type)
    await _show(site, account_id, avatar, pending)
    return avatar


async def remove_avatar(site: Site, account_id: AccountId) -> None:
    await _show(site, account_id, 0, None)


async def _show(site: Site, account_id: AccountId, avatar: int, pending: int | None) -> None:
    """Point the person at the picture, keep its blobs, and let the old one's go: one transaction.

    Read again when somebody else changed the person meanwhile: each picture that was shown is let go exactly once.
    """
    shard = shard_of(account_id)
    while (before := await site.graph.obj_get(Person, account_id)) is not None:
        async with site.graph.transaction("people", shard) as write:
            if await write.obj_update(Person, account_id, {"avatar": avatar}, before.version) is None:
                continue
            if pending is not None:
                await write.take_back("people", shard, [pending])
            if before.data.avatar:
                old = Blobs([prefix(account_id, before.data.avatar)])
                await write.post("people", shard, "blobs", old, REMOVE_AFTER_MS)
            return
