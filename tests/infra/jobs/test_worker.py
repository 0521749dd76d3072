"""Calls through the real broker to a worker that is a process, and what becomes of those that fail."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psycopg
import pytest

from calotype.infra.jobs import Call, Queue
from calotype.infra.jobs.broker import Broker
from calotype.infra.jobs.dispatch import Dispatcher
from calotype.infra.jobs.engine import BrokerUnavailable, BrokerUnknown
from calotype.infra.jobs.failures import Failures
from tests.infra.jobs.conftest import RunningWorker, eventually, working
from tests.infra.jobs.jobs_program import Say, counts, dies, fails, fails_once, says, stuck, waits
from tests.rabbitmq import running_rabbitmq


def depth(broker: Broker, queue: Queue) -> int:
    return next(each.waiting + (each.running or 0) for each in broker.depths() if each.queue == queue.value)


def sends(broker: Broker, what: str) -> bool:
    try:
        broker.send(says(Say(what)))
    except BrokerUnavailable:
        return False
    return True


def dead(failures: Failures, call: Call) -> bool:
    return any(one.id == call.id and one.dead for one in failures.all())


def test_a_call_is_run_once_and_its_message_is_gone(worker: RunningWorker, broker: Broker) -> None:
    broker.send(says(Say("hello")))
    eventually(lambda: worker.did("hello") == 1)
    eventually(lambda: depth(broker, Queue.INTERACTIVE) == 0)
    assert worker.did("hello") == 1


def test_short_jobs_follow_each_other_at_once(worker: RunningWorker, broker: Broker) -> None:
    for number in range(50):
        broker.send(says(Say(f"short {number}")))
    began = time.monotonic()
    eventually(lambda: worker.did("short 49") == 1)
    assert time.monotonic() - began < 3
    assert [line for line in worker.lines if line.startswith("short")] == [f"short {n}" for n in range(50)]


def test_what_a_process_has_opened_serves_all_its_jobs(worker: RunningWorker, broker: Broker) -> None:
    for what in ("first", "second"):
        broker.send(counts(Say(what)))
    eventually(lambda: any(line.startswith("second: ") for line in worker.lines))
    found = dict(line.split(": ") for line in worker.lines if line.startswith(("first: ", "second: ")))
    assert int(found["second"]) == int(found["first"]) + 1


async def test_one_that_fails_is_tried_again_when_it_is_due_and_forgotten_when_it_succeeds(
    worker: RunningWorker, url: str, failures: Failures
) -> None:
    call = fails_once(Say("once"))
    with Dispatcher(Broker(url), failures) as dispatcher:
        await dispatcher.send(call)
        eventually(lambda: any(one.id == call.id for one in failures.all()))
        failure = failures.one(call.id)
        assert (failure.attempts, failure.error) == (1, "LookupError: not yet")
        assert "in fails_once" in failure.traceback
        assert not failure.dead
        assert failures.retry([call.id]) == 1  # not to wait two seconds
        assert await dispatcher.retry_due() == 1
    eventually(lambda: worker.did("once") == 2)
    eventually(lambda: not any(one.id == call.id for one in failures.all()))


async def test_one_that_fails_too_often_is_given_up_with_its_traceback(
    worker: RunningWorker, url: str, dsn: str, failures: Failures
) -> None:
    call = fails(Say("hope"))
    with Dispatcher(Broker(url), failures) as dispatcher:
        await dispatcher.send(call)
        eventually(lambda: any(one.id == call.id for one in failures.all()))
        with psycopg.connect(dsn) as connection:
            connection.execute("update calotype_jobs.failures set due = now() where id = %s", (call.id,))
        assert await dispatcher.retry_due() == 1
        eventually(lambda: dead(failures, call))
    failure = failures.one(call.id)
    assert (failure.attempts, failure.error) == (2, "LookupError: no hope here")
    assert worker.did("hope") == 2


def test_what_cannot_succeed_is_given_up_at_once(
    worker: RunningWorker, broker: Broker, failures: Failures
) -> None:
    good = says(Say("x"))
    bad = Call(good.job, type(good.arguments)(b'{"what": 7}'))
    broker.send(bad)
    eventually(lambda: dead(failures, bad))
    assert "JobInvalid" in failures.one(bad.id).error
    assert worker.did("7") == 0


@pytest.mark.fault
def test_one_that_kills_its_process_is_given_up_and_the_others_go_on(
    worker: RunningWorker, broker: Broker, failures: Failures
) -> None:
    call = dies(Say("deadly"))
    broker.send(call)
    broker.send(says(Say("after it")))
    eventually(lambda: worker.did("after it") == 1)
    eventually(lambda: dead(failures, call))
    assert "WorkerLostError" in failures.one(call.id).error
    assert worker.did("deadly") == 1
    eventually(lambda: depth(broker, Queue.INTERACTIVE) == 0)


@pytest.mark.fault
def test_one_that_never_ends_is_killed_at_its_limit_and_counts_once(
    worker: RunningWorker, broker: Broker, failures: Failures, url: str
) -> None:
    if url != failures.dsn:
        return  # the limit is the worker's own, whatever brings its messages, and 20 s are long
    call = stuck(Say("stuck"))
    broker.send(call)
    broker.send(says(Say("after that")))
    eventually(lambda: worker.did("after that") == 1, 60)
    eventually(lambda: dead(failures, call))
    assert "TimeLimitExceeded" in failures.one(call.id).error
    assert (failures.one(call.id).attempts, worker.did("stuck")) == (1, 1)


@pytest.mark.fault
def test_a_message_outlives_its_worker(url: str, dsn: str, broker: Broker, tmp_path: Path) -> None:
    broker.send(waits(Say("job")))
    with working(url, dsn, Queue.BULK, tmp_path / "trace") as first:
        eventually(lambda: first.did("job begins") == 1)
        first.kill()
        assert first.did("job ends") == 0
        if url == dsn:  # RabbitMQ notices that the connection is gone; here it comes again after 135 s
            with psycopg.connect(dsn) as connection:
                hidden = connection.execute("select count(*) from pgmq.q_bulk where vt > now()").fetchone()
                assert hidden == (1,)
                connection.execute("update pgmq.q_bulk set vt = now()")
        with working(url, dsn, Queue.BULK, tmp_path / "trace") as second:
            eventually(lambda: second.did("job ends") == 1)
            eventually(lambda: depth(broker, Queue.BULK) == 0)


async def test_a_broker_that_is_away_is_not_asked_for_every_call(failures: Failures) -> None:
    with Dispatcher(Broker("postgresql://nobody:none@127.0.0.1:1/none"), failures) as dispatcher:
        with pytest.raises(BrokerUnavailable):
            await dispatcher.send(says(Say("x")))
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="a moment ago"):
            await dispatcher.send(says(Say("y")))
        assert time.monotonic() - began < 0.1


def test_without_a_broker_nothing_is_said_to_be_sent() -> None:
    threads = set(threading.enumerate())
    absent = Broker("postgresql://nobody:none@127.0.0.1:1/none")
    with pytest.raises(BrokerUnavailable, match=r"test\.say cannot be sent"):
        absent.send(says(Say("x")))
    with pytest.raises(BrokerUnavailable):
        absent.depths()
    absent.close()
    assert set(threading.enumerate()) <= threads, "nobody goes on trying"


@pytest.mark.fault
@pytest.mark.rabbitmq
def test_what_rabbitmq_has_confirmed_outlives_it(dsn: str, short_directory: Path, tmp_path: Path) -> None:
    with running_rabbitmq(short_directory) as server:
        broker = Broker(server.url)
        sent = [str(number) for number in range(20)]
        for what in sent:
            broker.send(says(Say(what)))
        # RabbitMQ 3.10: a queue whose node dies within a second of its making finds no leader again
        time.sleep(2)
        server.kill()
        with pytest.raises(BrokerUnavailable):
            broker.send(says(Say("lost")))
        server.start()
        eventually(lambda: sends(broker, "back"))  # a node answers before its queues have a leader again
        with working(server.url, dsn, Queue.INTERACTIVE, tmp_path / "trace") as worker:
            eventually(lambda: set(worker.lines) == {*sent, "back"})
            assert worker.did("back") == 1
        broker.close()


def test_other_addresses_are_refused() -> None:
    with pytest.raises(BrokerUnknown, match="not redis://"):
        Broker("redis://127.0.0.1/")
