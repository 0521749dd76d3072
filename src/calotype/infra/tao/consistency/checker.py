"""Watch every log and every region for a while: sample keys, and compare what the caches hold of them with the primary.

What was written is known from the log itself, by a temporary slot on the primary that ends with the check: key, version
and time of each commit. Nothing is written anywhere, and no entry counts as used because it was looked at.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from calotype.infra.cache import Cache, Key
from calotype.infra.invalidation import LogStream, Progress, StreamLost, open_temporary_stream
from calotype.infra.tao.consistency.assembly import Assembly, Transaction
from calotype.infra.tao.consistency.judging import UNTOLD, Entry, Subject, Verdict
from calotype.infra.tao.consistency.report import Inconsistency, Report
from calotype.infra.tao.consistency.sampling import Agenda, Reservoir, Sample
from calotype.infra.tao.consistency.watched import Watched, read
from calotype.std.deadline import deadline
from calotype.std.errors import Unavailable

SAMPLE = 100
"""Keys a second of those that are written, all logs together."""

RANDOM_SHARE = 4
"""For so many written keys one that is chosen at random among all rows."""

WINDOW_S = 1.0
TICK_S = 0.1
"""Looks are made this much too late at most, while the servers answer."""

CONFIRM_S = 0.25
"""What one look does not prove is looked at again after this time: no statement or delete under way takes longer."""

PATIENCE_S = 10.0
"""For one round of looks; a server that does not answer in time is not looked at."""

RETRY_S = 0.5
"""Until a log whose stream has ended is followed anew."""

Tell = Callable[[float, Report], None]
"""Called about once a second with the seconds that have passed and what was found by then."""


@dataclass(frozen=True)
class Region:
    cache: Cache
    progress: Progress


@dataclass(frozen=True)
class Look:
    """An entry that is there, at one moment (monotonic)."""

    region: str
    sample: Sample
    key: Key
    entry: Entry
    at: float


async def check_consistency(
    logs: Mapping[str, Watched],
    caches: Mapping[str, Cache],
    publication: str,
    *,
    scales_s: Sequence[float],
    duration_s: float,
    sample: int = SAMPLE,
    tell: Tell = lambda done_s, report: None,
) -> Report:
    """Compare for `duration_s`, at each of `scales_s` after a write or a random choice. `caches`: by region.

    Raises `StreamLost` and `PublicationMissing` when a log cannot be followed to begin with; what fails later is not
    compared meanwhile.
    """
    report = Report(scales_s)
    async with AsyncExitStack() as stack:
        regions = {
            name: Region(cache, await stack.enter_async_context(Progress(cache, logs)))
            for name, cache in caches.items()
        }
        streams = {name: await _open(one, publication) for name, one in logs.items()}
        checks = [
            _Check(name, one, regions, publication, streams[name], report, sample / len(logs))
            for name, one in logs.items()
        ]
        await _together(checks, duration_s, report, tell)
        report.unfollowed = [
            (name, log)
            for name, region in regions.items()
            for log in logs
            if log not in region.progress.spaces
        ]
    return report


async def _open(log: Watched, publication: str) -> LogStream:
    return await open_temporary_stream(log.pool.dsn, f"watch_{secrets.token_hex(8)}", publication)


async def _together(checks: Sequence[_Check], duration_s: float, report: Report, tell: Tell) -> None:
    began = time.monotonic()
    try:
        async with asyncio.TaskGroup() as tasks:
            for check in checks:
                tasks.create_task(check.run(began + duration_s))
            while (done_s := time.monotonic() - began) < duration_s:
                tell(done_s, report)
                await asyncio.sleep(min(1.0, duration_s - done_s))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    tell(duration_s, report)


class _Check:
    """Of one log. `sample`: keys a second."""

    def __init__(
        self,
        name: str,
        log: Watched,
        regions: Mapping[str, Region],
        publication: str,
        stream: LogStream,
        report: Report,
        sample: float,
    ) -> None:
        self._name, self._log, self._regions = name, log, regions
        self._publication, self._stream = publication, stream
        self._report = report
        self._window_s = min(WINDOW_S, *report.scales)
        self._amount = max(round(sample * self._window_s), 1)
        self._reservoir = Reservoir(self._amount)

    async def run(self, ends_at: float) -> None:
        agenda = Agenda(list(self._report.scales), ends_at)
        following = asyncio.create_task(self._follow())
        window_ends_at = time.monotonic() + self._window_s
        try:
            while (now := time.monotonic()) < ends_at:
                if following.done():
                    following.result()
                if now >= window_ends_at:
                    window_ends_at = now + self._window_s
                    agenda.add(await self._samples())
                for after_s, samples in agenda.due(now):
                    await self._compare(after_s, samples)
                await asyncio.sleep(TICK_S)
        finally:
            following.cancel()
            await asyncio.wait([following])

    # What to look at

    async def _follow(self) -> None:
        while True:
            parts = Assembly()
            try:
                async with self._stream as stream:
                    while True:
                        batch = await stream.batch(WINDOW_S)
                        self._take(parts.transactions(batch))
                        stream.confirm(batch.position)
            except StreamLost:
                self._stream = await self._reopened()

    async def _reopened(self) -> LogStream:
        while True:
            await asyncio.sleep(RETRY_S)
            try:
                return await _open(self._log, self._publication)
            except Unavailable:
                continue

    def _take(self, transactions: Iterable[Transaction]) -> None:
        now = time.monotonic()
        for committed_ms, changes in transactions:
            for subject, known in self._log.written(changes):
                self._reservoir.add(Sample(subject, known, now, committed_ms))

    async def _samples(self) -> list[Sample]:
        """Those of the window that ends now, then some at random. Every one has a version."""
        written = self._reservoir.take()
        told = [sample for sample in written if sample.known is not UNTOLD]
        try:
            with deadline(PATIENCE_S):
                told += await self._read([sample for sample in written if sample.known is UNTOLD])
                chosen = await self._log.random(max(self._amount // RANDOM_SHARE, 1))
                now = time.monotonic()
                random = [Sample(subject, known, now, None) for subject, known in chosen]
                return told + await self._read(random)
        except Unavailable:
            return told

    async def _read(self, untold: Sequence[Sample]) -> list[Sample]:
        """The same with the versions that their rows have now, those that have none yet."""
        subjects = {sample.subject for sample in untold if sample.known is UNTOLD}
        rows = await read(self._log.pool, subjects)
        now = time.monotonic()
        return [
            (
                sample._replace(known=sample.subject.kind.known(rows.get(sample.subject)), since=now)
                if sample.known is UNTOLD
                else sample
            )
            for sample in untold
        ]

    # What is there

    async def _compare(self, after_s: float, samples: Sequence[Sample]) -> None:
        with deadline(PATIENCE_S):
            looks = await self._look(samples)
            self._report.absent += len(samples) * len(self._regions) - len(looks)
            try:
                looks = self._judge(after_s, looks, await self._rows(looks))
                if looks:
                    await asyncio.sleep(CONFIRM_S)
                    await self._confirm(after_s, looks)
            except Unavailable:
                self._report.impossible += len(looks)

    async def _look(self, samples: Iterable[Sample]) -> list[Look]:
        looks: list[Look] = []
        for name, region in self._regions.items():
            space = region.progress.spaces.get(self._name)
            if space is not None:
                looks += await _look(name, region.cache, space, samples)
        return looks

    async def _rows(self, looks: Iterable[Look]) -> dict[Subject, object]:
        return await read(self._log.pool, {look.sample.subject for look in looks})

    def _judge(self, after_s: float, looks: Sequence[Look], rows: Mapping[Subject, object]) -> list[Look]:
        """Count what is right, or proven wrong; what must be looked at again is returned."""
        suspects = []
        for look in looks:
            verdict = judge(look, rows)
            if verdict is None:
                self._report.absent += 1
                continue
            if verdict.problem is not None and not verdict.proven:
                suspects.append(look)
                continue
            self._report.scales[after_s].checked += 1
            if verdict.proven:
                self._found(after_s, look, verdict)
        return suspects

    async def _confirm(self, after_s: float, suspects: Sequence[Look]) -> None:
        """Cache, primary, cache, primary: wrong is what is still there and still contradicts the primary."""
        again = {
            (look.region, look.sample): look for look in await self._look({look.sample for look in suspects})
        }
        rows = await self._rows(suspects)
        self._report.scales[after_s].checked += len(suspects)
        for look in suspects:
            second = again.get((look.region, look.sample))
            if second is not None and (second.key, second.entry) == (look.key, look.entry):
                verdict = judge(second, rows)
                if verdict is not None and verdict.problem is not None:
                    self._found(after_s, second, verdict)

    def _found(self, after_s: float, look: Look, verdict: Verdict) -> None:
        assert verdict.problem is not None
        subject, known, since, committed_ms = look.sample
        versioned = verdict.cached is not None or verdict.primary is not None
        self._report.found(
            Inconsistency(
                log=self._name,
                region=look.region,
                kind=subject.kind.name,
                what=subject.kind.words(subject.k),
                key=look.key.decode(),
                problem=verdict.problem,
                after_s=after_s,
                age_s=round(look.at - since, 3),
                written_version=known if versioned else None,
                cached_version=verdict.cached,
                primary_version=verdict.primary,
                committed_ms=committed_ms,
                seen_ms=int(time.time() * 1000),
            )
        )


async def _look(region: str, cache: Cache, space: bytes, samples: Iterable[Sample]) -> list[Look]:
    keys = [(sample, sample.subject.kind.key(space, sample.subject.k)) for sample in samples]
    entries = await cache.look_many(list(dict.fromkeys(key for _, key in keys)))
    now = time.monotonic()
    return [Look(region, sample, key, Entry(*entries[key]), now) for sample, key in keys if key in entries]


def judge(look: Look, rows: Mapping[Subject, object]) -> Verdict | None:
    """None for an entry that cannot be read: its readers do not take it either."""
    subject, known, *_ = look.sample
    assert known is not UNTOLD
    try:
        return subject.kind.judge(subject.k, known, look.entry, rows.get(subject))
    except ValueError:
        return None
