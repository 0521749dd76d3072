"""The protocol of inverse edges, explored exhaustively: it holds, and it needs every one of its rules."""

from __future__ import annotations

import pytest

from tests.infra.tao.edges_model import ALL_RULES, RULES, State, broken, explore

SHORTEST = {
    "one-transaction": 2,
    "newest-wins": 6,
    "tombstones": 6,
    "purge-late": 7,
    "remove-after-apply": 3,
    "count-with-row": 4,
    "resend-from-outbox": 3,
}


def test_with_all_rules_no_interleaving_leaves_a_half_edge_or_a_wrong_count() -> None:
    found = explore()
    assert found.violation == ""
    assert found.states >= 300


@pytest.mark.parametrize("rule", RULES)
def test_without_any_one_rule_there_is_a_way_to_a_violation(rule: str) -> None:
    found = explore(ALL_RULES - {rule})
    assert found.violation
    assert len(found.way) == SHORTEST[rule], found.way


def test_a_half_edge_at_rest_and_a_count_beside_its_rows_are_violations() -> None:
    assert broken(State(version=1)) == "half edge: forward v1, inverse absent"
    assert broken(State(version=2, inverse=1, count=1)) == "half edge: forward v2, inverse present"
    assert broken(State(count=1)) == "count 1, rows 0"
    assert broken(State(version=1, outbox=frozenset({1}))) == ""
