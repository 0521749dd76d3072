"""The cache protocol, explored exhaustively: it holds, and it needs every one of its rules."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.tao.consistency import batch, copies, log, one_key, owners, probe
from tests.infra.tao.consistency.explorer import Protocol
from tests.infra.tao.consistency_model import PROTOCOLS

STATES = {
    "one key": 172_144,
    "probe": 28_828,
    "batch of two keys": 132_092,
    "change of owners": 42_951,
    "log": 89_635,
    "copies": 30,
}
SHORTEST = {
    "one key": {
        "leases": 6,
        "lease-before-read": 6,
        "delete-before-ack": 6,
        "break-leases": 6,
        "epoch": 8,
        "own-log": 5,
        "one-standby": 6,
        "no-blind-write": 7,
        "own-cas": 9,
        "ticket-by-applied": 5,
        "ticket-refuses-stale": 6,
    },
    "probe": {
        "delete-leases": 6,
        "delete-stale": 9,
        "delete-blindly": 7,
        "ack-after-delete": 5,
        "no-prolonging": 12,
        "delete-in-time": 12,
        "no-blind-mark": 9,
        "empty-is-no-value": 1,
    },
    "batch of two keys": {
        "ack-whole-batch": 8,
        "leases-before-snapshot": 9,
        "fill-won-only": 7,
        "newest-of-batch": 11,
    },
    "change of owners": {
        "both-owners": 7,
        "until-the-last": 8,
        "drop-after-lifetime": 12,
        "lifetime-of-leases": 12,
        "fill-where-leased": 10,
        "applied-at-both": 7,
    },
    "log": {
        "visible-first": 5,
        "publish-after-apply": 7,
        "generation": 6,
        "publish-after-slot": 7,
        "one-record": 9,
        "slot-dies-with-primary": 6,
        "ticket-names-timeline": 11,
    },
    "copies": {"no-copy-for-tickets": 2, "keep-tickets": 3, "outlive-copies": 5},
}
RULES = [
    pytest.param(protocol, rule, id=f"{protocol.name}: {rule}")
    for protocol in PROTOCOLS
    for rule in protocol.rules
]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_with_all_rules_no_interleaving_breaks_the_invariants(protocol: Protocol[Any]) -> None:
    found = protocol.explore()
    assert found.violation == "", found.way
    assert found.states == STATES[protocol.name]


@pytest.mark.parametrize(("protocol", "rule"), RULES)
def test_without_any_one_rule_there_is_a_way_to_a_violation(protocol: Protocol[Any], rule: str) -> None:
    found = protocol.explore(without=rule)
    assert found.violation
    assert len(found.way) == SHORTEST[protocol.name][rule], found.way


def test_an_old_value_and_an_unseen_write_are_violations_of_one_key() -> None:
    every = frozenset(one_key.RULES)
    old = one_key.State(2, 2, 2, one_key.Entry(one_key.FRESH, 1))
    assert one_key.broken(old, every) == "fresh: holds v1, the consumer applied v2"
    assert one_key.broken(old._replace(applied=1), every) == ""
    unseen = old._replace(applied=1)
    assert one_key.broken(unseen, every - {"ticket-by-applied"}) == "own write: ticket v2, shown v1"


def test_a_stale_value_that_outlives_its_mark_and_a_token_kept_are_violations_of_the_probe() -> None:
    every = frozenset(probe.RULES)
    marked = probe.Entry(probe.STALE, 0, probe.FREE, left=1, age=probe.STALE_TICKS - 1)
    assert probe.broken(probe.State(entry=marked), every) == ""
    assert "still shown" in probe.broken(probe.State(entry=marked._replace(age=probe.STALE_TICKS)), every)
    kept = probe.State(entry=marked._replace(token=probe.CONSUMER))
    assert "nobody fills it" in probe.broken(kept, every)
    assert probe.broken(kept._replace(visible=1), every) == ""


def test_a_record_acknowledged_and_missed_is_a_violation_of_either_key_of_a_batch() -> None:
    every = frozenset(batch.RULES)
    entries = (batch.Entry(batch.FRESH, 1), batch.Entry(batch.FRESH, 1))
    assert batch.broken(batch.State(2, 1, entries=entries), every) == ""
    assert batch.broken(batch.State(2, 2, entries=entries), every) == "fresh: B misses B1, acknowledged"


def test_an_old_value_matters_only_at_an_owner_that_is_read() -> None:
    every = frozenset(owners.RULES)
    entries = (owners.Entry(owners.FRESH, 0), owners.Entry())
    reading = owners.State(1, 1, entries=entries)
    assert owners.broken(reading, every) == "fresh: X holds v0, the consumer applied v1"
    elsewhere = (owners.Worker(owners.Y), owners.Worker(owners.Y))
    assert owners.broken(reading._replace(workers=elsewhere), every) == ""


def test_an_old_value_matters_only_under_the_generation_of_the_slot() -> None:
    every = frozenset(log.RULES)
    entries = (log.Entry(log.FRESH, 0), log.Entry())
    old = log.State(1, 1, slot=1, entries=entries)
    assert log.broken(old, every) == "fresh: holds v0, the consumer applied v1"
    assert log.broken(old._replace(generation=1), every) == ""
    lost = old._replace(entries=(log.Entry(log.FRESH, log.LOST), log.Entry()))
    assert log.broken(lost, every) == "fresh: holds a lost write, the consumer applied v1"


def test_a_copy_without_the_write_is_shown_once_the_ticket_has_ended() -> None:
    every = frozenset(copies.RULES)
    old = copies.State(written=True, applied=True, copy_left=1)
    assert copies.broken(old, every) == ""
    ended = old._replace(age=copies.LAG + copies.LIFETIME)
    assert copies.broken(ended, every) == "own write: shown a copy without it, 3 ticks later"
