"""Follow one log for one region, and delete from the region's cache what the log says has changed.

What is read is applied on every server that may hold it, then the position is published to the workers, then it is
acknowledged: in this order, so that whatever fails in between happens again, which does no harm (docs/invalidation.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import psycopg

from calotype.infra.cache import Cache, safe_key
from calotype.infra.invalidation.backlog import Backlog, Record
from calotype.infra.invalidation.pgoutput import Change, Message, Truncate
from calotype.infra.invalidation.positions import (
    Lsn,
    Position,
    decode_position,
    encode_position,
    key_space,
    position_key,
)
from calotype.infra.invalidation.slots import (
    Database,
    Slot,
    connect,
    drop_older_slots,
    ensure_slot,
    find_slots,
    in_recovery,
    lag_bytes,
    slot_prefix,
)
from calotype.infra.invalidation.stream import Batch, LogStream, StreamLost, open_stream
from calotype.infra.invalidation.visibility import wait_for_those_under_way, wait_until_visible
from calotype.std.errors import CalotypeError

log = logging.getLogger(__name__)

MESSAGE_PREFIX = "calotype.invalidate"
"""Of messages in the log whose content is keys, one a line: for what no published row tells."""

FIRST_RETRY_S = 0.1
LAST_RETRY_S = 2.0
HEALTHY_S = 5.0
"""A session that lasted this long has earned a first, short delay again."""

PUBLISH_INTERVAL_S = 1.0
"""The position is published at least this often, so that a memcached that was restarted has it again."""

BACKLOG_LIMIT = 200_000
"""Keys that wait for a memcached server, some 50 MB. With more the log is not read on until it answers."""

RecordsOf = Callable[[Change, str], Iterable[Record]]
"""Which keys a changed row outdates, given the key space (`key_space`), which must be part of every key."""


@dataclass
class ConsumerMetrics:
    """Since the process started. `rows` counts messages too; `deletes_asked` counts keys after they were coalesced."""

    rows: int = 0
    transactions: int = 0
    deletes_asked: int = 0
    deletes_done: int = 0
    batches: int = 0
    reconnects: int = 0
    slots_made: int = 0
    lag_bytes: int = 0
    lag_s: float = 0.0
    """Since the oldest commit that is not applied, or was not when it was last measured."""
    last_error: str = ""


class _StartOver(Exception):
    """What was deleted cannot be told row by row: the keys need a new generation."""


class Consumer:
    """One a log and region. `caches`: the region's servers, then the sets of servers that workers may still use.

    The caches must have no gutter: a position that is published must be where workers look first, or nowhere.
    """

    def __init__(
        self,
        name: str,
        region: str,
        dsn: str,
        primary_dsn: str,
        publication: str,
        caches: Sequence[Cache],
        records_of: RecordsOf,
        *,
        backlog_limit: int = BACKLOG_LIMIT,
    ) -> None:
        if any(cache.gutter for cache in caches):
            raise ValueError("a consumer's caches must have no gutter")
        slot_prefix(region)
        self.name = name
        self.metrics = ConsumerMetrics()
        self._region = region
        self._dsn, self._primary_dsn, self._publication = dsn, primary_dsn, publication
        self._caches = caches
        self._records_of = records_of
        self._backlog = Backlog(caches)
        self._backlog_limit = backlog_limit
        self._generation = self._space = ""
        self._read = self._applied = Lsn(0)
        self._published = False
        self._looked_at = 0.0
        self._unapplied_ms = 0
        self._fresh = False

    @property
    def position(self) -> Position:
        """What is applied, whether it could be published or not. The generation is empty before the first session."""
        return Position(self._generation, self._applied, time.time_ns() // 1_000_000)

    async def run(self) -> NoReturn:
        """Follow the log until cancelled, through the failures of everything it talks to."""
        retry_s = FIRST_RETRY_S
        while True:
            began = time.monotonic()
            try:
                await self._session()
            except _StartOver:
                self._fresh = True
                continue
            except (CalotypeError, psycopg.Error, OSError) as error:
                self._note(error)
            self.metrics.reconnects += 1
            if time.monotonic() - began > HEALTHY_S:
                retry_s = FIRST_RETRY_S
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, LAST_RETRY_S)

    def _note(self, error: Exception) -> None:
        self.metrics.last_error = str(error).strip() or type(error).__name__
        log.warning("%s in region %s: %s", self.name, self._region, self.metrics.last_error)

    async def _session(self) -> NoReturn:
        async with await connect(self._dsn) as database:
            slot, new = await ensure_slot(
                database, self._region, self._primary_dsn, self._publication, fresh=self._fresh
            )
            self._fresh = False
            primary = not await in_recovery(database)
            if slot.active:  # whoever reads it publishes a newer position than we could
                raise StreamLost(f"the slot {slot.name} is read by another consumer")
            if primary and not await self._is_published(slot):
                await wait_for_those_under_way(database)
            await self._begin(slot, new)
            async with await open_stream(self._dsn, slot.name, self._publication, slot.confirmed) as stream:
                while True:
                    await self._take(stream, database if primary else None)
                    if await self._backlog.apply():
                        await self._advance(stream)
                    await self._look_around(database, slot)

    async def _is_published(self, slot: Slot) -> bool:
        found = [await cache.get_everywhere(position_key(self.name)) for cache in self._caches]
        known = [decode_position(value) for values in found for value in values]
        return any(position is not None and position.generation == slot.generation for position in known)

    async def _begin(self, slot: Slot, new: bool) -> None:
        """Tell the workers the generation before anything else: under a new one, old entries are seen no more."""
        if new:
            self.metrics.slots_made += 1
            log.info("%s in region %s has the generation %s", self.name, self._region, slot.generation)
        if slot.generation != self._generation:
            self._generation, self._applied = slot.generation, slot.confirmed
            self._space = key_space(self.name, slot.generation)
        # After a crash a slot may remember less than it was told.
        self._read = self._applied = max(self._applied, slot.confirmed)
        self._looked_at = 0.0
        await self._publish()

    async def _take(self, stream: LogStream, primary: Database | None) -> None:
        """Read on, unless too much is waiting already: then the server has to wait too."""
        if len(self._backlog) >= self._backlog_limit:
            await asyncio.sleep(self._backlog.retry_in_s())
            return
        batch = await stream.batch(self._patience_s())
        if primary is not None and batch.xids:
            await wait_until_visible(primary, batch.xids)
        self._count(batch)
        for change in batch.changes:
            if isinstance(change, Truncate):
                raise _StartOver
            self._backlog.add(self._records(change))
        self._read = batch.position

    def _patience_s(self) -> float:
        """How long there is nothing else to do than wait for the log."""
        if len(self._backlog):
            return min(self._backlog.retry_in_s(), PUBLISH_INTERVAL_S)
        return PUBLISH_INTERVAL_S if self._published else FIRST_RETRY_S

    def _records(self, change: Change | Message) -> Iterable[Record]:
        if isinstance(change, Change):
            return self._records_of(change, self._space)
        if change.prefix == MESSAGE_PREFIX:
            keys = change.content.decode(errors="replace").split("\n")
            return [(safe_key(key), None) for key in keys if key]
        return ()

    def _count(self, batch: Batch) -> None:
        self.metrics.rows += len(batch.changes)
        self.metrics.transactions += len(batch.xids)
        self.metrics.batches += bool(batch.changes)
        self._unapplied_ms = self._unapplied_ms or batch.committed_ms

    async def _advance(self, stream: LogStream) -> None:
        """Everything read is applied: publish that, then acknowledge it."""
        self._measure_lag()
        self._unapplied_ms = 0
        if self._read > self._applied or not self._published:
            self._applied = self._read
            await self._publish()
        if self._published:
            stream.confirm(self._applied)

    async def _publish(self) -> None:
        key, value = position_key(self.name), encode_position(self.position)
        stored = await asyncio.gather(*(cache.set_everywhere(key, value) for cache in self._caches))
        self._published = all(stored)
        if not self._published:
            self.metrics.last_error = f"not every memcached server of region {self._region} answers"

    async def _look_around(self, database: Database, slot: Slot) -> None:
        """What is to be done now and then, however busy the log is."""
        now = time.monotonic()
        if now < self._looked_at + PUBLISH_INTERVAL_S:
            return
        self._looked_at = now
        await self._publish()
        await self._tend_slots(database, slot)
        self.metrics.lag_bytes = await lag_bytes(database, slot) or 0
        if len(self._backlog):
            self._measure_lag()
            self.metrics.last_error = self._backlog.last_error or self.metrics.last_error

    async def _tend_slots(self, database: Database, slot: Slot) -> None:
        """Older slots keep the log for nobody. A newer one is another consumer's, whose generation is to be believed."""
        newest = (await find_slots(database, self._region))[:1]
        if newest and newest[0].generation != slot.generation:
            raise StreamLost(f"the slot {slot.name} has been replaced by {newest[0].name}")
        if self._published:
            await drop_older_slots(database, self._region, slot)

    def _measure_lag(self) -> None:
        self.metrics.deletes_asked, self.metrics.deletes_done = self._backlog.asked, self._backlog.done
        self.metrics.lag_s = max(time.time() - self._unapplied_ms / 1000, 0.0) if self._unapplied_ms else 0.0
