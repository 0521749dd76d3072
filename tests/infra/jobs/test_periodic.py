"""What comes round by itself: once a period for all relays together."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from calotype.infra.jobs import Call
from calotype.infra.jobs.engine import BrokerUnavailable
from calotype.infra.jobs.failures import Failures
from calotype.infra.jobs.periodic import Periodic, PeriodicUnavailable, Timetable
from tests.infra.jobs.jobs_program import Say, says


def timetable(failures: Failures, every_s: float, amount: int = 1) -> Timetable:
    """Of periodic jobs that nobody has sent yet, in the database of the failures."""
    return Timetable(failures.dsn, [saying(secrets.token_hex(4), every_s) for _ in range(amount)])


def saying(name: str, every_s: float) -> Periodic:
    return Periodic(name, every_s, lambda: says(Say(name)))


def test_what_was_never_sent_is_due_and_then_not_for_its_period(failures: Failures) -> None:
    table = timetable(failures, 60, amount=2)
    sent: list[Call] = []
    assert [table.send_due(sent.append) for _ in range(3)] == [2, 0, 0]
    assert [says.check(call.arguments).what for call in sent] == [each.name for each in table.periodic]
    assert timetable(failures, 60).send_due(sent.append) == 1


def test_it_comes_round_again(failures: Failures) -> None:
    table = timetable(failures, 0)
    sent: list[Call] = []
    assert [table.send_due(sent.append) for _ in range(3)] == [1, 1, 1]
    assert len({call.id for call in sent}) == 3


def test_relays_that_meet_send_it_once(failures: Failures) -> None:
    table = timetable(failures, 60, amount=5)
    sent: list[Call] = []
    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(table.send_due, sent.append) for _ in range(8)]
        assert sum(each.result() for each in done) == 5
    assert len({bytes(call.arguments) for call in sent}) == len(sent) == 5


def test_what_cannot_be_sent_stays_due(failures: Failures) -> None:
    table = timetable(failures, 60)

    def refuse(call: Call) -> None:
        raise BrokerUnavailable("away")

    with pytest.raises(BrokerUnavailable):
        table.send_due(refuse)
    assert table.send_due(lambda call: None) == 1


def test_a_database_that_is_away_is_said_to_be() -> None:
    with pytest.raises(PeriodicUnavailable):
        Timetable("postgresql://127.0.0.1:1/none", ()).send_due(lambda call: None)
