"""A collector gets every record and every tick; one that is away, slow or refuses costs no request anything."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator

import pytest

from calotype.efficiency.dynostats import Recorder, Sampling
from calotype.efficiency.dynostats import otlp as module
from calotype.efficiency.dynostats.collector import _Session
from calotype.efficiency.dynostats.cumulative import BOUNDS
from calotype.efficiency.dynostats.otlp import Otlp
from calotype.efficiency.dynostats.types import digest
from calotype.efficiency.meter import Meter, calling, counter
from tests.efficiency.dynostats.kept import Kept, identity
from tests.efficiency.dynostats.receiver import Receiver, Reply, receiving, said, until
from tests.efficiency.dynostats.test_segments import record
from tests.ports import free_port


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def sink(receiver: Receiver, timeout_s: float = 5.0) -> Otlp:
    return Otlp(f"http://127.0.0.1:{receiver.port}", service="photos", timeout_s=timeout_s)


def recorder(to: Otlp) -> Recorder:
    return Recorder(identity, to, Meter(counter("thread-cpu")), Sampling(), b"key")


def serve(by: Recorder, endpoint: str = "feed", status: int = 200, method: str = "GET") -> None:
    observed = by.begin(method)
    observed.endpoint, observed.status, observed.person = endpoint, status, 7
    assert observed.account is not None
    with by.meter.thread(observed.account), calling("postgresql"):
        sum(range(1_000))
    by.end(observed)


def test_a_record_is_a_log_with_the_conventions_names(receiver: Receiver) -> None:
    by = recorder(to := sink(receiver))
    serve(by)
    serve(by, status=500)
    serve(by, method="ANYTHING", status=0)
    by.close()
    assert to.dropped == 0
    assert (
        receiver.resource.items()
        >= {
            "service.name": "photos",
            "service.version": "abc",
            "service.instance.id": "host:1",
            "host.name": "host",
            "cloud.region": "a",
        }.items()
    )
    good, failed, unanswered = (said(log.attributes) for log in receiver.logs)
    assert [log.severity_text for log in receiver.logs] == ["INFO", "ERROR", "ERROR"]
    assert good["http.route"] == "feed" and good["http.request.method"] == "GET"
    assert good["http.response.status_code"] == "200" and "error.type" not in good
    assert int(good["dynostats.cpu"]) > 0 and good["dynostats.calls.postgresql.times"] == "1"
    assert failed["error.type"] == "500"
    assert unanswered["http.request.method"] == "_OTHER"
    assert "http.response.status_code" not in unanswered
    assert abs(receiver.logs[0].time_unix_nano / 1e9 - time.time()) < 60


def test_a_log_names_the_record_as_segments_and_exemplars_do(receiver: Receiver) -> None:
    to = sink(receiver)
    to.put(record(3))
    to.close()
    assert said(receiver.logs[0].attributes)["dynostats.request.id"] == digest(record(3))


def test_ticks_are_metrics_whose_sums_only_grow(receiver: Receiver) -> None:
    by = recorder(to := sink(receiver))
    for _ in range(3):
        serve(by)
    by.tick()
    until(lambda: receiver.metrics)
    for _ in range(2):
        serve(by, status=500)
    serve(by, endpoint="(no route)")
    by.close()
    assert to.dropped == 0
    first, last = receiver.metrics[0], receiver.metrics[-1]
    assert [point.as_int for point in first["dynostats.requests"].sum.data_points] == [3]
    requests = last["dynostats.requests"].sum
    assert requests.is_monotonic
    assert {said(point.attributes).get("http.route"): point.as_int for point in requests.data_points} == {
        "feed": 5,
        None: 1,
    }
    assert last["dynostats.request.errors"].sum.data_points[0].as_int == 2
    assert last["dynostats.people.active"].gauge.data_points[0].as_int == 1
    assert last["process.cpu.time"].sum.data_points[0].as_double > 0
    starts = {each["dynostats.requests"].sum.data_points[0].start_time_unix_nano for each in (first, last)}
    assert len(starts) == 1, "one that only grows began once"


def test_distributions_are_histograms_in_seconds(receiver: Receiver) -> None:
    by = recorder(sink(receiver))
    serve(by)
    by.close()
    for name in ("dynostats.request.duration", "dynostats.request.cpu"):
        metric = receiver.metrics[-1][name]
        (point,) = metric.histogram.data_points
        assert metric.unit == "s" and point.count == sum(point.bucket_counts) == 1
        assert list(point.explicit_bounds) == [bound / 1e9 for bound in BOUNDS]
        assert 0 < point.sum < 60 and not point.HasField("max")


def test_a_collector_that_never_answers_delays_no_request(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    to = sink(receiver, timeout_s=0.3)
    by = recorder(to)
    receiver.hanging.set()
    serve(by)
    until(lambda: receiver.times)
    in_hand, came = len(receiver.times), time.thread_time()
    for _ in range(1_000):
        serve(by)
    used_s = time.thread_time() - came
    # The collector has the first request in hand, or the sink pauses: nothing was taken, and all were served.
    assert in_hand and receiver.logs == [] and to.dropped == 0
    plain = Recorder(identity, Kept(), Meter(counter("thread-cpu")), Sampling(), b"key")
    began = time.thread_time()
    for _ in range(1_000):
        serve(plain)
    assert used_s < 3 * (time.thread_time() - began) + 0.05, "as much work as with a sink that keeps them"
    with caplog.at_level(logging.WARNING, logger=module.__name__):
        until(lambda: "it does not answer" in caplog.text)
    receiver.hanging.clear()
    until(lambda: len(receiver.logs) >= 1_001)
    by.close()
    assert to.dropped == 0


def test_a_collector_that_is_away_loses_what_the_queue_cannot_hold_and_gets_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "QUEUE", 100)
    port = free_port()
    to = Otlp(f"http://127.0.0.1:{port}", timeout_s=0.2)
    for number in range(1_000):
        to.put(record(number))
    lost = to.dropped
    assert 0 < lost <= 900
    with receiving(port) as receiver:
        until(lambda: len(receiver.logs) == 1_000 - lost)
        to.close()
        assert to.dropped == lost
        assert [log.observed_time_unix_nano - log.time_unix_nano for log in receiver.logs[:100]] == list(
            range(100)
        ), "in their order"


def test_what_a_collector_has_not_taken_at_the_end_is_counted() -> None:
    to = Otlp(f"http://127.0.0.1:{free_port()}", timeout_s=0.2)
    for number in range(10):
        to.put(record(number))
    to.close()
    assert to.dropped == 10
    to.close()
    assert to.dropped == 10
    to.put(record(11))
    assert to.dropped == 11


@pytest.mark.parametrize("status", [429, 503])
def test_a_collector_that_says_when_to_come_again_is_left_alone_until_then(
    status: int, receiver: Receiver
) -> None:
    answers = iter([Reply(status, retry_after="2")])
    receiver.reply = lambda: next(answers, Reply())
    to = sink(receiver, timeout_s=0.5)
    to.put(record(1))
    until(lambda: receiver.logs)
    to.close()
    assert to.dropped == 0 and len(receiver.logs) == 1
    first, second = receiver.times
    assert second - first >= 2


def test_a_collector_that_refuses_for_good_is_not_asked_again_and_the_loss_is_counted(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.reply = lambda: Reply(400)
    to = sink(receiver)
    for number in range(5):
        to.put(record(number))
    until(lambda: to.dropped == 5)
    receiver.reply = Reply
    to.put(record(6))
    to.close()
    assert (to.dropped, len(receiver.logs)) == (5, 1)
    assert "it answers 400" in caplog.text


def test_a_redirection_is_no_delivery(receiver: Receiver) -> None:
    receiver.reply = lambda: Reply(302)
    to = sink(receiver)
    to.put(record(1))
    to.close()
    assert to.dropped == 1


def test_what_a_collector_takes_only_in_part_is_counted(receiver: Receiver) -> None:
    receiver.reply = lambda: Reply(rejected=2)
    to = sink(receiver)
    for number in range(5):
        to.put(record(number))
    to.close()
    assert to.dropped == 2


def test_a_record_that_cannot_be_encoded_stands_in_nobodys_way(receiver: Receiver) -> None:
    to = sink(receiver)
    to.put(record(1, endpoint="\ud800"))
    until(lambda: to.dropped == 1)
    to.put(record(2))
    to.close()
    assert (to.dropped, len(receiver.logs)) == (1, 1)


def test_a_dropped_record_is_in_the_next_tick(receiver: Receiver) -> None:
    by = recorder(to := sink(receiver))
    receiver.reply = lambda: Reply(400)
    serve(by)
    until(lambda: to.dropped == 1)
    receiver.reply = Reply
    by.close()
    assert receiver.metrics[-1]["dynostats.records.dropped"].sum.data_points[0].as_int == 1


def test_a_child_of_fork_sends_its_own(receiver: Receiver) -> None:
    to = sink(receiver)
    to.put(record(1))
    until(lambda: receiver.logs)
    child = os.fork()
    if not child:
        to.put(record(2))
        to.close()
        os._exit(to.dropped)
    assert os.waitpid(child, 0)[1] == 0
    assert len(receiver.logs) == 2
    to.close()


def test_retry_after_may_be_a_date() -> None:
    session = _Session()
    session.forget()
    session.tried, session.status = True, 503
    for said_, expected in (("120", 120), ("Fri, 31 Dec 1999 23:59:59 GMT", 0), ("soon", 0), ("", 0)):
        session.retry_after = said_
        assert session.answer(False, 1).retry_after_s == expected
