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
from calotype.infra.tao.combining import Combiner, Outcome
from calotype.infra.tao.types import all_associations
from calotype.infra.tao.writes import EDGE_BATCH, NO_DATA, Message, Mirror, relay_deadline_ms
from calotype.std.deadline import deadline
from calotype.std.errors import CalotypeError

log = logging.getLogger(__name__)

SWEEP_DEADLINE_S = 30.0
"""No relay is at work on a message longer than this: each of its statements carries the moment it ends."""

HELD_S = 2 * SWEEP_DEADLINE_S
"""The longest that a relay has a message in its hands: until its turn, and then in the statement of all who waited."""

TOMBSTONE_RETENTION_S = 86_400.0
assert TOMBSTONE_RETENTION_S > 100 * HELD_S, "a tombstone must outlive every message that it protects against"

TOO_LATE = "CT001"
"""How a server refuses what comes after its deadline."""

SWEEP_BATCH = 200
FIRST_RETRY_MS = 1_000
LAST_RETRY_MS = 60_000

_MIRROR = """
select edge_mirror($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9)
"""
_MIRRORS = """
select edge_mirrors(l.shard, l.id1, l.atype, l.id2s, l.times, l.data, l.source_versions, l.present, $9)
from (
    select shard, id1, atype, array_agg(id2) as id2s, array_agg(time) as times, array_agg(data) as data,
        array_agg(source_version) as source_versions, array_agg(present) as present
    from unnest($1::int[], $2::bigint[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[], $8::boolean[])
        k (shard, id1, atype, id2, time, data, source_version, present)
    group by shard, id1, atype order by id1, atype
) l
"""
_DUE = """
select shard, id, kind, payload, attempts from outbox where due <= now_ms() order by due, id limit $1 for update skip locked
"""
_DONE = """
delete from outbox o using unnest($1::int[], $2::bigint[]) k (shard, id) where (o.shard, o.id) = (k.shard, k.id)
"""
# What a sweep has locked is in its hands: it applies the message again, which changes nothing, and removes it itself.
_REMOVE = """
delete from outbox o using (
    select o.shard, o.id from unnest($1::int[], $2::bigint[]) k (shard, id) join outbox o on (o.shard, o.id) = (k.shard, k.id)
    for update of o skip locked
) k where (o.shard, o.id) = (k.shard, k.id)
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


class Relay:
    """Carries the messages that this process commits: one a process, so that those of one list go together."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._mirrors: Combiner[tuple[int, int], Mirror] = Combiner(apply_each, EDGE_BATCH)
        """By list, and not by server: a crowd on one list, or a lock that somebody holds, keeps only that list waiting."""
        self._removals: Combiner[None, Message] = Combiner(_remove, EDGE_BATCH)

    async def carry(self, messages: Sequence[Message]) -> Mapping[Pool, list[Mirror]]:
        """Apply messages that were just committed, then remove them. What fails stays for the sweep, and is logged.

        Answers which server was asked to mirror what, whether or not it has been done.
        """
        by_target: dict[Pool, list[Message]] = defaultdict(list)
        for message in messages:
            # The writes are durable already, so nothing here may raise for them.
            if target := self._shards.find(message.partition, shard_of(message.mirror.id1)):
                by_target[target].append(message)
        for target, some in by_target.items():
            try:
                with deadline(SWEEP_DEADLINE_S):
                    await self._mirrors.do(target, _by_list([message.mirror for message in some]))
                    for source, gone in self._by_source(some).items():
                        await self._removals.do(source, {None: gone})
            except (CalotypeError, asyncpg.PostgresError) as error:
                log.warning("%d messages to %s wait for the sweep: %s", len(some), target.name, error)
        return {target: [message.mirror for message in some] for target, some in by_target.items()}

    def _by_source(self, messages: Sequence[Message]) -> dict[Pool, list[Message]]:
        by_source: dict[Pool, list[Message]] = defaultdict(list)
        for message in messages:
            by_source[self._shards.pool(message.partition, message.shard)].append(message)
        return by_source


async def relay(shards: Shards, messages: Sequence[Message]) -> Mapping[Pool, list[Mirror]]:
    """`Relay.carry`, by somebody who has nothing else to carry."""
    return await Relay(shards).carry(messages)


async def apply_each(target: Pool, mirrors: Sequence[Mirror]) -> list[Outcome]:
    """Apply them all at once; if the server refuses one, in halves: a bad one must not hold up the rest."""
    try:
        await apply(target, mirrors)
    except CalotypeError as error:
        return [error] * len(mirrors)
    except asyncpg.PostgresError as error:
        if len(mirrors) == 1 or error.sqlstate == TOO_LATE:
            return [error] * len(mirrors)
        log.warning("%s refused one of %d messages: %s", target.name, len(mirrors), error)
        half = len(mirrors) // 2
        return await apply_each(target, mirrors[:half]) + await apply_each(target, mirrors[half:])
    return [None] * len(mirrors)


async def apply(target: Pool, mirrors: Sequence[Mirror]) -> None:
    """Make inverse rows on one server what their messages say, in one transaction. It locks their lists in the one
    order, so that two relays cannot deadlock."""
    columns = (
        [shard_of(mirror.id1) for mirror in mirrors],
        [mirror.id1 for mirror in mirrors],
        [mirror.atype for mirror in mirrors],
        [mirror.id2 for mirror in mirrors],
        [mirror.time for mirror in mirrors],
        [None if mirror.data == NO_DATA else bytes(mirror.data).decode() for mirror in mirrors],
        [mirror.source_version for mirror in mirrors],
        [mirror.present for mirror in mirrors],
    )
    if len(mirrors) == 1:  # by far the most: no arrays to take apart
        await target.write(_MIRROR, *(column[0] for column in columns), relay_deadline_ms())
    else:
        await target.write(_MIRRORS, *columns, relay_deadline_ms())


def _by_list(mirrors: Sequence[Mirror]) -> dict[tuple[int, int], list[Mirror]]:
    by_list: dict[tuple[int, int], list[Mirror]] = defaultdict(list)
    for mirror in mirrors:
        by_list[mirror.id1, mirror.atype].append(mirror)
    return by_list


async def _remove(source: Pool, messages: Sequence[Message]) -> list[Outcome]:
    await source.write(
        _REMOVE, [message.shard for message in messages], [message.outbox_id for message in messages]
    )
    return [None] * len(messages)


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
        """Apply them; those that were applied."""
        outcomes = await apply_each(target, [mirror for _, mirror in some])
        if failures := [failure for failure in outcomes if failure is not None]:
            log.warning("%d messages to %s will be tried again: %s", len(failures), target.name, failures[0])
        return [row for (row, _), failure in zip(some, outcomes, strict=True) if failure is None]

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
        the hands of a relay, `HELD_S` at most. So what is older than the retention and than every waiting message goes.
        Every server must answer: one that is down may hold an old message.
        """
        floor = relay_deadline_ms() - int((retention_s + HELD_S) * 1000)
        for pool in self.shards.pools.values():
            oldest = (await pool.fetch(_OLDEST_MIRROR))[0][0]
            if oldest is not None:
                floor = min(floor, oldest - int(HELD_S * 1000))
        return sum([len(await pool.write(_PURGE, floor)) for pool in self.shards.pools.values()])


async def forget_claims(shards: Shards, kinds: Sequence[str], older_than_s: float) -> int:
    """Release claims of these kinds that are older than this; how many. For keys of requests, not for names."""
    before = int((time.time() - older_than_s) * 1000)
    return sum([len(await pool.write(_FORGET_CLAIMS, list(kinds), before)) for pool in shards.pools.values()])


def retry_ms(attempts: int) -> int:
    """How long to wait after so many failures: doubling from a second to a minute."""
    return min(FIRST_RETRY_MS << min(attempts, 10), LAST_RETRY_MS)
