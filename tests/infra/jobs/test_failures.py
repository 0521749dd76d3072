"""Failed jobs in their table."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from calotype.infra.jobs import Call
from calotype.infra.jobs.broker import install_broker
from calotype.infra.jobs.engine import BrokerUnavailable
from calotype.infra.jobs.failures import Failures, FailuresUnavailable, JobMissing
from calotype.infra.jobs.types import job_named
from tests.infra.jobs.jobs_program import Say, says
from tests.site import RunningCluster


def failed(failures: Failures, after_s: float | None, attempts: int = 0, what: str = "x") -> Call:
    made = says(Say(what))
    call = Call(made.job, made.arguments, made.id, attempts)
    failures.record(call, "LookupError: no", "Traceback ...", after_s)
    return call


def test_what_is_recorded_is_found(failures: Failures) -> None:
    call = failed(failures, None)
    found = failures.one(call.id)
    assert (found.job, found.attempts, found.error, found.traceback) == (
        "test.say", 1, "LookupError: no", "Traceback ...",
    )  # fmt: skip
    assert found.dead
    assert says.check(found.call.arguments) == Say("x")
    assert found.call.again
    assert found.id in {each.id for each in failures.all()}
    with pytest.raises(JobMissing):
        failures.one("nothing")


def test_one_that_fails_again_keeps_when_it_failed_first(failures: Failures) -> None:
    call = failed(failures, 60)
    first = failures.one(call.id)
    failures.record(Call(call.job, call.arguments, call.id, 1), "again", "", None)
    second = failures.one(call.id)
    assert (second.attempts, second.error, second.dead) == (2, "again", True)
    assert second.first_failed == first.first_failed
    assert second.last_failed > first.last_failed


def sent(failures: Failures, limit: int = 1_000) -> list[str]:
    """The ids of what is sent when all that is due is."""
    ids: list[str] = []
    failures.send_due(lambda call: ids.append(call.id), limit)
    return ids


def test_what_is_due_is_sent_once_whoever_asks(failures: Failures) -> None:
    calls = {failed(failures, 0).id for _ in range(20)}
    later, dead = failed(failures, 60), failed(failures, None)
    with ThreadPoolExecutor(4) as threads:
        taken = [id_ for some in threads.map(lambda _: sent(failures, 7), range(8)) for id_ in some]
    assert calls <= set(taken)
    assert len(taken) == len(set(taken))
    assert not {later.id, dead.id} & set(taken)


def test_what_could_not_be_sent_is_due_again_and_the_rest_is_not(failures: Failures) -> None:
    sent(failures)
    calls = [failed(failures, 0).id for _ in range(4)]

    def away_after_two(call: Call) -> None:
        if call.id == calls[2]:
            raise BrokerUnavailable("away")

    with pytest.raises(BrokerUnavailable):
        failures.send_due(away_after_two)
    assert sent(failures) == calls[2:]


def test_whoever_dies_while_sending_leaves_it_to_be_sent_again(failures: Failures) -> None:
    call = failed(failures, 0)

    def dies(_: Call) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failures.send_due(dies)
    assert call.id in sent(failures)


def test_a_job_that_this_release_does_not_have_is_given_up_and_holds_nobody_up(failures: Failures) -> None:
    gone = Call("test.of_another_release", says(Say("x")).arguments, "gone")
    failures.record(gone, "LookupError: no", "", 0)
    other = failed(failures, 0)

    def send(call: Call) -> None:
        job_named(call.job)
        ids.append(call.id)

    ids: list[str] = []
    failures.send_due(send)
    assert other.id in ids
    assert failures.one("gone").dead
    assert "there is no job" in failures.one("gone").error


def test_one_that_is_sent_is_neither_dropped_nor_tried_twice(failures: Failures) -> None:
    call = failed(failures, 0)
    assert call.id in sent(failures)
    assert failures.drop([call.id]) == failures.retry([call.id]) == 0
    failures.record(call, "again", "", None)
    assert failures.retry([call.id]) == 1
    assert failures.one(call.id).attempts == 0
    assert failures.drop([call.id]) == 1
    with pytest.raises(JobMissing):
        failures.one(call.id)


def test_all_that_are_dead_at_once(failures: Failures) -> None:
    dead, waiting = failed(failures, None), failed(failures, 60)
    assert failures.retry([], all_dead=True) >= 1
    assert not failures.one(dead.id).dead
    failures.record(dead, "again", "", None)
    assert failures.drop([], all_dead=True) >= 1
    assert {one.id for one in failures.all()} & {dead.id, waiting.id} == {waiting.id}


def test_what_has_succeeded_is_forgotten(failures: Failures) -> None:
    call = failed(failures, 60)
    failures.forget(call.id)
    failures.forget(call.id)
    with pytest.raises(JobMissing):
        failures.one(call.id)


def test_errors_and_tracebacks_of_any_length_are_kept_in_part(failures: Failures) -> None:
    call = says(Say("long"))
    failures.record(call, "e" * 10_000, "first line\n" + "t" * 100_000 + "\nlast line", None)
    found = failures.one(call.id)
    assert len(found.error) == 500
    assert found.traceback.endswith("last line")
    assert len(found.traceback) == 20_000


def test_a_database_that_is_away_is_said_to_be() -> None:
    with pytest.raises(FailuresUnavailable, match="failed jobs cannot be looked up"):
        Failures("postgresql://nobody@localhost:1/none").all()


def test_to_install_the_broker_again_changes_nothing(dsn: str, failures: Failures) -> None:
    call = failed(failures, 60)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: install_broker(dsn), range(3)))
    assert failures.one(call.id).attempts == 1


def test_whoever_owns_the_database_can_install_the_broker(clusters: dict[str, RunningCluster]) -> None:
    """Existing servers give one a database and no more."""
    cluster = clusters["pg-1"].cluster
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create role plain login password 'plain'")
        connection.execute("create database plain owner plain strategy file_copy")
    dsn = make_conninfo(cluster.dsn("plain"), user="plain", password="plain")
    install_broker(dsn)
    assert Failures(dsn).all() == []
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select queue_length from pgmq.metrics('bulk')").fetchone() == (0,)
