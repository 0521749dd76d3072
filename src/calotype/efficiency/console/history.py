"""What the console knows of a directory of segments: the last day of ticks, and of the records those worth a look.

Every process that shows the console has its own, and reads each frame once. What it costs is bounded: time at each look
(`BUDGET_S`; older files wait for the next one), and memory by the bounds below, however much the directory holds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from heapq import heappop, heappush, heappushpop
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import msgspec

from calotype.efficiency.appweight import AppWeight, weigh
from calotype.efficiency.console.folding import Level
from calotype.efficiency.console.tail import Tail
from calotype.efficiency.dynostats import Record, Tick, Totals

BUDGET_S = 0.5
"""Of CPU, spent on reading at one look."""

MINUTE_S, SPAN_S, HOUR_S, DAY_S = 60, 300, 3_600, 86_400
"""Who was active and what the processes used is kept by the minute, what each endpoint used by spans of five."""

RAW_S = 180
"""Ticks are kept as they are so long, for the minute that has just passed."""

FAILED, SAMPLED, SLOWEST = 500, 3_000, 20
"""Records that are kept: the latest failed, the latest of all, and of each span of the last hour the slowest. Each has at
most 200 steps in its timeline, and only those of the slowest and failed have one: 30 MB at the very most."""


class _Peek(msgspec.Struct):
    """As much of a line as says whether the rest is needed."""

    type: str
    at: float
    status: int = 200


_peek = msgspec.json.Decoder(_Peek).decode
_tick = msgspec.json.Decoder(Tick).decode
_record = msgspec.json.Decoder(Record).decode


class History:
    """Safe for threads."""

    def __init__(self, directory: Path) -> None:
        self._tail = Tail(directory)
        self._lock = Lock()
        self._raw: list[Tick] = []
        self._minutes = Level(MINUTE_S, DAY_S, _altogether)
        self._spans = Level(SPAN_S, DAY_S, _without_people)
        self._weights: dict[int, AppWeight] = {}
        """By minute, of those that nothing was added to since."""
        self._failed: list[_Kept] = []
        self._sampled: list[_Kept] = []
        self._slowest: dict[int, list[_Kept]] = {}
        self._count = 0
        self._releases: dict[str, tuple[float, float]] = {}
        """When each was seen first and last."""
        self.latest_at = 0.0
        """Of the ticks. 0: there is none."""
        self.unit: str | None = None
        """Of the latest tick. Those that count in another are left out."""

    @property
    def directory(self) -> Path:
        return self._tail.directory

    @property
    def unread_bytes(self) -> int:
        """Older files, which the next looks will read."""
        return self._tail.unread_bytes

    def refresh(self, now: float) -> None:
        """Read what is new, for `BUDGET_S` at most."""
        with self._lock:
            until = time.thread_time() + BUDGET_S
            for lines in self._tail.frames(now - DAY_S):
                for line in lines.splitlines():
                    # Of another release, which may know other fields: what cannot be read is left out.
                    with suppress(msgspec.DecodeError, ValueError):
                        self._take(line, now)
                if time.thread_time() > until:
                    break
            self._forget(now)

    # What there is to see

    def last_minute(self, now: float) -> AppWeight | None:
        """The one until the latest tick; None: there was none in the last one."""
        with self._lock:
            if self.latest_at < now - MINUTE_S:
                return None
            raw = [tick for tick in self._raw if tick.unit == self.unit]
        return weigh(raw, self.latest_at - MINUTE_S, self.latest_at)

    def minutes(self, now: float, seconds: int) -> list[AppWeight]:
        """Each full minute of that time, the last one as far as it goes; without endpoints."""
        with self._lock:
            last = self._minutes.step(now)
            return [self._weight(step) for step in range(last - seconds // MINUTE_S + 1, last + 1)]

    def spans(self, now: float, seconds: int) -> list[Tick]:
        """Of that time and the rest of its first span, by span and release: what each endpoint used, and not who."""
        with self._lock:
            last = self._spans.step(now)
            ticks = self._spans.ticks(last - seconds // SPAN_S, last)
            return sorted((tick for tick in ticks if tick.unit == self.unit), key=lambda tick: tick.at)

    def releases(self) -> list[tuple[float, str]]:
        """When each was first seen at work, the earliest first."""
        with self._lock:
            return sorted((first, name) for name, (first, _) in self._releases.items())

    def slowest(self, endpoint: str | None = None) -> list[Record]:
        """Of the last hour, the slowest first."""
        with self._lock:
            found = [kept.record for span in self._slowest.values() for kept in span]
        return sorted(_of(found, endpoint), key=lambda record: -took_ns(record))

    def failed(self, endpoint: str | None = None) -> list[Record]:
        """The latest first."""
        with self._lock:
            found = [kept.record for kept in self._failed]
        return sorted(_of(found, endpoint), key=lambda record: -record.at)

    def sampled(self, endpoint: str) -> list[Record]:
        """The latest of those that stand for all: `weight` is above 0."""
        with self._lock:
            return _of((kept.record for kept in self._sampled), endpoint)

    def find(self, digest: str) -> Record | None:
        """The record of this digest, if it is kept."""
        with self._lock:
            heaps = [*self._slowest.values(), self._failed, self._sampled]
            records = [kept.record for heap in heaps for kept in heap]
        return next((record for record in records if digest_of(record) == digest), None)

    # How it comes to be known

    def _take(self, line: bytes, now: float) -> None:
        head = _peek(line)
        if head.at < now - DAY_S or head.at > now + MINUTE_S:  # somebody's clock is wrong
            return
        if head.type == "tick":
            self._take_tick(_tick(line), now)
        elif head.type == "request" and self._is_wanted(head, now):
            self._take_record(_record(line), now)

    def _is_wanted(self, head: _Peek, now: float) -> bool:
        """Most are not, of a day."""
        room = len(self._sampled) < SAMPLED or head.at > self._sampled[0].rank
        return room or head.at >= now - HOUR_S or _is_failed(head)

    def _take_tick(self, tick: Tick, now: float) -> None:
        self._weights.pop(self._minutes.fold(tick), None)
        self._spans.fold(tick)
        first, last = self._releases.get(tick.identity.release, (tick.at, tick.at))
        self._releases[tick.identity.release] = min(first, tick.at), max(last, tick.at)
        if tick.at > now - RAW_S:
            self._raw.append(tick)
        if tick.at >= self.latest_at:
            self.latest_at = tick.at
            if tick.unit != self.unit:
                self.unit = tick.unit
                self._weights.clear()

    def _take_record(self, record: Record, now: float) -> None:
        if record.weight:
            _keep(self._sampled, _Kept(record.at, self._count, record), SAMPLED)
        if _is_failed(record):
            _keep(self._failed, _Kept(record.at, self._count, record), FAILED)
        if record.at >= now - HOUR_S:
            span = self._slowest.setdefault(self._spans.step(record.at), [])
            _keep(span, _Kept(took_ns(record), self._count, record), SLOWEST)
        self._count += 1

    def _weight(self, step: int) -> AppWeight:
        if (known := self._weights.get(step)) is None:
            ticks = [tick for tick in self._minutes.ticks(step, step) if tick.unit == self.unit]
            known = self._weights[step] = weigh(ticks, step * MINUTE_S, (step + 1) * MINUTE_S)
        return known

    def _forget(self, now: float) -> None:
        first_minute = self._minutes.forget(now)
        self._spans.forget(now)
        self._weights = {step: known for step, known in self._weights.items() if step >= first_minute}
        self._releases = {name: seen for name, seen in self._releases.items() if seen[1] >= now - DAY_S}
        self._raw = [tick for tick in self._raw if tick.at > now - RAW_S]
        first_span = self._spans.step(now - HOUR_S)
        self._slowest = {step: kept for step, kept in self._slowest.items() if step >= first_span}
        while self._failed and self._failed[0].rank < now - DAY_S:
            heappop(self._failed)


class _Kept(NamedTuple):
    rank: float
    number: int
    """Breaks ties."""
    record: Record


def _keep(heap: list[_Kept], kept: _Kept, limit: int) -> None:
    """Of more than `limit` the lowest goes."""
    if len(heap) < limit:
        heappush(heap, kept)
    else:
        heappushpop(heap, kept)


def took_ns(record: Record) -> int:
    """Until its answer began: how long that goes on (a stream) is not slowness. If it never did, until it was given up."""
    return record.answer_ns or record.wall_ns


def _is_failed(of: Record | _Peek) -> bool:
    return of.status >= 500 or not of.status


def _of(records: Iterable[Record], endpoint: str | None) -> list[Record]:
    return [record for record in records if endpoint in (None, record.endpoint)]


def _altogether(tick: Tick) -> Tick:
    """Its endpoints in one, counted only."""
    requests = sum(totals.requests for totals in tick.endpoints.values())
    errors = sum(totals.errors for totals in tick.endpoints.values())
    return msgspec.structs.replace(tick, endpoints={"": Totals(requests=requests, errors=errors)})


def _without_people(tick: Tick) -> Tick:
    return msgspec.structs.replace(tick, people="")


def digest_of(record: Record) -> str:
    """Names a record in addresses."""
    who = record.identity
    what = (record.at, record.wall_ns, record.endpoint, record.method, record.status, who.host, who.worker)
    return blake2b(msgspec.json.encode(what), digest_size=12).hexdigest()


@cache
def history_of(directory: Path) -> History:
    """One a process and directory."""
    return History(directory)
