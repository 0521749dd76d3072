"""What a load saw: requests by kind and by what became of them, and whether people saw what they had written."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

import msgspec

from calotype.cli.load.choices import Kind

Outcome = Literal["ok", "refused", "server_error", "unexpected", "unanswered"]
"""Refused: 429 or 503, which the site may answer and a person tries again. Server error: any other 5xx."""

Example = Literal["refused", "server_error", "unexpected", "unanswered", "own_write_missed", "count_late"]


class KindReport(msgspec.Struct, frozen=True):
    """Latencies are of the requests that were answered as they should be; None when there was none."""

    kind: Kind
    requests: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Report(msgspec.Struct, frozen=True):
    """What `--json` prints. `requests` is the sum of `kinds`, of `regions`, and of `ok` to `unanswered`.

    `own_writes_checked` counts acknowledged writes whose page was read at once; `own_writes_missed`, those among them
    that it did not show. `own_writes_unread`: that page itself could not be read. `counts_late`: the write was shown,
    the number of likes only a moment later.
    """

    seconds: float
    people: int
    seed: int
    requests: int
    requests_per_s: float
    ok: int
    refused: int
    server_errors: int
    unexpected: int
    unanswered: int
    own_writes_checked: int
    own_writes_missed: int
    own_writes_unread: int
    counts_late: int
    regions: dict[str, int]
    kinds: list[KindReport]
    examples: dict[Example, str]
    """The first of each kind of trouble."""

    @property
    def failed(self) -> bool:
        return self.own_writes_missed > 0 or self.server_errors > 0


class Tally:
    """The figures of one person. Only that person's thread writes; others may read totals meanwhile."""

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.regions: Counter[str] = Counter()
        self.kinds: Counter[Kind] = Counter()
        self.latencies_ms: defaultdict[Kind, array[float]] = defaultdict(lambda: array("f"))
        self.examples: dict[Example, str] = {}
        self.checked = self.missed = self.unread = self.counts_late = 0

    @property
    def failures(self) -> int:
        return self.outcomes.total() - self.outcomes["ok"]

    def request(self, kind: Kind, region: str, took_ms: float, outcome: Outcome, words: str = "") -> None:
        """Count one request; `words` say what was asked and answered, if that is not what should be."""
        self.outcomes[outcome] += 1
        self.regions[region] += 1
        self.kinds[kind] += 1
        if outcome == "ok":
            self.latencies_ms[kind].append(took_ms)
        else:
            self.examples.setdefault(outcome, words)

    def own_write(self, *, seen: bool, words: str) -> None:
        """Count one acknowledged write whose page was read."""
        self.checked += 1
        if not seen:
            self.missed += 1
            self.examples.setdefault("own_write_missed", words)

    def count_late(self, words: str) -> None:
        self.counts_late += 1
        self.examples.setdefault("count_late", words)


def report(tallies: Sequence[Tally], *, seconds: float, seed: int) -> Report:
    """The sum of what everybody saw in `seconds`."""
    outcomes = _sum([tally.outcomes for tally in tallies])
    kinds = _sum([tally.kinds for tally in tallies])
    examples: dict[Example, str] = {}
    for tally in tallies:
        examples = tally.examples | examples
    return Report(
        seconds=round(seconds, 1),
        people=len(tallies),
        seed=seed,
        requests=outcomes.total(),
        requests_per_s=round(outcomes.total() / max(seconds, 0.001), 1),
        ok=outcomes["ok"],
        refused=outcomes["refused"],
        server_errors=outcomes["server_error"],
        unexpected=outcomes["unexpected"],
        unanswered=outcomes["unanswered"],
        own_writes_checked=sum(tally.checked for tally in tallies),
        own_writes_missed=sum(tally.missed for tally in tallies),
        own_writes_unread=sum(tally.unread for tally in tallies),
        counts_late=sum(tally.counts_late for tally in tallies),
        regions=dict(sorted(_sum([tally.regions for tally in tallies]).items())),
        kinds=[_kind(kind, number, tallies) for kind, number in kinds.most_common()],
        examples=examples,
    )


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile of what is in order already; None of nothing."""
    if not ordered:
        return None
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def _kind(kind: Kind, number: int, tallies: Sequence[Tally]) -> KindReport:
    ordered = sorted(ms for tally in tallies if kind in tally.latencies_ms for ms in tally.latencies_ms[kind])
    p50, p95, p99 = (_rounded(percentile(ordered, percent)) for percent in (50, 95, 99))
    return KindReport(kind, number, p50, p95, p99)


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)


def _sum[T](counters: Sequence[Counter[T]]) -> Counter[T]:
    total: Counter[T] = Counter()
    for counter in counters:
        total.update(counter)
    return total
