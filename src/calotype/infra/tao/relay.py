"""Carry messages from the outbox to where they belong: at once by the writer, later by the sweep.

The rules and why each is needed: "No half edge" (docs/tao.md), checked exhaustively by tests/infra/tao/edges_model.py.
A message goes from the outbox only after its effect has committed; applying it twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import msgspec

from calotype.infra.ids import shard_of
from calotype.infra.shards import Pool, Shards
from calotype.infra.tao.types import all_associations
from calotype.infra.tao.writes import NO_DATA, Message, Mirror, relay_deadline_ms
from calotype.std.deadline import deadline
from calotype.std.errors import CalotypeError

log = logging.getLogger(__name__)

SWEEP_DEADLINE_S = 30.0
"""No relay holds a message longer than this: each of its statements carries the moment it ends."""

TOMBSTONE_RETENTION_S = 86_400.0
assert (
    TOMBSTONE_RETENTION_S > 100 * SWEEP_DEADLINE_S
), "a tombstone must outlive every message that it protects against"

SWEEP_BATCH = 200
FIRST_RETRY_MS = 1_000
LAST_RETRY_MS = 60_000

_MIRRORS = """
select edge_mirror(k.shard, k.id1, k.atype, k.id2, k.time, k.data::jsonb, k.source_version, k.present, $9)
from unnest($1::int[], $2::bigint[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[], $8::boolean[])
    k (shard, id1, atype, id2, time, data, source_version, present)
"""
_DUE = """
select shard, id, kind, payload, attempts from outbox where due <= now_ms() order by due, id limit $1 for update skip locked
"""
_DONE = """
delete from outbox o using unnest($1::int[], $2::bigint[]) k (shard, id) where (o.shard, o.id) = (k.shard, k.id)
"""
_LATER = """
update outbox o set attempts = attempts + 1, due = now_ms() + k.wait_ms
from unnest($1::int[], $2::bigint[], $3::bigint[]) k (shard, id, wait_ms) where (o.shard, o.id) = (k.shard, k.id)
"""
_OLDEST_MIRROR = """
select min(created) from outbox where kind = 'mirror'
"""
_FORGET_CLAIMS = """
delete from claims where kind = any($1::text[]) and created < $2 returning id
"""
_PURGE = """
delete from associations where deleted and time < $1 returning id1
"""

Handler = Callable[[bytes], Awaitable[None]]
"""Does the work of one outbox row, given its payload. Must be idempotent. Raises to be tried again later."""


async def relay(shards: Shards, messages: list[Message]) -> Mapping[Pool, list[Mirror]]:
    """Apply messages that were just committed, then remove them. What fails stays for the sweep, and is logged.

    Answers which server was asked to mirror what, whether or not it has been done.
    """
    by_target: dict[Pool, list[Message]] = defaultdict(list)
    for message in messages:
        # The writes are durable already, so nothing here may raise for them.
        if target := shards.find(message.partition, shard_of(message.mirror.id1)):
            by_target[target].append(message)
    for target, some in by_target.items():
        try:
            with deadline(SWEEP_DEADLINE_S):
                await apply(target, [message.mirror for message in some])
                await _remove(shards, some)
        except (CalotypeError, asyncpg.PostgresError) as error:
            log.warning("%d messages to %s wait for the sweep: %s", len(some), target.name, error)
    return {target: [message.mirror for message in some] for target, some in by_target.items()}


async def apply(target: Pool, mirrors: list[Mirror]) -> None:
    """Make inverse rows on one server what their messages say. Sorted by list, so that two relays cannot deadlock."""
    ordered = sorted(
        mirrors, key=lambda mirror: (mirror.id1, mirror.atype, mirror.id2, mirror.source_version)
    )
    await target.write(
        _MIRRORS,
        [shard_of(mirror.id1) for mirror in ordered],
        [mirror.id1 for mirror in ordered],
        [mirror.atype for mirror in ordered],
        [mirror.id2 for mirror in ordered],
        [mirror.time for mirror in ordered],
        [None if mirror.data == NO_DATA else bytes(mirror.data).decode() for mirror in ordered],
        [mirror.source_version for mirror in ordered],
        [mirror.present for mirror in ordered],
        relay_deadline_ms(),
    )


async def _remove(shards: Shards, messages: list[Message]) -> None:
    by_source: dict[Pool, list[Message]] = defaultdict(list)
    for message in messages:
        by_source[shards.pool(message.partition, message.shard)].append(message)
    for source, some in by_source.items():
        await source.write(
            _DONE, [message.shard for message in some], [message.outbox_id for message in some]
        )


@dataclass(frozen=True)
class Sweep:
    """Does what is in the outboxes and overdue. Any number may run at once: rows in one's hands are skipped by the rest."""

    shards: Shards
    handlers: Mapping[str, Handler]

    async def once(self) -> int:
        """One pass over every server; how many rows are done. A server that is down is left for the next pass."""
        results = await asyncio.gather(
            *(self._server(pool) for pool in self.shards.pools.values()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException) and not isinstance(
                result, CalotypeError | OSError | asyncpg.PostgresError
            ):
                raise result
        return sum(result for result in results if isinstance(result, int))

    async def _server(self, pool: Pool) -> int:
        with deadline(SWEEP_DEADLINE_S):
            async with pool.transaction() as connection:
                rows = await pool.run_on(connection, _DUE, SWEEP_BATCH)
                done = await self._mirrors([row for row in rows if row["kind"] == "mirror"])
                done += [row for row in rows if row["kind"] != "mirror" and await self._handled(row)]
                finished = {row["id"] for row in done}
                later = [row for row in rows if row["id"] not in finished]
                await pool.run_on(
                    connection, _DONE, [row["shard"] for row in done], [row["id"] for row in done]
                )
                await pool.run_on(
                    connection,
                    _LATER,
                    [row["shard"] for row in later],
                    [row["id"] for row in later],
                    [retry_ms(row["attempts"]) for row in later],
                )
        return len(done)

    async def _mirrors(self, rows: list[asyncpg.Record]) -> list[asyncpg.Record]:
        """Apply them by target server; those that were applied."""
        by_target: dict[Pool, list[tuple[asyncpg.Record, Mirror]]] = defaultdict(list)
        partitions = {association.number: association.partition for association in all_associations()}
        for row in rows:
            mirror = msgspec.json.decode(row["payload"], type=Mirror)
            target = self.shards.find(partitions.get(mirror.atype, ""), shard_of(mirror.id1))
            if target is None:
                log.error("outbox row %d is for %s, which is unknown here", row["id"], mirror)
            else:
                by_target[target].append((row, mirror))
        return [row for target, some in by_target.items() for row in await self._applied(target, some)]

    async def _applied(self, target: Pool, some: list[tuple[asyncpg.Record, Mirror]]) -> list[asyncpg.Record]:
        """Apply them all at once or, if the server refuses one, each for itself: a bad one must not hold up the rest."""
        try:
            await apply(target, [mirror for _, mirror in some])
        except CalotypeError as error:
            log.warning("%d messages to %s will be tried again: %s", len(some), target.name, error)
            return []
        except asyncpg.PostgresError as error:
            log.warning("%s refused one of %d messages: %s", target.name, len(some), error)
            if len(some) == 1:
                return []
            return [row for one in some for row in await self._applied(target, [one])]
        return [row for row, _ in some]

    async def _handled(self, row: asyncpg.Record) -> bool:
        handler = self.handlers.get(row["kind"])
        if handler is None:
            log.error("outbox row %d has kind %r, which nobody handles", row["id"], row["kind"])
            return False
        try:
            await handler(row["payload"])
        except (CalotypeError, asyncpg.PostgresError, OSError) as error:
            log.warning("%s %d will be tried again: %s", row["kind"], row["id"], error)
            return False
        return True

    async def purge_tombstones(self, retention_s: float = TOMBSTONE_RETENTION_S) -> int:
        """Remove tombstones that no message can still need; how many.

        A tombstone protects against older messages of its edge. Those are in an outbox, made before the tombstone, or in
        the hands of a relay until its deadline. So what is older than the retention and than every waiting message goes.
        Every server must answer: one that is down may hold an old message.
        """
        floor = relay_deadline_ms() - int((retention_s + SWEEP_DEADLINE_S) * 1000)
        for pool in self.shards.pools.values():
            oldest = (await pool.fetch(_OLDEST_MIRROR))[0][0]
            if oldest is not None:
                floor = min(floor, oldest - int(SWEEP_DEADLINE_S * 1000))
        return sum([len(await pool.write(_PURGE, floor)) for pool in self.shards.pools.values()])


async def forget_claims(shards: Shards, kinds: Sequence[str], older_than_s: float) -> int:
    """Release claims of these kinds that are older than this; how many. For keys of requests, not for names."""
    before = int((time.time() - older_than_s) * 1000)
    return sum([len(await pool.write(_FORGET_CLAIMS, list(kinds), before)) for pool in shards.pools.values()])


def retry_ms(attempts: int) -> int:
    """How long to wait after so many failures: doubling from a second to a minute."""
    return min(FIRST_RETRY_MS << min(attempts, 10), LAST_RETRY_MS)
